/**
 * A federation's authorities driven by hand, for tests: effects are carried out at once, time stands still until a test
 * moves it, and news reach a secondary only when a test lets them.
 */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { HanseError, ManualClock, type Random, seededRandom } from '#base'
import { CAConfiguration, certificateFacts, createCertificateRequest, type IssuedCert, splitPem } from '#codec'
import { type CAEffect, keyPem, type Moment, rootsAnswer, type Step, type StoredCA } from './authority.ts'
import { DEFAULT_CONFIGURATION, type KeyShape } from './configuration.ts'
import { formatSpiffeId, serviceId, trustDomainOf } from './names.ts'
import { newPrimaryCA, type PrimaryCA, type PrimaryInput, stepPrimary } from './primary.ts'
import { newSecondaryCA, type SecondaryCA, type SecondaryInput, stepSecondary } from './secondary.ts'

const CLUSTER_ID = '66679aad-6740-68de-6eb4-3b50d0fc5ad2'

export function makeKey({ type, bits }: KeyShape): KeyObject {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: bits }).privateKey
  return generateKeyPairSync('ec', { namedCurve: `P-${bits}` }).privateKey
}

/** A configuration with some settings changed. */
export function configured(config: Readonly<Record<string, string | number>>, force = false): CAConfiguration {
  return CAConfiguration.of({
    ...DEFAULT_CONFIGURATION,
    Config: { ...DEFAULT_CONFIGURATION.Config, ...config },
    ForceWithoutCrossSigning: force,
  })
}

export interface SignedLeaf {
  readonly certificate: IssuedCert
  readonly keyPem: string
}

/** dc1 is the primary; every other name is a secondary. */
export class Authorities {
  readonly clock: ManualClock
  readonly random: Random
  primary: PrimaryCA
  readonly secondaries = new Map<string, SecondaryCA>()
  readonly stored = new Map<string, StoredCA>()
  readonly log: string[] = []
  /** Whether secondaries reach the primary; a reason when they do not. */
  refusal = ''
  #requests = 0
  readonly #replies = new Map<number, IssuedCert | string | true | HanseError>()

  constructor(secondaries: readonly string[], seed = 1, wallMs = Date.UTC(2026, 10, 23, 10, 11, 1)) {
    this.clock = new ManualClock(0, wallMs)
    this.random = seededRandom(seed)
    this.primary = newPrimaryCA('dc1', this.clock.wallMs())
    for (const name of secondaries) this.secondaries.set(name, newSecondaryCA(name, this.clock.wallMs()))
  }

  get moment(): Moment {
    return { nowMs: this.clock.wallMs(), random: this.random }
  }

  /** Starts all; the secondaries learn the roots. */
  start(clusterId = CLUSTER_ID): void {
    this.inPrimary({ kind: 'start', stored: undefined, clusterId })
    for (const name of this.secondaries.keys()) this.tell(name)
  }

  inPrimary(input: PrimaryInput): void {
    const step = stepPrimary(this.primary, input, this.moment)
    this.primary = step.state
    this.#carryOut('dc1', step)
  }

  inSecondary(name: string, input: SecondaryInput): void {
    const step = stepSecondary(this.secondary(name), input, this.moment)
    this.secondaries.set(name, step.state)
    this.#carryOut(name, step)
  }

  secondary(name: string): SecondaryCA {
    const found = this.secondaries.get(name)
    if (!found) throw new Error(`no secondary ${name}`)
    return found
  }

  of(name: string): PrimaryCA | SecondaryCA {
    return name === 'dc1' ? this.primary : this.secondary(name)
  }

  /** The primary's roots reach a secondary. */
  tell(name: string): void {
    this.inSecondary(name, { kind: 'roots', roots: rootsAnswer(this.primary) })
  }

  #carryOut(name: string, { effects }: Step<unknown>): void {
    for (const effect of effects) this.#effect(name, effect)
  }

  #effect(name: string, effect: CAEffect): void {
    const send = (input: PrimaryInput & SecondaryInput) =>
      name === 'dc1' ? this.inPrimary(input) : this.inSecondary(name, input)
    if (effect.kind === 'log') this.log.push(`${name} ${effect.level}: ${effect.text}`)
    else if (effect.kind === 'store') this.stored.set(name, effect.record)
    else if (effect.kind === 'make-key') send({ kind: 'key', key: makeKey(effect.key) })
    else if (effect.kind === 'reply') this.#replies.set(effect.requestId, effect.ok ? effect.value : effect.error)
    else this.#signIntermediate(name, effect.csr)
  }

  #signIntermediate(name: string, csr: string): void {
    if (this.refusal !== '') {
      this.inSecondary(name, { kind: 'intermediate-refused', reason: this.refusal })
      return
    }
    const answer = this.#ask((requestId) => this.inPrimary({ kind: 'sign-intermediate', requestId, csr }))
    if (typeof answer === 'string') this.inSecondary(name, { kind: 'intermediate', pem: answer })
    else throw answer
  }

  #ask(send: (requestId: number) => void): IssuedCert | string | true | HanseError {
    const requestId = ++this.#requests
    send(requestId)
    const answer = this.#replies.get(requestId)
    if (answer === undefined) throw new Error('no reply')
    return answer
  }

  /** Sets a configuration; the error is thrown. */
  configure(name: string, configuration: CAConfiguration): void {
    const answer = this.#ask((requestId) => {
      if (name === 'dc1') this.inPrimary({ kind: 'configure', requestId, configuration })
      else this.inSecondary(name, { kind: 'configure', requestId, configuration })
    })
    if (answer instanceof HanseError) throw answer
  }

  /** Signs a CSR; the error is thrown. */
  sign(name: string, csr: string): IssuedCert {
    const answer = this.#ask((requestId) => {
      if (name === 'dc1') this.inPrimary({ kind: 'sign-leaf', requestId, csr })
      else this.inSecondary(name, { kind: 'sign-leaf', requestId, csr })
    })
    if (answer instanceof HanseError) throw answer
    if (typeof answer === 'string' || answer === true) throw new Error('no leaf')
    return answer
  }

  /** A service's leaf with a new key. */
  leaf(name: string, service: string): SignedLeaf {
    const key = makeKey({ type: 'ec', bits: 256 })
    const uri = formatSpiffeId(serviceId(trustDomainOf(this.of(name).clusterId), name, service))
    return { certificate: this.sign(name, createCertificateRequest({ key, uris: [uri] })), keyPem: keyPem(key) }
  }

  /** The roots that proxies of a datacenter trust. */
  bundle(name: string): string[] {
    return this.of(name).roots.map(({ RootCert }) => RootCert)
  }
}

/** Checks chains, and remembers what it has checked: the same few certificates come again and again in a test. */
export class ChainChecker {
  readonly #certificates = new Map<string, X509Certificate>()
  readonly #signatures = new Map<string, boolean>()

  #read(pem: string): X509Certificate {
    const known = this.#certificates.get(pem) ?? new X509Certificate(pem)
    this.#certificates.set(pem, known)
    return known
  }

  #signed(by: X509Certificate, one: X509Certificate): boolean {
    const key = `${by.fingerprint256} ${one.fingerprint256}`
    const known = this.#signatures.get(key) ?? (by.ca && one.checkIssued(by) && one.verify(by.publicKey))
    this.#signatures.set(key, known)
    return known
  }

  /** Whether a chain (the leaf first, the others in any order) leads to one of `roots`, all of it valid now. */
  leadsToRoot(certPem: string, roots: readonly string[], nowMs: number): boolean {
    const valid = (one: X509Certificate) => one.validFromDate.getTime() <= nowMs && nowMs < one.validToDate.getTime()
    const [leaf, ...rest] = splitPem(certPem).map((pem) => this.#read(pem))
    const chain = rest.filter(valid)
    const trusted = roots.map((pem) => this.#read(pem)).filter(valid)
    const search = (one: X509Certificate, depth: number): boolean => {
      if (depth > chain.length) return false
      if (trusted.some((root) => this.#signed(root, one))) return true
      return chain.some((next) => next !== one && this.#signed(next, one) && search(next, depth + 1))
    }
    return leaf !== undefined && valid(leaf) && search(leaf, 0)
  }
}

/** Whether a leaf leads to one of `roots` at the time of its federation. */
export function verifies(leaf: SignedLeaf, roots: readonly string[], at: Authorities): boolean {
  return new ChainChecker().leadsToRoot(leaf.certificate.CertPEM, roots, at.clock.wallMs())
}

/** What a chain consists of, in its order. */
export function subjectsOf(certPem: string): string[] {
  return splitPem(certPem).map((pem) => {
    const { subject, isCa } = certificateFacts(new X509Certificate(pem))
    return subject !== '' ? 'root' : isCa ? 'intermediate' : 'leaf'
  })
}
