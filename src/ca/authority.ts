/**
 * What both kinds of datacenter do alike: keep the state of an authority, number certificates, and sign leafs for those
 * who may have them.
 *
 * A value: every function takes a state and gives a new one with the effects that a driver has to carry out, in order,
 * each finished before the next. A private key is in the state as a handle that prints nothing, and as text only in the
 * `store` effect. Whether the asker may have the name is decided before (acl/), by `csrIdentity()`.
 *
 * Source: federation wire notes §9; recorded refusals of ConnectCA.Sign.
 */
import type { KeyObject } from 'node:crypto'
import { HanseError, type Random } from '#base'
import {
  type CAConfiguration,
  type CARoot,
  CARoot as CARootSchema,
  type CertificateRequest,
  type IndexedCARoots,
  type IssuedCert,
  parseCertificateRequest,
  type Signer,
  signerFromPem,
} from '#codec'
import { makeLeaf } from './certificates.ts'
import type { CASettings, CheckedConfiguration, KeyShape } from './configuration.ts'
import { caError } from './errors.ts'
import { parseSpiffeId, type SpiffeId, trustDomainOf } from './names.ts'
import { type RateLimit, rateLimit, takeToken } from './rate-limit.ts'

/** Most roots that are trusted at one time; each rotation adds one for twice the leaf TTL. */
export const MAX_ROOTS = 8
/** Serial numbers are reserved in the store by blocks, one server each, so that not every leaf is a write. */
export const SERIAL_BLOCK = 256

/** When a step happens, and its chance. */
export interface Moment {
  /** Wall time: certificates live by it. */
  readonly nowMs: number
  readonly random: Random
}

/** What signs leafs here: a root in the primary, an intermediate in a secondary. */
export interface SigningAuthority {
  readonly signer: Signer
  /** What follows a leaf in its PEM text. */
  readonly chain: readonly string[]
  readonly rootId: string
  readonly trustDomain: string
}

/** What has to survive a restart. `keyPem` is a secret: the record is stored where only servers read. */
export interface StoredCA {
  readonly clusterId: string
  readonly configuration: CAConfiguration
  readonly roots: readonly CARoot[]
  readonly authority:
    | {
        readonly rootId: string
        readonly certPem: string
        readonly keyPem: string
        readonly chain: readonly string[]
      }
    | undefined
  /** No serial number from here on has been used. */
  readonly nextSerial: number
  /** Root id → when it stops being trusted, wall time in milliseconds. */
  readonly pruneAtMs: Readonly<Record<string, number>>
}

/** The answer to a request, success or the error to give. */
export type Reply =
  | {
      readonly kind: 'reply'
      readonly requestId: number
      readonly ok: true
      readonly value: IssuedCert | string | true
    }
  | { readonly kind: 'reply'; readonly requestId: number; readonly ok: false; readonly error: HanseError }

export type CAEffect =
  | Reply
  /** Durable before the next effect is carried out. */
  | { readonly kind: 'store'; readonly record: StoredCA }
  /** Answer with the input `key` or `key-failed`. */
  | { readonly kind: 'make-key'; readonly key: KeyShape }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly text: string }
  /** Ask the primary (ConnectCA.SignIntermediate); answer with `intermediate` or `intermediate-refused`. */
  | { readonly kind: 'sign-intermediate'; readonly csr: string }

/** The part of the state that both kinds of datacenter share. */
export interface CACore {
  readonly datacenter: string
  /** Empty until the CA of the federation is known. */
  readonly clusterId: string
  readonly configuration: CheckedConfiguration
  readonly roots: readonly CARoot[]
  readonly pruneAtMs: Readonly<Record<string, number>>
  readonly authority: SigningAuthority | undefined
  readonly limit: RateLimit
  /** The block that is ours: from here … */
  readonly nextSerial: number
  /** … to here, this one excluded. */
  readonly reservedSerial: number
  /** No serial number from here on has been given to any server. */
  readonly storedSerial: number
}

export interface Step<S> {
  readonly state: S
  readonly effects: readonly CAEffect[]
}

export function newCore(datacenter: string, configuration: CheckedConfiguration, nowMs: number): CACore {
  return {
    datacenter,
    clusterId: '',
    configuration,
    roots: [],
    pruneAtMs: {},
    authority: undefined,
    limit: rateLimit(configuration.settings.csrMaxPerSecond, nowMs),
    nextSerial: 1,
    reservedSerial: 1,
    storedSerial: 1,
  }
}

/**
 * The state as it is stored, by us or by another server; what is only ours (the block of serial numbers) stays.
 *
 * @throws CA_BAD_STATE when certificate and key do not belong together any more
 */
export function restoreCore<S extends CACore>(state: S, stored: StoredCA, configuration: CheckedConfiguration): S {
  const { authority, clusterId, roots, pruneAtMs, nextSerial } = stored
  let restored: SigningAuthority | undefined
  try {
    restored = authority && {
      signer: signerFromPem(authority.certPem, authority.keyPem, 'CA'),
      chain: authority.chain,
      rootId: authority.rootId,
      trustDomain: trustDomainOf(clusterId),
    }
  } catch (error) {
    throw caError('CA_BAD_STATE', { reason: error instanceof HanseError ? error.message : 'unreadable' }, error)
  }
  const limit = { ...state.limit, perSecond: configuration.settings.csrMaxPerSecond }
  return { ...state, clusterId, configuration, roots, pruneAtMs, authority: restored, limit, storedSerial: nextSerial }
}

/** What is stored of a state. Holds a private key. */
export function recordOf(state: CACore): StoredCA {
  const { authority, clusterId, configuration, roots, pruneAtMs, storedSerial } = state
  return {
    clusterId,
    configuration: configuration.shown,
    roots,
    authority: authority && {
      rootId: authority.rootId,
      certPem: authority.signer.certPem,
      keyPem: keyPem(authority.signer.key),
      chain: authority.chain,
    },
    nextSerial: storedSerial,
    pruneAtMs,
  }
}

/** The store effect for a state; what is reserved is never used again, whatever happens before the next one. */
export function storeEffect(state: CACore): CAEffect {
  return { kind: 'store', record: recordOf(state) }
}

/** A private key as text, in the form that peers write: a secret. */
export function keyPem(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1'
  return key.export({ type, format: 'pem' }).toString()
}

/** The next serial number; `stored` says whether a block had to be reserved, which must be durable before use. */
export function takeSerial<S extends CACore>(state: S): { state: S; serial: number; stored: readonly CAEffect[] } {
  const { nextSerial, reservedSerial, storedSerial } = state
  if (nextSerial < reservedSerial)
    return { state: { ...state, nextSerial: nextSerial + 1 }, serial: nextSerial, stored: [] }
  const end = storedSerial + SERIAL_BLOCK
  const reserved = { ...state, nextSerial: storedSerial + 1, reservedSerial: end, storedSerial: end }
  return { state: reserved, serial: storedSerial, stored: [storeEffect(reserved)] }
}

/** Who a request is for; `request` has proven that it holds its key. */
export interface CsrIdentity {
  readonly id: Exclude<SpiffeId, { kind: 'authority' }>
  readonly request: CertificateRequest
}

/**
 * The identity that a leaf's CSR asks for, to be authorized before it is signed.
 *
 * @throws X509_NO_PEM_DATA, X509_BAD_REQUEST, CA_NOT_SPIFFE, CA_BAD_SPIFFE_ID, CA_CSR_KIND, CA_CSR_NAMES, CA_CSR_AUTHORITY
 */
export function csrIdentity(csr: string): CsrIdentity {
  const request = parseCertificateRequest(csr)
  const { uris, dnsNames, ipAddresses, otherNames, authority } = request
  const [uri, ...more] = uris
  if (uri === undefined) throw caError('CA_CSR_KIND', {})
  const others = dnsNames.length + ipAddresses.length + otherNames
  if (more.length > 0) throw caError('CA_CSR_NAMES', { reason: `it asks for ${uris.length} URIs` })
  const id = parseSpiffeId(uri)
  if (id.kind === 'authority') throw caError('CA_CSR_KIND', {})
  if (others > 0) throw caError('CA_CSR_NAMES', { reason: `it asks for ${others} other names` })
  if (authority) throw caError('CA_CSR_AUTHORITY', { uri, wanted: 'a leaf, not for a certificate authority' })
  return { id, request }
}

function checkOurs({ id }: CsrIdentity, trustDomain: string, datacenter: string, uri: string): void {
  if (id.trustDomain !== trustDomain) {
    throw caError('CA_CSR_TRUST_DOMAIN', { asked: id.trustDomain, ours: trustDomain })
  }
  if (id.datacenter.toLowerCase() !== datacenter.toLowerCase()) {
    throw caError('CA_CSR_DATACENTER', { asked: id.datacenter, ours: datacenter })
  }
  const foreign = id.partition !== 'default' || (id.kind === 'service' && id.namespace !== 'default')
  if (foreign) throw caError('CA_CSR_NAMESPACE', { uri })
}

export function replyOk(requestId: number, value: IssuedCert | string | true): CAEffect {
  return { kind: 'reply', requestId, ok: true, value }
}

/** The reply for what was thrown; anything but our own errors is a bug and goes on up. */
export function replyError(requestId: number, error: unknown): CAEffect {
  if (error instanceof HanseError) return { kind: 'reply', requestId, ok: false, error }
  throw error
}

/** Signs a leaf for this datacenter, or replies with the reason why not. */
export function signLeaf<S extends CACore>(state: S, requestId: number, csr: string, nowMs: number): Step<S> {
  const { authority, datacenter } = state
  const { limit, allowed } = takeToken(state.limit, nowMs)
  const limited = { ...state, limit }
  try {
    if (!authority || authority.signer.notAfterMs <= nowMs) throw caError('CA_NOT_READY', {})
    if (!allowed) throw caError('CA_RATE_LIMITED', {})
    const asked = csrIdentity(csr)
    checkOurs(asked, authority.trustDomain, datacenter, asked.request.uris[0] ?? '')
    const { state: next, serial, stored } = takeSerial(limited)
    const ttlMs = state.configuration.settings.leafTtlMs
    const leaf = makeLeaf(asked.request, asked.id, authority, serial, nowMs, ttlMs)
    return { state: next, effects: [...stored, replyOk(requestId, leaf)] }
  } catch (error) {
    return { state: limited, effects: [replyError(requestId, error)] }
  }
}

/** Takes a new configuration into force. A private key that was given with it is not kept as text. */
export function withConfiguration<S extends CACore>(state: S, configuration: CheckedConfiguration, nowMs: number): S {
  const { csrMaxPerSecond } = configuration.settings
  const limit = csrMaxPerSecond === state.limit.perSecond ? state.limit : rateLimit(csrMaxPerSecond, nowMs)
  const settings = { ...configuration.settings, given: undefined }
  return { ...state, configuration: { settings, shown: configuration.shown }, limit }
}

export function sameKey(a: CASettings, b: CASettings): boolean {
  return a.key.type === b.key.type && a.key.bits === b.key.bits
}

/** Rows as others get them: the answer of ConnectCA.Roots without its query facts. */
export function rootsAnswer(
  core: Pick<CACore, 'clusterId' | 'roots'>,
): Pick<IndexedCARoots, 'ActiveRootID' | 'TrustDomain' | 'Roots'> {
  return {
    ActiveRootID: core.roots.find(({ Active }) => Active)?.ID ?? '',
    TrustDomain: core.clusterId === '' ? '' : trustDomainOf(core.clusterId),
    Roots: core.roots,
  }
}

/** A row that is no longer the one that signs. */
export function rotatedOut(row: CARoot, at: string): CARoot {
  return row.Active ? CARootSchema.of({ ...row, Active: false, RotatedOutAt: at }) : row
}
