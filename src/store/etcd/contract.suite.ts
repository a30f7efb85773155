/** The engine on a real etcd against the contract, unchanged; run by `npm run test:etcd`. */
import { after } from 'node:test'
import { silentLogger, systemClock, systemRandom } from '#base'
import { EtcdCluster } from '../../../test/support/etcd.ts'
import type { EngineUnderTest } from '../contract-fixture.ts'
import { engineContract } from '../engine-contract.ts'
import { openEtcd } from './engine.ts'

const cluster = await EtcdCluster.start(1)
after(() => cluster.stop())
let stores = 0

async function onEtcd(): Promise<EngineUnderTest> {
  const prefix = `contract/${++stores}/`
  const open = () =>
    openEtcd({
      endpoints: cluster.endpoints,
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

engineContract('etcd', onEtcd)
