/**
 * Concurrent clients of three engines, while harm is done to etcd: there is one order of all they did in which every
 * answer is right. Judged by Porcupine; first it is seen that the judge refuses what is wrong.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf, seededRandom } from '#base'
import { EtcdCluster } from '../support/etcd.ts'
import { rounds } from '../support/long.ts'
import { compact, leaderOf } from './admin.ts'
import { type Call, History, judge, type Outcome, violations } from './history.ts'
import { Mirror } from './mirror.ts'
import { openEngine } from './storm.ts'

const CLIENTS_EACH = 3
const KEYS = 4
const PAIRS = 2
const PAUSE_MS = 30
const RUNS = rounds(1, 40)

let cluster: EtcdCluster

before(async () => {
  cluster = await EtcdCluster.start(3)
  await leaderOf(cluster)
})
after(() => cluster.stop())

const set = (value: string) => [{ verb: 'set', key: 'k', value }] as const
const get = [{ verb: 'get', key: 'k' }] as const
const made = (call: number, end: number, rest: Pick<Call, 'steps' | 'ok'> & { reads?: string[] }): Call => ({
  object: 'k',
  client: call,
  call,
  return: end,
  reads: [],
  ...rest,
})

const HISTORIES: Readonly<Record<string, { calls: readonly Call[]; verdict: string }>> = {
  'a read that sees what was written': {
    calls: [made(0, 1, { steps: set('1'), ok: true }), made(2, 3, { steps: get, ok: true, reads: ['1'] })],
    verdict: 'ok',
  },
  'a stale read': {
    calls: [
      made(0, 1, { steps: set('1'), ok: true }),
      made(2, 3, { steps: set('2'), ok: true }),
      made(4, 5, { steps: get, ok: true, reads: ['1'] }),
    ],
    verdict: 'illegal',
  },
  'a read that goes back in time while a write is under way': {
    calls: [
      made(0, 1, { steps: set('1'), ok: true }),
      made(2, 20, { steps: set('2'), ok: true }),
      made(4, 5, { steps: get, ok: true, reads: ['2'] }),
      made(6, 7, { steps: get, ok: true, reads: ['1'] }),
    ],
    verdict: 'illegal',
  },
  'a write that was lost': {
    calls: [
      made(0, 1, { steps: set('1'), ok: true }),
      made(2, 3, { steps: [{ verb: 'cas', key: 'k', from: '1', value: '2' }], ok: true }),
      made(4, 5, { steps: [{ verb: 'cas', key: 'k', from: '1', value: '3' }], ok: true }),
    ],
    verdict: 'illegal',
  },
  'a write of which nothing is known and that happens later': {
    calls: [
      made(0, 1, { steps: set('1'), ok: null }),
      made(2, 3, { steps: get, ok: true, reads: [''] }),
      made(4, 5, { steps: get, ok: true, reads: ['1'] }),
    ],
    verdict: 'ok',
  },
  'half a transaction': {
    calls: [
      made(0, 1, { steps: [...set('1'), { verb: 'set', key: 'l', value: '1' }], ok: true }),
      made(2, 3, { steps: [...get, { verb: 'get', key: 'l' }], ok: true, reads: ['1', ''] }),
    ],
    verdict: 'illegal',
  },
  'a lock that two have': {
    calls: [
      made(0, 1, { steps: [{ verb: 'lock', key: 'k', value: 'a', session: 'a' }], ok: true }),
      made(2, 3, { steps: [{ verb: 'lock', key: 'k', value: 'b', session: 'b' }], ok: true }),
    ],
    verdict: 'illegal',
  },
}

for (const [what, { calls, verdict }] of Object.entries(HISTORIES)) {
  test(`the judge finds ${what} ${verdict}`, async () => {
    assert.deepEqual(await judge(calls), { k: verdict })
  })
}

/** What an error says about whether it happened. */
function outcomeOf(error: unknown): Outcome {
  const code = codeOf(error)
  if (code === 'STORE_UNREACHABLE') return 'unknown'
  throw error
}

/** One client of one engine: does this and that until it is over. */
async function client(number: number, mirror: Mirror, history: History, over: () => boolean): Promise<void> {
  const random = seededRandom(number)
  const { engine } = mirror
  let values = 0
  while (!over()) {
    const key = `k${random.int(KEYS)}`
    const value = `${number}.${++values}`
    const bytes = Buffer.from(value)
    const commit = async (write: Parameters<typeof engine.commit>[0]): Promise<Outcome> => {
      try {
        return { ok: (await engine.commit(write)).ok }
      } catch (error) {
        return outcomeOf(error)
      }
    }
    const read = async (keys: readonly string[]): Promise<Outcome> => {
      try {
        await mirror.fresh()
        return { ok: true, reads: keys.map((each) => mirror.get(each).text) }
      } catch (error) {
        return outcomeOf(error)
      }
    }
    const pair = `pair${random.int(PAIRS)}`
    const [left, right] = [`${pair}/left`, `${pair}/right`]
    switch (random.int(7)) {
      case 0:
        await history.record(number, key, [{ verb: 'set', key, value }], () =>
          commit({ writes: [{ key, value: bytes }] }),
        )
        break
      case 1: {
        const { text: from, modRevision: expect } = mirror.get(key)
        await history.record(number, key, [{ verb: 'cas', key, from, value }], () =>
          commit({ writes: [{ key, value: bytes, expect }] }),
        )
        break
      }
      case 2:
        await history.record(number, key, [{ verb: 'delete', key }], () => commit({ writes: [{ key, value: null }] }))
        break
      case 3: {
        const one = mirror.get(left)
        const other = mirror.get(right)
        const steps = [
          { verb: 'cas', key: left, from: one.text, value },
          { verb: 'cas', key: right, from: other.text, value },
        ] as const
        const writes = [
          { key: left, value: bytes, expect: one.modRevision },
          { key: right, value: bytes, expect: other.modRevision },
        ]
        await history.record(number, pair, steps, () => commit({ writes }))
        break
      }
      case 4:
        await history.record(
          number,
          pair,
          [
            { verb: 'get', key: left },
            { verb: 'get', key: right },
          ],
          () => read([left, right]),
        )
        break
      default:
        await history.record(number, key, [{ verb: 'get', key }], () => read([key]))
    }
    await delay(random.int(PAUSE_MS))
  }
}

/** Harm for some seconds; every run begins with another one. */
const HARM: readonly (() => Promise<void>)[] = [
  async () => {
    const { leader } = await leaderOf(cluster)
    await leader.signal('SIGKILL')
    await delay(2_500)
    leader.start()
  },
  async () => {
    const { leader, followers } = await leaderOf(cluster)
    await leader.signal('SIGSTOP')
    await delay(1_000)
    await leaderOf(cluster, followers)
    await leader.signal('SIGCONT')
  },
  async () => {
    for (let times = 0; times < 5; times++) {
      await compact((await leaderOf(cluster)).leader)
      await delay(50)
    }
  },
  async () => {
    await Promise.all(cluster.members.map((member) => member.signal('SIGKILL')))
    for (const member of cluster.members) member.start()
    await leaderOf(cluster)
  },
]

test(`engines are linearizable in ${RUNS} histories under faults of etcd`, async (t) => {
  for (let run = 0; run < RUNS; run++) {
    const history = new History()
    const names = ['s1', 's2', 's3']
    const mirrors = await Promise.all(
      names.map(async (name, at) => {
        const endpoints = [...cluster.endpoints.slice(at), ...cluster.endpoints.slice(0, at)]
        return Mirror.of(await openEngine(endpoints, `linear/${run}/`, name))
      }),
    )
    let over = false
    const clients = mirrors.flatMap((mirror, at) =>
      Array.from({ length: CLIENTS_EACH }, (_, each) =>
        client(run * 100 + at * CLIENTS_EACH + each, mirror, history, () => over),
      ),
    )
    await delay(300)
    for (let each = 0; each < HARM.length; each++) {
      await HARM[(run + each) % HARM.length]?.()
      await delay(500)
    }
    over = true
    await Promise.all(clients)
    t.diagnostic(history.said())
    assert.deepEqual(await violations(history.calls), [])
    assert.ok(history.calls.length > 100)
    await Promise.all(mirrors.map(({ engine }) => engine.close()))
  }
})
