/**
 * Three real servers over one etcd, asked over HTTP while servers and members of etcd are killed: keys with `?cas`, locks
 * and transactions are linearizable with `?consistent`, as Porcupine judges.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, seededRandom } from '#base'
import { EtcdCluster } from '../support/etcd.ts'
import { rounds } from '../support/long.ts'
import { leaderOf } from './admin.ts'
import { History, type Outcome, type Step, violations } from './history.ts'
import { Servers } from './servers.ts'

const NAMES = ['s1', 's2', 's3']
const CLIENTS_EACH = 3
const KEYS = 3
const LOCKS = 2
const PAUSE_MS = 60
const ANSWER_MS = 8_000
const RUNS = rounds(1, 20)

interface Entry {
  readonly Value: string | null
  readonly ModifyIndex: number
}

const textOf = (entry: Entry | undefined): string => Buffer.from(entry?.Value ?? '', 'base64').toString()

/** A client of one server: what it last read decides what it compares with. */
class Client {
  readonly #number: number
  readonly #server: string
  readonly #servers: Servers
  readonly #history: History
  readonly #random: Random
  readonly #known = new Map<string, { text: string; index: number }>()
  #session = ''
  #values = 0

  constructor(number: number, server: string, servers: Servers, history: History) {
    this.#number = number
    this.#server = server
    this.#servers = servers
    this.#history = history
    this.#random = seededRandom(number)
  }

  async open(): Promise<void> {
    // Without checks, so that the session outlives its server's node.
    const body = JSON.stringify({ LockDelay: '0s', NodeChecks: [], Behavior: 'release' })
    const { text, status } = await this.#servers.ask(this.#server, 'PUT', '/v1/session/create', body)
    assert.equal(status, 200, text)
    this.#session = JSON.parse(text).ID
  }

  /** @returns undefined where nothing was answered; whether it can have happened then */
  async #ask(method: string, path: string, body?: string) {
    try {
      const asked = this.#servers.ask(this.#server, method, path, body)
      asked.catch(() => {})
      const late = delay(ANSWER_MS, undefined, { ref: false }).then(() => undefined)
      const reply = await Promise.race([asked, late])
      if (reply !== undefined && (reply.status === 200 || reply.status === 404 || reply.status === 409)) return reply
      return 'unknown'
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED' ? 'nothing' : 'unknown'
    }
  }

  async #write(method: string, path: string, body?: string): Promise<Outcome> {
    const reply = await this.#ask(method, path, body)
    return typeof reply === 'string' ? reply : { ok: reply.status === 200 && reply.text.trim() === 'true' }
  }

  async #read(key: string): Promise<Outcome> {
    const reply = await this.#ask('GET', `/v1/kv/${key}?consistent`)
    if (typeof reply === 'string') return 'nothing'
    const [entry]: (Entry | undefined)[] = reply.status === 404 ? [] : JSON.parse(reply.text)
    this.#known.set(key, { text: textOf(entry), index: entry?.ModifyIndex ?? 0 })
    return { ok: true, reads: [textOf(entry)] }
  }

  async #transact(operations: readonly object[]): Promise<Outcome> {
    const reply = await this.#ask('PUT', '/v1/txn?consistent', JSON.stringify(operations))
    if (typeof reply === 'string') return reply
    if (reply.status === 409) return { ok: false }
    const { Results }: { Results: { KV: Entry }[] } = JSON.parse(reply.text)
    return { ok: true, reads: Results.map(({ KV }) => textOf(KV)) }
  }

  async step(): Promise<void> {
    const random = this.#random
    const key = `k${random.int(KEYS)}`
    const lock = `lock${random.int(LOCKS)}`
    const value = `${this.#number}.${++this.#values}`
    const session = this.#session
    const record = (object: string, steps: readonly Step[], act: () => Promise<Outcome>) =>
      this.#history.record(this.#number, object, steps, act)
    const known = this.#known.get(key) ?? { text: '', index: 0 }
    switch (random.int(9)) {
      case 0:
        await record(key, [{ verb: 'set', key, value }], () => this.#write('PUT', `/v1/kv/${key}`, value))
        break
      case 1:
      case 2: {
        const steps = [{ verb: 'cas', key, from: known.text, value }] as const
        await record(key, steps, () => this.#write('PUT', `/v1/kv/${key}?cas=${known.index}`, value))
        break
      }
      case 3:
        await record(key, [{ verb: 'delete', key }], () => this.#write('DELETE', `/v1/kv/${key}`))
        break
      case 4:
        await record(lock, [{ verb: 'lock', key: lock, value, session }], () =>
          this.#write('PUT', `/v1/kv/${lock}?acquire=${session}`, value),
        )
        break
      case 5:
        await record(lock, [{ verb: 'unlock', key: lock, value, session }], () =>
          this.#write('PUT', `/v1/kv/${lock}?release=${session}`, value),
        )
        break
      case 6:
        await this.#pair(value)
        break
      case 7:
        await record(lock, [{ verb: 'get', key: lock }], () => this.#read(lock))
        break
      default:
        await record(key, [{ verb: 'get', key }], () => this.#read(key))
    }
    await delay(random.int(PAUSE_MS))
  }

  /** Two keys that are only written together, and must only be read together. */
  async #pair(value: string): Promise<void> {
    const keys = ['pair/left', 'pair/right']
    const Value = Buffer.from(value).toString('base64')
    const writes = keys.map((key) => ({ verb: 'set', key, value }) as const)
    const operations = keys.map((Key) => ({ KV: { Verb: 'set', Key, Value } }))
    if (this.#random.int(2) === 0) {
      await this.#history.record(this.#number, 'pair', writes, async () => {
        const outcome = await this.#transact(operations)
        return typeof outcome !== 'string' && outcome.ok ? { ok: true } : outcome
      })
      return
    }
    const reads = keys.map((key) => ({ verb: 'get', key }) as const)
    await this.#history.record(this.#number, 'pair', reads, async () => {
      const outcome = await this.#transact(keys.map((Key) => ({ KV: { Verb: 'get', Key } })))
      // Refused: not there yet.
      return typeof outcome !== 'string' && !outcome.ok ? 'nothing' : outcome
    })
  }
}

test(`servers are linearizable over HTTP in ${RUNS} histories in which servers and members of etcd are killed`, async (t) => {
  const cluster = await EtcdCluster.start(3)
  await leaderOf(cluster)
  const servers = await Servers.start(NAMES, cluster.endpoints)
  try {
    for (let run = 0; run < RUNS; run++) {
      for (const key of ['', 'k', 'lock', 'pair']) {
        assert.equal((await servers.ask('s1', 'DELETE', `/v1/kv/${key}?recurse`)).status, 200)
      }
      const history = new History()
      const clients = NAMES.flatMap((name, at) =>
        Array.from(
          { length: CLIENTS_EACH },
          (_, each) => new Client(run * 100 + at * 10 + each, name, servers, history),
        ),
      )
      for (const client of clients) await client.open()
      let over = false
      const busy = clients.map(async (client) => {
        while (!over) await client.step()
      })
      await delay(1_000)
      const { leader } = await leaderOf(cluster)
      await leader.signal('SIGKILL')
      await delay(2_500)
      leader.start()
      const victim = NAMES[run % NAMES.length] ?? ''
      await servers.kill(victim)
      await servers.run(victim)
      await delay(1_500)
      over = true
      await Promise.all(busy)
      t.diagnostic(history.said())
      assert.deepEqual(await violations(history.calls), [])
      assert.ok(history.calls.length > 100)
      await servers.ready()
    }
  } finally {
    await servers.stop()
    await cluster.stop()
  }
})
