/** The engine on real etcds against the contract, unchanged; run by `npm run test:etcd`. */
import { after } from 'node:test'
import { silentLogger, systemClock, systemRandom } from '#base'
import { EtcdCluster, etcdBinary, oldEtcd } from '../../../test/support/etcd.ts'
import type { EngineUnderTest } from '../contract-fixture.ts'
import { engineContract } from '../engine-contract.ts'
import { openEtcd } from './engine.ts'

/** The newest, and an old one where the suite command has brought it. */
const BINARIES = { 'the newest etcd': etcdBinary(), ...oldEtcd() }

let stores = 0

for (const [name, binary] of Object.entries(BINARIES)) {
  const cluster = await EtcdCluster.start(1, { binary })
  after(() => cluster.stop())
  engineContract(name, () => onEtcd(cluster.endpoints))
}

async function onEtcd(endpoints: readonly string[]): Promise<EngineUnderTest> {
  const prefix = `contract/${++stores}/`
  const open = () =>
    openEtcd({
      endpoints,
      identity: () => undefined,
      datacenter: 'dc1',
      prefix,
      writer: 's1',
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
    })
  let engine = await open()
  return {
    engine,
    reopen: async () => {
      await engine.close()
      engine = await open()
      return engine
    },
    dispose: () => engine.close(),
  }
}
