/** A restore while other servers write and read: old or new, never a mixture, and nobody reads from before it afterwards. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { codeOf } from '#base'
import type { Content, EtcdEngine } from '#store'
import { EtcdCluster } from '../support/etcd.ts'
import { rounds } from '../support/long.ts'
import { leaderOf } from './admin.ts'
import { openEngine } from './storm.ts'

const RESTORES = rounds(8, 200)
const RECORDS = 300
const WRITERS = 3
const PREFIX = 'restore/'

let cluster: EtcdCluster

before(async () => {
  cluster = await EtcdCluster.start(3)
  await leaderOf(cluster)
})
after(() => cluster.stop())

async function* restored(number: number): AsyncGenerator<readonly Content[]> {
  for (let at = 0; at < RECORDS; at += 100) {
    yield Array.from({ length: 100 }, (_, index) => ({
      key: `k/${String(at + index).padStart(4, '0')}`,
      value: Buffer.from(String(number)),
    }))
  }
}

/** What a load shows of restores: one number, in all of its records. */
async function numberIn(engine: EtcdEngine): Promise<number> {
  const numbers = new Set<string>()
  let count = 0
  await engine.load((records) => {
    for (const { key, value } of records) {
      if (!key.startsWith('k/')) continue
      count++
      numbers.add(Buffer.from(value).toString())
    }
  })
  assert.equal(count, RECORDS)
  assert.equal(numbers.size, 1, `a mixture of ${[...numbers].join(', ')}`)
  return Number([...numbers][0])
}

test(`${RESTORES} restores are all or nothing for servers that write and read meanwhile`, async () => {
  const engines = [
    await openEngine(cluster.endpoints, PREFIX, 's1'),
    await openEngine(cluster.endpoints, PREFIX, 's2'),
    await openEngine(cluster.endpoints, PREFIX, 's3'),
  ]
  const [restorer, ...others] = engines
  assert.ok(restorer)
  await restorer.replaceAll(restored(0))
  let answered = 0
  let running = true
  let writes = 0
  let refusals = 0
  const write = async (engine: EtcdEngine, name: string) => {
    for (let at = 0; running; at++) {
      try {
        const result = await engine.commit({ writes: [{ key: `w/${name}/${at}`, value: Buffer.from('1'), expect: 0 }] })
        assert.ok(result.ok, 'a write met its own double')
        writes++
      } catch (error) {
        assert.equal(codeOf(error), 'STORE_REPLACED')
        refusals++
      }
    }
  }
  const read = async (engine: EtcdEngine) => {
    let last = 0
    while (running) {
      const before = answered
      await engine.barrier()
      try {
        const number = await numberIn(engine)
        assert.ok(number >= before, `restore ${number} was read when ${before} had been answered`)
        assert.ok(number >= last, `restore ${number} was read after ${last}`)
        last = number
      } catch (error) {
        // What a load was reading may be swept away.
        if (codeOf(error) === undefined) throw error
        assert.ok(['STORE_REPLACED', 'STORE_HISTORY_GONE'].includes(codeOf(error) ?? ''), String(error))
      }
    }
  }
  const busy = others.flatMap((engine, at) => [
    ...Array.from({ length: WRITERS }, (_, writer) => write(engine, `${at}-${writer}`)),
    read(engine),
  ])
  const revisions: number[] = []
  for (let number = 1; number <= RESTORES; number++) {
    revisions.push((await restorer.replaceAll(restored(number))).revision)
    answered = number
    for (const engine of engines) {
      const seen = await engine.barrier()
      assert.ok(seen >= (revisions.at(-1) ?? 0), `a read after the restore was answered from before it: ${seen}`)
    }
  }
  running = false
  await Promise.all(busy)
  assert.deepEqual(
    revisions,
    [...revisions].sort((a, b) => a - b),
  )
  assert.ok(writes > 0, `${writes} writes, ${refusals} refused`)
  assert.equal(await numberIn(restorer), RESTORES)
  await Promise.all(engines.map((engine) => engine.close()))
})
