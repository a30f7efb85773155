/**
 * Duties that one server of a datacenter has at a time: a key in etcd under a lease of its holder's.
 *
 * The holder counts from when it *sent* the last renewal that was answered, so it stops before etcd lets the next one
 * in, whatever the network does in between. Who waits looks again every `POLL_MS`: a watch would tell sooner, but has
 * failures of its own, and a quarter of a second is little against the time to live.
 */
import { type Clock, messageOf, sleep, type Timer } from '#base'
import type { Lease, LeaseOptions } from '../engine.ts'
import { storeError } from '../errors.ts'
import type { EtcdClient } from './client.ts'
import { expectRevision, putOf, rangeOf, readOf } from './fold.ts'
import type { Keyspace } from './keyspace.ts'
import { leaseGrant, leaseKeepAlive, leaseRevoke, range, txn } from './methods.ts'

const POLL_MS = 250
/** Renewals in one time to live. */
const RENEWALS = 4
/** How long a call may take that decides nothing by itself. */
const CALL_MS = 5_000

export interface LeasesOptions {
  readonly client: EtcdClient
  readonly keyspace: Keyspace
  readonly clock: Clock
}

/** One holding of a duty, from grant to end. */
interface Holding {
  readonly id: bigint
  readonly duty: AbortController
  readonly timers: Timer[]
}

export class EtcdLeases {
  readonly #options: LeasesOptions
  readonly #closing = new AbortController()
  readonly #releases = new Set<() => Promise<void>>()

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  lease(name: string, options: LeaseOptions): Lease {
    let holding: Holding | undefined
    let waiting: AbortController | undefined
    const release = async () => {
      waiting?.abort(new DOMException(`Lease "${name}" was released`, 'AbortError'))
      const held = holding
      holding = undefined
      if (held) await this.#giveUp(held, new DOMException(`Lease "${name}" was released`, 'AbortError'))
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
    const { client, keyspace } = this.#options
    const { kvs } = await client.call(range, rangeOf(keyspace.lease(name)), { timeoutMs: CALL_MS })
    return kvs?.[0]?.value?.toString()
  }

  /** Takes the duty if nobody has it. @throws the reason of `stop` */
  async #try(name: string, { ttlMs, holder }: LeaseOptions, stop: AbortSignal): Promise<Holding | undefined> {
    const { client, keyspace, clock } = this.#options
    const key = keyspace.lease(name)
    const limits = { timeoutMs: Math.max(CALL_MS, ttlMs), signal: stop }
    let id: bigint | undefined
    try {
      // Asked first, so that those who wait make no leases.
      const { kvs } = await client.call(range, rangeOf(key), limits)
      if ((kvs?.length ?? 0) > 0) return undefined
      const sentMs = clock.nowMs()
      const granted = await client.call(leaseGrant, { ttlSeconds: Math.ceil(ttlMs / 1000) }, limits)
      id = granted.id
      const { succeeded, replies } = await client.call(
        txn,
        {
          compare: [expectRevision(key, 0)],
          success: [putOf(key, Buffer.from(holder), id)],
          failure: [readOf(key)],
        },
        limits,
      )
      // A transaction whose answer was lost is sent again, and finds the key that it made.
      const ours = replies?.[0]?.range?.kvs?.[0]?.lease === id
      if (succeeded || ours) return this.#hold(name, id, ttlMs, sentMs)
      await this.#revoke(id)
      return undefined
    } catch (error) {
      if (id !== undefined) void this.#revoke(id)
      stop.throwIfAborted()
      // An etcd without a leader cannot say who has the duty: nobody new gets it meanwhile.
      if (isOfThisEtcd(error)) return undefined
      throw error
    }
  }

  #hold(name: string, id: bigint, ttlMs: number, sentMs: number): Holding {
    const { clock } = this.#options
    const duty = new AbortController()
    const holding: Holding = { id, duty, timers: [] }
    let confirmedMs = sentMs
    const lose = (reason: string) => {
      const lost = storeError('STORE_LEASE_LOST', { name, reason })
      void this.#giveUp(holding, lost)
    }
    let renewing = false
    const renew = async () => {
      if (renewing) return
      renewing = true
      const startedMs = clock.nowMs()
      try {
        const left = await this.#renew(id, Math.max(1, confirmedMs + ttlMs - startedMs))
        if (left <= 0) lose('etcd has ended its lease')
        else confirmedMs = startedMs
      } catch {
        // Tried again until the time is over.
      } finally {
        renewing = false
      }
    }
    const check = () => {
      if (clock.nowMs() - confirmedMs >= ttlMs) lose(`etcd did not answer for ${ttlMs} ms`)
    }
    holding.timers.push(
      clock.every(ttlMs / RENEWALS, () => void renew()),
      clock.every(ttlMs / RENEWALS / 4, check),
    )
    return holding
  }

  /** @returns the seconds that etcd now gives it; 0 if it has ended it */
  #renew(id: bigint, timeoutMs: number): Promise<number> {
    const { client, clock } = this.#options
    return new Promise((resolve, reject) => {
      const { stream, avoid } = client.stream(leaseKeepAlive)
      let over = false
      const finish = (act: () => void) => {
        if (over) return
        over = true
        timer.cancel()
        stream.cancel()
        act()
      }
      const fail = (error: unknown) =>
        finish(() => {
          avoid()
          reject(error)
        })
      const timer = clock.after(Math.min(timeoutMs, 1_000), () => fail(new Error('no answer in time')))
      stream.on('error', fail)
      stream.on('end', () => fail(new Error('the stream ended')))
      stream.on('data', ({ ttlSeconds }: { ttlSeconds: number }) => finish(() => resolve(ttlSeconds)))
      stream.write({ id })
    })
  }

  async #giveUp(holding: Holding, reason: unknown): Promise<void> {
    for (const timer of holding.timers.splice(0)) timer.cancel()
    if (holding.duty.signal.aborted) return
    holding.duty.abort(reason)
    await this.#revoke(holding.id)
  }

  /** The lease ends by itself where this fails. */
  async #revoke(id: bigint): Promise<void> {
    const timeoutMs = 2_000
    await this.#options.client.call(leaseRevoke, { id }, { timeoutMs }).catch((error: unknown) => messageOf(error))
  }

  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason)
    await Promise.all([...this.#releases].map((release) => release()))
  }
}

function isOfThisEtcd(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'STORE_UNREACHABLE'
}
