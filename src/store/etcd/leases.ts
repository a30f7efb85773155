/**
 * Duties that one server of a datacenter has at a time: a key in etcd that its holder writes again and again.
 *
 * Who waits looks every `POLL_MS`, and takes the duty over when the key has not changed for its time to live, counted
 * from when *this* server first saw it so; the holder counts from when it *sent* the last write that was answered, and
 * stops before that. So two never have it at a time, whatever the network does, and no clocks are compared.
 *
 * etcd's own leases are not used for this: a leader of etcd's that was frozen and wakes up ends leases that its successor
 * has renewed (seen with 3.5.1), and the next server had the duty before the holder could know.
 */
import { type Clock, codeOf, messageOf, type Random, sleep, type Timer } from '#base'
import type { EtcdKeyValue } from '#codec'
import type { Lease, LeaseOptions } from '../engine.ts'
import { storeError } from '../errors.ts'
import type { CallLimits, EtcdClient } from './client.ts'
import type { Keyspace } from './keyspace.ts'
import { range, txn } from './methods.ts'
import { deleteOf, expectRevision, foundBy, putOf, rangeOf, readOf } from './operations.ts'

const POLL_MS = 250
/** Renewals in one time to live. */
const RENEWALS = 4
/** Others wait this much longer than the holder counts: its timer may be late. */
const GRACE_MS = 250
/** Times that writing a claim may find an older one of the same holding. */
const MAX_WRITES = 3
/** How long a call may take that decides nothing by itself. */
const CALL_MS = 5_000
/** Giving a duty up; others take it over anyway where this fails. */
const RELEASE_MS = 2_000

export interface LeasesOptions {
  readonly client: EtcdClient
  readonly keyspace: Keyspace
  readonly clock: Clock
  readonly random: Random
}

/** What the key of a duty says. */
interface Claim {
  readonly holder: string
  /** Tells this holding from all others, of the same server too. */
  readonly token: string
  /** Counts what was written in this holding. */
  readonly turn: number
  readonly ttlMs: number
}

/** A claim, and where etcd has it. */
interface Stored extends Claim {
  readonly modRevision: number
}

/** One holding of a duty, from grant to end. */
interface Holding {
  readonly key: string
  readonly duty: AbortController
  claim: Stored
  timers: Timer[]
}

export class EtcdLeases {
  readonly #options: LeasesOptions
  readonly #closing = new AbortController()
  readonly #releases = new Set<() => Promise<void>>()
  /** Key → since when it has been seen unchanged. */
  readonly #seen = new Map<string, { readonly modRevision: number; readonly sinceMs: number }>()

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  lease(name: string, options: LeaseOptions): Lease {
    let holding: Holding | undefined
    let waiting: AbortController | undefined
    const release = async () => {
      waiting?.abort(released(name))
      const held = holding
      holding = undefined
      if (held) await this.#giveUp(held, released(name))
    }
    this.#releases.add(release)
    const acquire = async (signal?: AbortSignal): Promise<AbortSignal> => {
      signal?.throwIfAborted()
      this.#closing.signal.throwIfAborted()
      if (holding && !holding.duty.signal.aborted) return holding.duty.signal
      waiting = new AbortController()
      const stop = AbortSignal.any([waiting.signal, this.#closing.signal, ...(signal ? [signal] : [])])
      for (;;) {
        const granted = await this.#try(name, options, stop)
        if (granted !== undefined) {
          holding = granted
          return granted.duty.signal
        }
        await sleep(this.#options.clock, POLL_MS, stop)
      }
    }
    return { name, acquire, release, holder: () => this.#holder(name) }
  }

  async #holder(name: string): Promise<string | undefined> {
    const key = this.#options.keyspace.lease(name)
    const claim = await this.#read(key, { timeoutMs: CALL_MS })
    return claim === undefined || this.#isOver(key, claim) ? undefined : claim.holder
  }

  async #read(key: string, limits: CallLimits): Promise<Stored | undefined> {
    const { client, clock } = this.#options
    const { kvs } = await client.call(range, rangeOf(key), limits)
    const claim = claimIn(kvs?.[0])
    if (claim === undefined) this.#seen.delete(key)
    else if (this.#seen.get(key)?.modRevision !== claim.modRevision) {
      this.#seen.set(key, { modRevision: claim.modRevision, sinceMs: clock.nowMs() })
    }
    return claim
  }

  /** Whether its holder has been silent for so long that it knows that it has the duty no more. */
  #isOver(key: string, { ttlMs, modRevision }: Stored): boolean {
    const seen = this.#seen.get(key)
    if (seen?.modRevision !== modRevision) return false
    return this.#options.clock.nowMs() - seen.sinceMs >= ttlMs + GRACE_MS
  }

  /** Takes the duty if nobody has it. @throws the reason of `stop` */
  async #try(name: string, { ttlMs, holder }: LeaseOptions, stop: AbortSignal): Promise<Holding | undefined> {
    const { keyspace, clock, random } = this.#options
    const key = keyspace.lease(name)
    const limits = { timeoutMs: Math.max(CALL_MS, ttlMs), signal: stop }
    try {
      const claim = await this.#read(key, limits)
      if (claim !== undefined && !this.#isOver(key, claim)) return undefined
      const own = { holder, token: random.bytes(8).toString('hex'), turn: 0, ttlMs }
      const sentMs = clock.nowMs()
      const stored = await this.#write(key, own, claim?.modRevision ?? 0, limits)
      if (stored === undefined) return undefined
      const holding: Holding = { key, duty: new AbortController(), claim: stored, timers: [] }
      // Whoever was told to stop meanwhile must not keep it from the others.
      if (stop.aborted) await this.#giveUp(holding, stop.reason)
      else this.#hold(name, holding, ttlMs, sentMs)
      stop.throwIfAborted()
      return holding
    } catch (error) {
      stop.throwIfAborted()
      // An etcd that cannot write cannot say who has the duty: nobody new gets it meanwhile.
      if (WAITED_FOR.has(codeOf(error) ?? '')) return undefined
      throw error
    }
  }

  /** Writes the key where it is as known. @returns undefined where another one was quicker */
  async #write(key: string, claim: Claim, known: number, limits: CallLimits): Promise<Stored | undefined> {
    const value = Buffer.from(JSON.stringify(claim))
    let expect = known
    for (let attempt = 0; attempt < MAX_WRITES; attempt++) {
      const reply = await this.#options.client.call(
        txn,
        { compare: [expectRevision(key, expect)], success: [putOf(key, value)], failure: [readOf(key)] },
        limits,
      )
      if (reply.succeeded) return { ...claim, modRevision: reply.header?.revision ?? 0 }
      const found = claimIn(foundBy(reply, 0))
      if (found?.token !== claim.token) return undefined
      // One whose answer was lost is sent again, and finds what it wrote.
      if (found.turn === claim.turn) return found
      // The one before this was given up and happened after all: it says nothing about now.
      expect = found.modRevision
    }
    throw storeError('STORE_UNREACHABLE', { path: this.#options.client.place, reason: 'its answers contradict' })
  }

  #hold(name: string, holding: Holding, ttlMs: number, sentMs: number): void {
    const { clock } = this.#options
    const lose = (reason: string) => void this.#giveUp(holding, storeError('STORE_LEASE_LOST', { name, reason }))
    let end: Timer | undefined
    const confirm = (fromMs: number) => {
      end?.cancel()
      const silent = () => lose(`etcd did not answer for ${ttlMs} ms`)
      end = clock.after(Math.max(0, fromMs + ttlMs - clock.nowMs()), silent)
      holding.timers = [end, renewal]
    }
    let renewing = false
    let turn = 0
    const renew = async () => {
      if (renewing || holding.duty.signal.aborted) return
      renewing = true
      const startedMs = clock.nowMs()
      const { key, claim } = holding
      try {
        const next = { holder: claim.holder, token: claim.token, turn: ++turn, ttlMs }
        const limits = { timeoutMs: ttlMs, signal: holding.duty.signal }
        const stored = await this.#write(key, next, claim.modRevision, limits)
        if (holding.duty.signal.aborted) return
        if (stored === undefined) lose('another server has it')
        else {
          holding.claim = stored
          confirm(startedMs)
        }
      } catch {
        // Tried again until the time is over.
      } finally {
        renewing = false
      }
    }
    const renewal = clock.every(ttlMs / RENEWALS, () => void renew())
    confirm(sentMs)
  }

  async #giveUp(holding: Holding, reason: unknown): Promise<void> {
    for (const timer of holding.timers.splice(0)) timer.cancel()
    if (holding.duty.signal.aborted) return
    holding.duty.abort(reason)
    await this.#free(holding).catch((error: unknown) => messageOf(error))
  }

  /** Removes the key, if it is still this holding's. */
  async #free({ key, claim: { token } }: Holding): Promise<void> {
    const limits = { timeoutMs: RELEASE_MS }
    // Twice, because a renewal may be on its way.
    for (let attempt = 0; attempt < 2; attempt++) {
      const claim = await this.#read(key, limits)
      if (claim?.token !== token) return
      const { succeeded } = await this.#options.client.call(
        txn,
        { compare: [expectRevision(key, claim.modRevision)], success: [deleteOf(key)], failure: [] },
        limits,
      )
      if (succeeded) return
    }
  }

  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason)
    await Promise.all([...this.#releases].map((release) => release()))
  }
}

/** Errors of an etcd that may be able to write again. */
const WAITED_FOR: ReadonlySet<string> = new Set(['STORE_UNREACHABLE', 'STORE_FULL', 'STORE_OTHER_ETCD'])

function released(name: string): DOMException {
  return new DOMException(`Lease "${name}" was released`, 'AbortError')
}

/** What a key says; one that says nothing that can be read belongs to nobody that could be waited for. */
function claimIn(kv: EtcdKeyValue | undefined): Stored | undefined {
  if (kv === undefined) return undefined
  const { modRevision } = kv
  const unknown = { holder: '', token: '', turn: 0, ttlMs: 0, modRevision }
  try {
    const { holder, token, turn, ttlMs } = Object(JSON.parse(kv.value?.toString() ?? ''))
    if (typeof holder !== 'string' || typeof token !== 'string') return unknown
    if (typeof turn !== 'number' || typeof ttlMs !== 'number') return unknown
    return { holder, token, turn, ttlMs, modRevision }
  } catch {
    return unknown
  }
}
