/**
 * The leaf certificates of this agent's services: asked for by HTTP, renewed in time, handed to all who wait for one.
 *
 * When to renew is decided by the leaf manager of ca/; here keys are made, requests signed, and callers kept waiting for a
 * higher index. Keys stay in memory and leave only in the answers to those who may have them.
 */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { type Clock, codeOf, HanseError, type Logger, messageOf, type Random, type Timer } from '#base'
import {
  caError,
  formatSpiffeId,
  keyPem,
  type LeafInput,
  leafsWakeAtMs,
  newLeafManager,
  serviceId,
  stepLeafs,
  trustDomainOf,
} from '#ca'
import { CASignRequest, createCertificateRequest, type IssuedCert } from '#codec'
import { connectCa, type Endpoints } from '#endpoints'
import type { State } from '#state'

/** A leaf that nobody asked for in this time is not renewed any more. */
const FORGET_AFTER_MS = 24 * 3_600_000
const MAX_TICK_MS = 60_000
const MIN_TICK_MS = 100
/** How long a new leaf is waited for while the authority is not there: as calls wait for a leader. */
const HOLD_MS = 7_000

export interface LeafAnswer {
  readonly certificate: IssuedCert
  readonly index: number
}

interface Wanted {
  readonly firstAskedMs: number
  lastAskedMs: number
  index: number
  readonly waiting: Set<() => void>
  /** Why there is none yet. */
  error: HanseError | undefined
}

export interface LeafsModules {
  readonly endpoints: Endpoints
  readonly state: State
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

function makeKey(): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generateKeyPair('ec', { namedCurve: 'P-256' }, (error, _publicKey, privateKey) =>
      error ? reject(error) : resolve(privateKey),
    )
  })
}

/** Each takes itself off the list. */
function wakeAll(waiting: Iterable<() => void>): void {
  for (const wake of [...waiting]) wake()
}

/** Until when an error is kept from those who wait for a first leaf: the authority may only be restarting. */
function heldUntilMs(error: HanseError, { firstAskedMs }: Wanted): number {
  return codeOf(error) === 'CA_NOT_READY' ? firstAskedMs + HOLD_MS : Number.NEGATIVE_INFINITY
}

export class Leafs {
  readonly #datacenter: string
  readonly #modules: LeafsModules
  readonly #wanted = new Map<string, Wanted>()
  /** Since when no authority is known; undefined while one is. */
  #rootlessSinceMs: number | undefined
  /** Those who wait for one. */
  readonly #rootless = new Set<() => void>()
  #manager = newLeafManager()
  #timer: Timer | undefined
  #cancelWatch: () => void = () => {}
  #stopped = false

  constructor(datacenter: string, modules: LeafsModules) {
    this.#datacenter = datacenter
    this.#modules = modules
  }

  start(): void {
    this.#followRoots()
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#cancelWatch()
    wakeAll(this.#rootless)
    for (const { waiting } of this.#wanted.values()) wakeAll(waiting)
  }

  /**
   * The leaf of a service, once its index is above `minIndex`, or the current one when the wait is over.
   *
   * @throws CA_NOT_READY when there has been no authority for a while: it may only be starting, or restored; what signing
   *   throws
   */
  async get(
    service: string,
    options: { readonly minIndex: number; readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<LeafAnswer> {
    const deadline = this.#modules.clock.nowMs() + options.waitMs
    const clusterId = await this.#clusterId(deadline, options.signal)
    const uri = formatSpiffeId(serviceId(trustDomainOf(clusterId), this.#datacenter, service))
    const wanted = this.#want(uri)
    for (;;) {
      const certificate = this.#manager.leafs.get(uri)?.certificate
      const over = this.#modules.clock.nowMs() >= deadline || options.signal.aborted || this.#stopped
      if (certificate && (wanted.index > options.minIndex || over)) return { certificate, index: wanted.index }
      const failed = certificate ? undefined : wanted.error
      const until = failed ? Math.min(deadline, heldUntilMs(failed, wanted)) : deadline
      if (failed && this.#modules.clock.nowMs() >= until) throw failed
      if (over) throw caError('CA_NOT_READY', {})
      await this.#change(wanted.waiting, until, options.signal)
    }
  }

  /** @throws CA_NOT_READY when none has been known for a while */
  async #clusterId(deadline: number, signal: AbortSignal): Promise<string> {
    for (;;) {
      const known = this.#modules.state.read((tx) => tx.caRoots()).value?.ClusterID ?? ''
      if (known !== '') return known
      const until = Math.min(deadline, (this.#rootlessSinceMs ?? 0) + HOLD_MS)
      if (this.#modules.clock.nowMs() >= until || signal.aborted || this.#stopped) throw caError('CA_NOT_READY', {})
      await this.#change(this.#rootless, until, signal)
    }
  }

  /** PEM texts of all leafs that are kept. */
  certificates(): readonly string[] {
    return [...this.#manager.leafs.values()].flatMap(({ certificate }) => (certificate ? [certificate.CertPEM] : []))
  }

  #want(uri: string): Wanted {
    const known = this.#wanted.get(uri)
    const firstAskedMs = this.#modules.clock.nowMs()
    const wanted = known ?? { firstAskedMs, lastAskedMs: 0, index: 0, waiting: new Set(), error: undefined }
    wanted.lastAskedMs = firstAskedMs
    this.#wanted.set(uri, wanted)
    if (!known) this.#step({ kind: 'want', uri })
    return wanted
  }

  #change(waiting: Set<() => void>, until: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#modules
    return new Promise((resolve) => {
      const done = () => {
        waiting.delete(done)
        timer.cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = clock.after(Math.max(0, until - clock.nowMs()), done)
      waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  #step(input: LeafInput): void {
    const { clock, random } = this.#modules
    const { state, effects } = stepLeafs(this.#manager, input, { nowMs: clock.wallMs(), random })
    this.#manager = state
    for (const effect of effects) {
      if (effect.kind === 'issue') void this.#issue(effect.uri)
      else if (effect.kind === 'changed') this.#changed(effect.uri)
      else this.#unavailable(effect.uri)
    }
    this.#schedule()
  }

  #changed(uri: string): void {
    const wanted = this.#wanted.get(uri)
    if (!wanted) return
    wanted.error = undefined
    wanted.index = Math.max(wanted.index + 1, this.#modules.state.index)
    wakeAll(wanted.waiting)
  }

  /** Those who wait for a first leaf are told; the manager tries again by itself. */
  #unavailable(uri: string): void {
    wakeAll(this.#wanted.get(uri)?.waiting ?? [])
  }

  async #issue(uri: string): Promise<void> {
    const { endpoints, log } = this.#modules
    const wanted = this.#wanted.get(uri)
    try {
      const key = await makeKey()
      const CSR = createCertificateRequest({ key, uris: [uri] })
      const request = CASignRequest.of({ CSR, Datacenter: this.#datacenter })
      const certificate = await endpoints.call(connectCa.sign, request, { internal: true })
      this.#step({ kind: 'issued', uri, certificate, keyPem: keyPem(key) })
    } catch (error) {
      if (wanted) wanted.error = error instanceof HanseError ? error : caError('CA_NOT_READY', {}, error)
      log.warn('a leaf certificate was not signed', { uri, code: codeOf(error), error: messageOf(error) })
      this.#step({ kind: 'refused', uri, reason: messageOf(error) })
    }
  }

  #followRoots(): void {
    const { value, watch } = this.#modules.state.read((tx) => tx.caRoots())
    if (value?.Roots) this.#step({ kind: 'roots', roots: value.Roots })
    this.#rootlessSinceMs = value === undefined ? (this.#rootlessSinceMs ?? this.#modules.clock.nowMs()) : undefined
    if (value !== undefined) wakeAll(this.#rootless)
    this.#cancelWatch = watch.onFire(() => {
      if (!this.#stopped) this.#followRoots()
    })
  }

  #schedule(): void {
    this.#timer?.cancel()
    if (this.#stopped) return
    const { clock } = this.#modules
    const at = leafsWakeAtMs(this.#manager)
    const delayMs = at === undefined ? MAX_TICK_MS : Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, at - clock.wallMs()))
    this.#timer = clock.after(delayMs, () => {
      this.#forgetUnused()
      this.#step({ kind: 'tick' })
    })
  }

  #forgetUnused(): void {
    const oldest = this.#modules.clock.nowMs() - FORGET_AFTER_MS
    for (const [uri, { lastAskedMs, waiting }] of this.#wanted) {
      if (lastAskedMs > oldest || waiting.size > 0) continue
      this.#wanted.delete(uri)
      this.#step({ kind: 'forget', uri })
    }
  }
}
