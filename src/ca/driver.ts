/**
 * Drives a datacenter's certificate authority: hands it time, keys and what the primary answers, keeps its records in the
 * tables, and gives out what it signs.
 *
 * The authority itself is a value (primary.ts, secondary.ts); here its effects are carried out one after another, each
 * finished before the next, so that nothing is answered that is not durable.
 *
 * Every server of the datacenter has one, over the same records: each signs, each takes a configuration. What nobody
 * asked for (the first root, renewal, forgetting) is the leader's, see lead(). What another server stored is taken up
 * before the next step; a step whose record was overtaken is done again on top of the other's.
 */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { type Clock, codeOf, HanseError, type Logger, messageOf, type Random, sleep, type Timer } from '#base'
import { CAConfiguration, type IndexedCARoots, type IssuedCert } from '#codec'
import { type ReadTx, type State, StoredAuthority, StoredRoots, type Watch } from '#state'
import { type CAEffect, recordOf, type StoredCA } from './authority.ts'
import type { KeyShape } from './configuration.ts'
import { caError } from './errors.ts'
import { newPrimaryCA, type PrimaryCA, type PrimaryInput, primaryWakeAtMs, stepPrimary } from './primary.ts'
import { newSecondaryCA, type SecondaryCA, type SecondaryInput, secondaryWakeAtMs, stepSecondary } from './secondary.ts'

/** Requests that wait for the authority; further ones are refused. */
export const MAX_WAITING = 4_096
/** Longest time between two looks at what is due. */
const MAX_TICK_MS = 3_600_000
/** Times one step is done again because another server's was first. */
const MAX_OVERTAKEN = 32
const ROOTS_RETRY_MIN_MS = 250
const ROOTS_RETRY_MAX_MS = 10_000

/** What a secondary asks its primary. */
export interface PrimaryAuthority {
  /** ConnectCA.Roots; waits until the index is above `minIndex`. */
  roots(minIndex: number, signal: AbortSignal): Promise<IndexedCARoots>
  /** ConnectCA.SignIntermediate. */
  signIntermediate(csr: string): Promise<string>
}

export interface CADriverModules {
  readonly state: State
  /** Absent in the primary. */
  readonly primary?: PrimaryAuthority
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

type Request =
  | { kind: 'sign-leaf' | 'sign-intermediate'; csr: string }
  | { kind: 'configure'; configuration: CAConfiguration }
type Input = PrimaryInput | SecondaryInput
type Answer = IssuedCert | string | true

function makeKey({ type, bits }: KeyShape): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _publicKey: KeyObject, privateKey: KeyObject) =>
      error ? reject(error) : resolve(privateKey)
    if (type === 'rsa') generateKeyPair('rsa', { modulusLength: bits }, done)
    else generateKeyPair('ec', { namedCurve: CURVES[bits] ?? 'P-256' }, done)
  })
}

const CURVES: Readonly<Record<number, string>> = { 224: 'secp224r1', 256: 'P-256', 384: 'P-384', 521: 'P-521' }

/** Thrown inside a step whose record another server was quicker to write. */
const OVERTAKEN = new Error('another server was first')
const NOTHING_STORED = ''

function storedIn(tx: ReadTx): StoredCA | undefined {
  const roots = tx.caRoots()
  const authority = tx.caAuthority()
  if (!roots) return undefined
  return {
    clusterId: roots.ClusterID,
    configuration: roots.Configuration,
    roots: roots.Roots ?? [],
    authority: authority?.KeyPEM
      ? { rootId: authority.RootID, certPem: authority.CertPEM, keyPem: authority.KeyPEM, chain: authority.Chain ?? [] }
      : undefined,
    nextSerial: authority?.NextSerial ?? 1,
    pruneAtMs: authority?.PruneAtMs ?? {},
  }
}

function textOf(stored: StoredCA | undefined): string {
  return stored === undefined ? NOTHING_STORED : JSON.stringify(stored)
}

export class CADriver {
  readonly #modules: CADriverModules
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer>>()
  readonly #stop = new AbortController()
  #ca: PrimaryCA | SecondaryCA
  #queue: Promise<void> = Promise.resolve()
  #nextRequest = 1
  #timer: Timer | undefined
  #leading = false
  /** What the records were when they were last taken up or written, and what tells of a change. */
  #known: { readonly text: string; readonly watch: Watch | undefined } = { text: NOTHING_STORED, watch: undefined }
  #cancelWatch: () => void = () => {}
  #cancelRestores: () => void = () => {}
  /** Ends the wait for the primary's roots, so that they are compared with ours at once. */
  #askAnew = new AbortController()

  /** @throws CA_UNKNOWN_PROVIDER, CA_BAD_CONFIG */
  constructor(datacenter: string, modules: CADriverModules) {
    this.#modules = modules
    const now = modules.clock.wallMs()
    this.#ca = modules.primary ? newSecondaryCA(datacenter, now) : newPrimaryCA(datacenter, now)
  }

  /** Takes up what the tables hold, and follows what other servers write there. @throws CA_BAD_STATE */
  async start(): Promise<void> {
    await this.#enqueue(() => this.#step())
    this.#follow()
    const askAnew = () => this.#askAnew.abort(new Error('our roots were restored'))
    this.#cancelRestores = this.#modules.state.onRestored(askAnew)
  }

  /**
   * Does what only one server does, until the answer is called. In the primary there is an authority when it resolves.
   *
   * @throws CA_BAD_STATE, what the store throws
   */
  async lead(): Promise<() => void> {
    const lead = new AbortController()
    await this.#enqueue(() => this.#step(() => ({ kind: 'start', stored: this.#stored() })))
    this.#leading = true
    if (this.#modules.primary) {
      void this.#followRoots(this.#modules.primary, AbortSignal.any([lead.signal, this.#stop.signal]))
    }
    this.#schedule()
    return () => {
      this.#leading = false
      this.#timer?.cancel()
      lead.abort(new Error('another server leads'))
      if (this.#ca.kind === 'secondary') this.#enqueue(() => this.#step({ kind: 'follow' })).catch(() => undefined)
    }
  }

  stop(): void {
    this.#stop.abort(new Error('the server is stopping'))
    this.#timer?.cancel()
    this.#cancelWatch()
    this.#cancelRestores()
    for (const [id, waiting] of this.#waiting) {
      waiting.reject(caError('CA_NOT_READY', {}))
      this.#waiting.delete(id)
    }
  }

  get ca(): PrimaryCA | SecondaryCA {
    return this.#ca
  }

  /** Signs a leaf of this datacenter. The caller has checked that the asker may have its name. */
  async sign(csr: string): Promise<IssuedCert> {
    const answer = await this.#request({ kind: 'sign-leaf', csr })
    if (typeof answer !== 'object') throw caError('CA_NOT_READY', {})
    return answer
  }

  /** Signs the intermediate of another datacenter; only the primary does. @returns PEM */
  async signIntermediate(csr: string): Promise<string> {
    const answer = await this.#request({ kind: 'sign-intermediate', csr })
    if (typeof answer !== 'string') throw caError('CA_NOT_READY', {})
    return answer
  }

  async configure(configuration: CAConfiguration): Promise<void> {
    await this.#request({ kind: 'configure', configuration })
  }

  #request(request: Request): Promise<Answer> {
    if (this.#stop.signal.aborted || this.#waiting.size >= MAX_WAITING)
      return Promise.reject(caError('CA_NOT_READY', {}))
    const requestId = this.#nextRequest++
    const waiting = Promise.withResolvers<Answer>()
    this.#waiting.set(requestId, waiting)
    this.#enqueue(() => this.#step({ ...request, requestId })).catch((error: unknown) => this.#reply(requestId, error))
    return waiting.promise
  }

  /** One input after another, with all that follows from it. */
  #enqueue(task: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(task)
    this.#queue = done.catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#modules.log.error('the certificate authority failed', { error: messageOf(error) })
    })
    return done
  }

  /** @param first - or what makes it, from the records as they are when its turn comes; none: only takes these up */
  async #step(first?: Input | (() => Input)): Promise<void> {
    const inputs: (Input | (() => Input) | undefined)[] = [first]
    while (inputs.length > 0) {
      for (const effect of await this.#advanced(inputs.shift())) {
        const answer = await this.#carryOut(effect)
        if (answer) inputs.push(answer)
      }
    }
    this.#schedule()
  }

  /**
   * One step on top of what is stored, its record written.
   *
   * @returns what is left to carry out
   */
  async #advanced(input: Input | (() => Input) | undefined): Promise<readonly CAEffect[]> {
    const adopted: CAEffect[] = []
    for (let attempt = 0; attempt < MAX_OVERTAKEN; attempt++) {
      adopted.push(...this.#adopt())
      const before = this.#ca
      try {
        await this.#writeAgain()
        if (input === undefined) return adopted
        const effects = this.#advance(typeof input === 'function' ? input() : input)
        for (const effect of effects) if (effect.kind === 'store') await this.#save(effect.record)
        return [...adopted, ...effects.filter(({ kind }) => kind !== 'store')]
      } catch (error) {
        this.#ca = before
        if (error !== OVERTAKEN) throw error
      }
    }
    throw caError('CA_BUSY', {})
  }

  /** Takes up what another server stored since. @returns what follows from it */
  #adopt(): readonly CAEffect[] {
    if (this.#known.watch?.fired === false) return []
    const { value: stored, watch } = this.#modules.state.read(storedIn)
    const text = textOf(stored)
    const same = text === this.#known.text
    this.#known = { text, watch }
    return same || stored === undefined ? [] : this.#advance({ kind: 'adopt', stored })
  }

  /**
   * A restore of what was saved before there was an authority takes it away. Whoever trusts it is not restored with us,
   * so the leader puts it back.
   */
  async #writeAgain(): Promise<void> {
    if (!this.#leading || this.#ca.authority === undefined || this.#known.text !== NOTHING_STORED) return
    this.#modules.log.warn('the certificate authority was not in what was restored, it is stored again')
    await this.#save(recordOf(this.#ca))
  }

  /** Takes up what others store without being asked for anything: the leader may have to act on it. */
  #follow(): void {
    this.#cancelWatch = this.#modules.state.read(storedIn).watch.onFire(() => {
      if (this.#stop.signal.aborted) return
      this.#follow()
      this.#enqueue(() => this.#step()).catch(() => undefined)
    })
  }

  #advance(input: Input): readonly CAEffect[] {
    const moment = { nowMs: this.#modules.clock.wallMs(), random: this.#modules.random }
    // The inputs of both kinds differ only in what the other never gets: `roots` and the primary's answers.
    const step =
      this.#ca.kind === 'primary'
        ? stepPrimary(this.#ca, input as PrimaryInput, moment)
        : stepSecondary(this.#ca, input as SecondaryInput, moment)
    this.#ca = step.state
    return step.effects
  }

  /** @returns the input that answers the effect, if it has one */
  async #carryOut(effect: CAEffect): Promise<Input | undefined> {
    switch (effect.kind) {
      case 'reply':
        this.#reply(effect.requestId, effect.ok ? undefined : effect.error, effect.ok ? effect.value : undefined)
        return undefined
      case 'store':
        // Written as its step was made.
        return undefined
      case 'log':
        this.#modules.log[effect.level](effect.text)
        return undefined
      case 'make-key':
        try {
          return { kind: 'key', key: await makeKey(effect.key) }
        } catch (error) {
          return { kind: 'key-failed', reason: messageOf(error) }
        }
      case 'sign-intermediate':
        // Not waited for: leafs are signed meanwhile by what there is.
        void this.#askForIntermediate(effect.csr)
        return undefined
    }
  }

  async #askForIntermediate(csr: string): Promise<void> {
    let input: SecondaryInput
    try {
      const pem = await this.#modules.primary?.signIntermediate(csr)
      input = { kind: 'intermediate', pem: pem ?? '' }
    } catch (error) {
      input = { kind: 'intermediate-refused', reason: messageOf(error) }
    }
    if (!this.#stop.signal.aborted) await this.#enqueue(() => this.#step(input)).catch(() => undefined)
  }

  #reply(requestId: number, error: unknown, value?: Answer): void {
    const waiting = this.#waiting.get(requestId)
    this.#waiting.delete(requestId)
    if (value !== undefined) waiting?.resolve(value)
    else waiting?.reject(error instanceof HanseError ? error : caError('CA_NOT_READY', {}))
  }

  #stored(): StoredCA | undefined {
    return this.#modules.state.read(storedIn).value
  }

  /** @throws OVERTAKEN when the records are no longer those that the step was made from */
  async #save({ clusterId, configuration, roots, authority, nextSerial, pruneAtMs }: StoredCA): Promise<void> {
    const { state } = this.#modules
    const { value: text } = await state.write((tx) => {
      if (textOf(storedIn(tx)) !== this.#known.text) throw OVERTAKEN
      tx.putCaAuthority(
        StoredAuthority.of({
          RootID: authority?.rootId ?? '',
          CertPEM: authority?.certPem ?? '',
          KeyPEM: authority?.keyPem ?? '',
          Chain: authority?.chain ?? [],
          NextSerial: nextSerial,
          PruneAtMs: pruneAtMs,
        }),
      )
      tx.putCaRoots(
        StoredRoots.of({ ClusterID: clusterId, Configuration: CAConfiguration.of(configuration), Roots: roots }),
      )
      return textOf(storedIn(tx))
    })
    this.#known = { text, watch: undefined }
  }

  #schedule(): void {
    this.#timer?.cancel()
    if (this.#stop.signal.aborted || !this.#leading) return
    const at = this.#ca.kind === 'primary' ? primaryWakeAtMs(this.#ca) : secondaryWakeAtMs(this.#ca)
    const now = this.#modules.clock.wallMs()
    const delayMs = at === undefined ? MAX_TICK_MS : Math.min(MAX_TICK_MS, Math.max(100, at - now))
    this.#timer = this.#modules.clock.after(delayMs, () => {
      this.#enqueue(async () => (this.#leading ? this.#step({ kind: 'tick' }) : undefined)).catch(() => undefined)
    })
  }

  /** Keeps a secondary on the primary's roots. */
  async #followRoots(primary: PrimaryAuthority, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#modules
    let index = 0
    let failures = 0
    while (!signal.aborted) {
      this.#askAnew = new AbortController()
      const anew = this.#askAnew.signal
      try {
        const roots = await primary.roots(index, AbortSignal.any([signal, anew]))
        // A primary that has no roots yet answers with none.
        if (roots.ActiveRootID !== '' && !signal.aborted) {
          await this.#enqueue(async () => (signal.aborted ? undefined : this.#step({ kind: 'roots', roots })))
        }
        index = roots.Index < index || anew.aborted ? 0 : roots.Index
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        index = 0
        if (anew.aborted) continue
        failures++
        if (failures === 1 && codeOf(error) !== 'REMOTE_DC_UNREACHABLE') {
          log.warn('the roots of the primary could not be read, trying again', { error: messageOf(error) })
        }
        const delayMs = Math.min(ROOTS_RETRY_MAX_MS, ROOTS_RETRY_MIN_MS * 2 ** Math.min(failures - 1, 8))
        await sleep(clock, delayMs, signal).catch(() => undefined)
      }
    }
  }
}
