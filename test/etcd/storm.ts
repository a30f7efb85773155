/**
 * A write storm over several engines on one etcd, that judges what they answer while a test does harm to etcd:
 *
 * - what was answered is there, once; what was refused as not written is not; what is unknown is there once or not
 * - every engine hands over the same batches in the same order, and no value or revision goes back
 * - a read behind `barrier()` sees everything that any engine had answered before it was asked
 * - a duty has one holder at a time
 *
 * A writer counts up a key of its own by compare-and-set, and adds a key for each round that must not be there yet; all
 * writers of all engines fight for one key in between. One writer of each engine counts up many keys at once, more than
 * etcd compares in one transaction: every batch has all of them or none.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf, type Logger, messageOf, silentLogger, systemClock, systemRandom } from '#base'
import { type ChangeBatch, type EtcdEngine, openEtcd } from '#store'
import { eventually } from '../support/eventually.ts'

/** Codes after which a write may have happened or not. */
const UNKNOWN = new Set(['STORE_UNREACHABLE', 'STORE_OTHER_ETCD'])
/** Codes that a storm lives with, besides those that its test allows. */
const ALLOWED = new Set(['STORE_UNREACHABLE', 'STORE_CONTENDED'])
const WRITERS = 4
const RETRY_MS = 50
const DUTY_MS = 3_000
const PROGRESS_MS = 40_000
const SHARED = 'shared'
/** Keys of a writer of many. */
const LARGE = 150
const LARGE_PAUSE_MS = 100
const largeKey = (server: string, at: number): string => `large/${server}/${at}`

export interface StormOptions {
  readonly endpoints: readonly string[]
  readonly prefix: string
  /** One engine for each. */
  readonly servers: readonly string[]
  /** Servers that have other endpoints. The others have them in an order of their own each. */
  readonly only?: Readonly<Record<string, readonly string[]>>
  /** Further codes of errors that writes and reads may have. */
  readonly allow?: readonly string[]
  readonly log?: Logger
}

export function openEngine(endpoints: readonly string[], prefix: string, writer: string, log: Logger = silentLogger) {
  return openEtcd({
    endpoints,
    identity: () => undefined,
    datacenter: 'dc1',
    prefix,
    writer,
    clock: systemClock,
    random: systemRandom,
    log,
  })
}

interface Held {
  readonly by: string
  readonly from: number
  to: number
}

/** One engine with what follows it. */
class Side {
  readonly name: string
  readonly engine: EtcdEngine
  readonly values = new Map<string, { round: number; modRevision: number }>()
  /** Keys of rounds → how often the stream brought them. */
  readonly rounds = new Map<string, number>()
  revision = 0
  loads = 0
  /** Resolves when it follows again, where it had lost the stream: until then it says nothing about its engine. */
  following: Promise<void> = Promise.resolve()
  readonly faults: string[] = []

  constructor(name: string, engine: EtcdEngine) {
    this.name = name
    this.engine = engine
  }

  /** Loads, and follows from there; again where the stream is lost. */
  async follow(): Promise<void> {
    const there = new Set<string>()
    const { revision } = await this.engine.load((records) => {
      for (const { key, value, modRevision } of records) {
        this.#take(key, value, modRevision)
        there.add(key)
      }
    })
    this.loads++
    for (const key of there) if (key.startsWith('round/') && !this.rounds.has(key)) this.rounds.set(key, 1)
    if (revision < this.revision) this.faults.push(`${this.name} loaded revision ${revision} after ${this.revision}`)
    this.revision = Math.max(this.revision, revision)
    this.engine.subscribe(
      revision,
      (batch) => this.#apply(batch),
      () => {
        this.following = this.#again()
      },
    )
  }

  async #again(): Promise<void> {
    for (;;) {
      try {
        return await this.follow()
      } catch (error) {
        if (codeOf(error) === 'STORE_CLOSED') return
        await delay(RETRY_MS)
      }
    }
  }

  #apply({ revision, changes }: ChangeBatch): void {
    if (revision <= this.revision)
      this.faults.push(`${this.name} was handed revision ${revision} after ${this.revision}`)
    this.revision = revision
    const many = changes.filter(({ key }) => key.startsWith('large/')).length
    if (many % LARGE !== 0) this.faults.push(`${this.name} was handed ${many} of ${LARGE} keys in revision ${revision}`)
    for (const { key, value, modRevision } of changes) {
      this.#take(key, value, modRevision)
      if (key.startsWith('round/')) this.rounds.set(key, (this.rounds.get(key) ?? 0) + 1)
    }
  }

  #take(key: string, value: Uint8Array | null, modRevision: number): void {
    const round = Number(Buffer.from(value ?? []).toString())
    const known = this.values.get(key)
    if (known !== undefined && (known.round > round || known.modRevision > modRevision)) {
      this.faults.push(`${this.name}: "${key}" went back from ${known.round} to ${round}`)
    }
    this.values.set(key, { round, modRevision })
  }

  roundOf(key: string): number {
    return this.values.get(key)?.round ?? 0
  }
}

export class Storm {
  readonly sides: readonly Side[]
  readonly #options: StormOptions
  readonly #allowed: ReadonlySet<string>
  /** Key of a writer → its last round that was answered. */
  readonly #answered = new Map<string, number>()
  /** Rounds that are known not to have happened. */
  readonly #refused = new Set<string>()
  readonly #unknown = new Set<string>()
  readonly #errors = new Map<string, number>()
  readonly #held: Held[] = []
  readonly #faults: string[] = []
  #running = true
  #tasks: Promise<void>[] = []
  writes = 0
  large = 0
  reads = 0

  private constructor(options: StormOptions, sides: readonly Side[]) {
    this.#options = options
    this.#allowed = new Set([...ALLOWED, ...(options.allow ?? [])])
    this.sides = sides
  }

  static async start(options: StormOptions): Promise<Storm> {
    const { endpoints, prefix, servers, only, log } = options
    const sides: Side[] = []
    for (const [at, server] of servers.entries()) {
      const first = at % endpoints.length
      const order = only?.[server] ?? [...endpoints.slice(first), ...endpoints.slice(0, first)]
      const side = new Side(server, await openEngine(order, prefix, server, log))
      await side.follow()
      sides.push(side)
    }
    const storm = new Storm(options, sides)
    storm.#tasks = sides.flatMap((side) => [
      ...Array.from({ length: WRITERS }, (_, writer) => storm.#write(side, `w/${side.name}/${writer}`)),
      storm.#fight(side),
      storm.#writeMany(side),
      storm.#read(side),
      storm.#duty(side),
    ])
    return storm
  }

  /** Runs a call, and counts what it fails with. @returns undefined when it failed */
  async #try<T>(what: string, call: () => Promise<T>): Promise<{ value: T } | { code: string }> {
    try {
      return { value: await call() }
    } catch (error) {
      const code = codeOf(error) ?? 'none'
      this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1)
      if (!this.#allowed.has(code)) this.#faults.push(`${what} failed: ${messageOf(error)}`)
      await delay(RETRY_MS)
      return { code }
    }
  }

  async #write(side: Side, key: string): Promise<void> {
    let expect = side.values.get(key)?.modRevision ?? 0
    let round = side.roundOf(key)
    while (this.#running) {
      round++
      const value = Buffer.from(String(round))
      const own = `round/${key}/${round}`
      const writes = [
        { key, value, expect },
        { key: own, value, expect: 0 },
      ]
      const tried = await this.#try(own, () => side.engine.commit({ writes }))
      if ('value' in tried && tried.value.ok) {
        expect = tried.value.revision
        this.#answered.set(key, round)
        this.writes++
        await side.following
        if (side.roundOf(key) !== round) this.#faults.push(`${own} was answered before the stream had brought it`)
        continue
      }
      if ('value' in tried) {
        // Nobody else writes here: only a write of ours whose answer never came may be in the way.
        if (!this.#unknown.has(`round/${key}/${side.roundOf(key)}`)) this.#faults.push(`${own} met a conflict`)
        this.#refused.add(own)
      } else if (UNKNOWN.has(tried.code)) this.#unknown.add(own)
      else this.#refused.add(own)
      const known = await this.#known(side, key)
      expect = known.modRevision
      // A round that may have happened is not tried again under the same name, nor is one that was refused.
      round = Math.max(round, known.round)
    }
  }

  async #writeMany(side: Side): Promise<void> {
    const keys = Array.from({ length: LARGE }, (_, at) => largeKey(side.name, at))
    const [first = ''] = keys
    while (this.#running) {
      const { round, modRevision } = await this.#known(side, first)
      const value = Buffer.from(String(round + 1))
      const writes = keys.map((key) => ({ key, value, expect: modRevision }))
      const tried = await this.#try(first, () => side.engine.commit({ writes }))
      if (!('value' in tried) || !tried.value.ok) continue
      for (const key of keys) this.#answered.set(key, round + 1)
      this.large++
      await delay(LARGE_PAUSE_MS)
    }
  }

  /** What a key holds, behind a barrier. */
  async #known(side: Side, key: string): Promise<{ round: number; modRevision: number }> {
    for (;;) {
      const tried = await this.#try('a barrier', () => side.engine.barrier())
      await side.following
      if ('value' in tried || !this.#running) return side.values.get(key) ?? { round: 0, modRevision: 0 }
    }
  }

  /** Counts up the key that all fight for. */
  async #fight(side: Side): Promise<void> {
    while (this.#running) {
      const { round, modRevision } = side.values.get(SHARED) ?? { round: 0, modRevision: 0 }
      const value = Buffer.from(String(round + 1))
      const write = { key: SHARED, value, expect: modRevision }
      const tried = await this.#try('the shared key', () => side.engine.commit({ writes: [write] }))
      if ('value' in tried && tried.value.ok)
        this.#answered.set(SHARED, Math.max(this.#answered.get(SHARED) ?? 0, round + 1))
      else if ('value' in tried) await this.#try('a barrier', () => side.engine.barrier())
    }
  }

  async #read(side: Side): Promise<void> {
    while (this.#running) {
      const before = new Map(this.#answered)
      const tried = await this.#try('a barrier', () => side.engine.barrier())
      if ('value' in tried) {
        await side.following
        this.reads++
        for (const [key, round] of before) {
          if (side.roundOf(key) < round) {
            this.#faults.push(`${side.name} read ${side.roundOf(key)} in "${key}" when ${round} had been answered`)
          }
        }
      }
      await delay(5)
    }
  }

  async #duty(side: Side): Promise<void> {
    const lease = side.engine.lease('duty', { ttlMs: DUTY_MS, holder: side.name })
    while (this.#running) {
      const tried = await this.#try('a duty', () => lease.acquire())
      if (!('value' in tried)) continue
      const now = performance.now()
      const held: Held = { by: side.name, from: now, to: now }
      this.#held.push(held)
      while (!tried.value.aborted && this.#running) {
        held.to = performance.now()
        await delay(10)
      }
      await lease.release()
    }
  }

  /** Waits until every writer, or those of some servers, has got on from here. */
  async progress(what: string, { servers = this.#options.servers, timeoutMs = PROGRESS_MS } = {}): Promise<number> {
    const keys = servers.flatMap((name) => Array.from({ length: WRITERS }, (_, writer) => `w/${name}/${writer}`))
    const before = new Map(this.#answered)
    return await eventually(
      `all writers get on ${what}`,
      () => {
        for (const key of keys) {
          assert.ok((this.#answered.get(key) ?? 0) > (before.get(key) ?? 0), `"${key}" does not get on: ${this.said()}`)
        }
      },
      { timeoutMs },
    )
  }

  said(): string {
    const errors = [...this.#errors].map(([code, count]) => `${count} × ${code}`)
    return `${this.writes} writes, ${this.large} of ${LARGE} keys, ${this.reads} reads, errors: ${errors.join(', ') || 'none'}`
  }

  countOf(code: string): number {
    return this.#errors.get(code) ?? 0
  }

  /** Ends the storm, and judges. */
  async stop(): Promise<void> {
    try {
      this.#running = false
      await Promise.race([Promise.all(this.#tasks), delay(25_000, undefined, { ref: false })])
      await this.#judge()
    } finally {
      await Promise.all(this.sides.map(({ engine }) => engine.close()))
    }
  }

  async #judge(): Promise<void> {
    const faults = [...this.#faults, ...this.sides.flatMap((side) => side.faults)]
    assert.deepEqual(faults.slice(0, 10), [], `${faults.length} faults; ${this.said()}`)
    const stored = new Map<string, number>()
    const [first] = this.sides
    assert.ok(first)
    await Promise.all(this.sides.map(({ engine }) => engine.barrier()))
    await first.engine.load((records) => {
      for (const { key, value } of records) stored.set(key, Number(Buffer.from(value).toString()))
    })
    for (const [key, round] of this.#answered) {
      assert.ok((stored.get(key) ?? 0) >= round, `"${key}" has ${stored.get(key)} and ${round} was answered`)
    }
    for (const own of this.#refused) assert.ok(!stored.has(own), `${own} was refused and is there`)
    for (const side of this.sides) {
      for (const [key, round] of stored) assert.equal(side.roundOf(key), round, `${side.name} has another "${key}"`)
      for (const [own, times] of side.rounds) assert.equal(times, 1, `${side.name} was handed ${own} ${times} times`)
    }
    const held = this.#held.sort((a, b) => a.from - b.from)
    for (const [at, holder] of held.entries()) {
      const next = held[at + 1]
      if (next === undefined) continue
      assert.ok(holder.to <= next.from, `${holder.by} and ${next.by} had one duty for ${holder.to - next.from} ms`)
    }
    const { prefix } = this.#options
    assert.ok(this.writes > 0 && this.large > 0 && this.reads > 0, `nothing happened below ${prefix}`)
  }
}
