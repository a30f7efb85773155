/**
 * The certificate authority of the primary datacenter: makes the federation's root, signs the intermediates of the
 * other datacenters and its own leafs, changes its root without a failed call, and forgets old roots.
 *
 * A rotation: the new root's key is made → the new root is signed by itself and, once more, by the old root → both are
 * trusted, leafs carry the cross-signed certificate → after twice the leaf TTL the old root is forgotten. At every
 * moment a leaf from before verifies (its root is still trusted) and one from after too (by the new root where it is
 * known, by the cross-signed one where it is not).
 *
 * Source: federation wire notes §9.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { uuid } from '#base'
import {
  type CAConfiguration,
  certificateFacts,
  meshKeyIdentifier,
  parseCertificateRequest,
  privateKeyFromPem,
  signerFrom,
  signerFromPem,
} from '#codec'
import {
  type CACore,
  type CAEffect,
  MAX_ROOTS,
  type Moment,
  newCore,
  replyError,
  replyOk,
  restoreCore,
  rotatedOut,
  type SigningAuthority,
  type Step,
  type StoredCA,
  sameKey,
  signLeaf,
  storeEffect,
  takeSerial,
  withConfiguration,
} from './authority.ts'
import { authorityKeyIdOf, crossSign, keyIdOf, makeIntermediate, makeRoot, rootRow, timeText } from './certificates.ts'
import { type CheckedConfiguration, checkConfiguration, DEFAULT_CONFIGURATION } from './configuration.ts'
import { caError } from './errors.ts'
import { formatSpiffeId, parseSpiffeId, trustDomainOf } from './names.ts'

/** Random bytes in a root's name. */
const NAME_ID_BYTES = 5
const CURVES = ['secp224r1', 'prime256v1', 'secp384r1', 'secp521r1']
const MIN_RSA_BITS = 2048

export interface PrimaryCA extends CACore {
  readonly kind: 'primary'
  /** A change whose key is being made. */
  readonly making: { readonly configuration: CheckedConfiguration; readonly requestId: number | undefined } | undefined
}

export type PrimaryInput =
  /** To lead: what the store holds, or with what to begin a federation. */
  | { readonly kind: 'start'; readonly stored: StoredCA | undefined; readonly clusterId?: string }
  /** What another server stored. */
  | { readonly kind: 'adopt'; readonly stored: StoredCA }
  | { readonly kind: 'key'; readonly key: KeyObject }
  | { readonly kind: 'key-failed'; readonly reason: string }
  | { readonly kind: 'configure'; readonly requestId: number; readonly configuration: CAConfiguration }
  | { readonly kind: 'sign-leaf'; readonly requestId: number; readonly csr: string }
  | { readonly kind: 'sign-intermediate'; readonly requestId: number; readonly csr: string }
  /** At `primaryWakeAtMs()`, or whenever: what is due is done. */
  | { readonly kind: 'tick' }

/**
 * @param configuration - of the configuration file, for the first start; later the stored one counts
 * @throws CA_UNKNOWN_PROVIDER, CA_BAD_CONFIG
 */
export function newPrimaryCA(datacenter: string, nowMs: number, configuration = DEFAULT_CONFIGURATION): PrimaryCA {
  return { ...newCore(datacenter, checkConfiguration(configuration), nowMs), kind: 'primary', making: undefined }
}

type On = {
  readonly [K in PrimaryInput['kind']]: (
    state: PrimaryCA,
    input: Extract<PrimaryInput, { kind: K }>,
    moment: Moment,
  ) => Step<PrimaryCA>
}

const on: On = {
  start: (state, { stored, clusterId }, moment) => {
    if (stored) {
      const restored = restoreCore(state, stored, checkConfiguration(stored.configuration))
      if (restored.authority) return tick(restored, moment)
    }
    const begun = { ...state, clusterId: stored?.clusterId || clusterId || uuid(moment.random) }
    return change(begun, begun.configuration, undefined, moment)
  },
  adopt: (state, { stored }) => ({
    state: restoreCore(state, stored, checkConfiguration(stored.configuration)),
    effects: [],
  }),
  key: (state, { key }, moment) => rotate(state, key, undefined, moment),
  'key-failed': (state, { reason }) => {
    const { requestId } = state.making ?? {}
    const error = caError('CA_NO_KEY', { reason })
    const effects: CAEffect[] = [{ kind: 'log', level: 'error', text: error.message }]
    if (requestId !== undefined) effects.push(replyError(requestId, error))
    return { state: { ...state, making: undefined }, effects }
  },
  configure: (state, { requestId, configuration }, moment) => {
    try {
      return configure(state, configuration, requestId, moment)
    } catch (error) {
      return { state, effects: [replyError(requestId, error)] }
    }
  },
  'sign-leaf': (state, { requestId, csr }, { nowMs }) => signLeaf(state, requestId, csr, nowMs),
  'sign-intermediate': (state, { requestId, csr }, { nowMs }) => {
    try {
      return signIntermediate(state, requestId, csr, nowMs)
    } catch (error) {
      return { state, effects: [replyError(requestId, error)] }
    }
  },
  tick: (state, _input, moment) => tick(state, moment),
}

/**
 * One input into the primary's authority.
 *
 * @throws CA_BAD_STATE at `start` with a record that cannot be used; X509_* at `start` with a given root that cannot
 */
export function stepPrimary(state: PrimaryCA, input: PrimaryInput, moment: Moment): Step<PrimaryCA> {
  // A table entry is found by the input's own kind, so that both always belong together.
  const handle = on[input.kind] as (state: PrimaryCA, input: PrimaryInput, moment: Moment) => Step<PrimaryCA>
  return handle(state, input, moment)
}

function configure(state: PrimaryCA, asked: CAConfiguration, requestId: number, moment: Moment): Step<PrimaryCA> {
  const checked = checkConfiguration(asked)
  if (state.making) throw caError('CA_BUSY', {})
  if (!state.authority) throw caError('CA_NOT_READY', {})
  if (!needsNewRoot(state, checked)) {
    const next = withConfiguration(state, checked, moment.nowMs)
    return { state: next, effects: [storeEffect(next), replyOk(requestId, true)] }
  }
  if (state.roots.length >= MAX_ROOTS) throw caError('CA_TOO_MANY_ROOTS', { limit: MAX_ROOTS })
  return change(state, checked, requestId, moment)
}

/** Whether what is asked for is another root than the one in force. */
function needsNewRoot(state: PrimaryCA, { settings, shown }: CheckedConfiguration): boolean {
  const current = state.configuration
  if (settings.given?.rootPem) {
    const asked = new X509Certificate(givenCertificate(settings.given.rootPem))
    return asked.fingerprint256 !== new X509Certificate(state.authority?.signer.certPem ?? '').fingerprint256
  }
  if (settings.given?.keyPem) {
    const asked = createPublicKey(privateKeyFromPem(settings.given.keyPem, 'PrivateKey'))
    // Not KeyObject.equals(): for keys of two kinds it leaves an error behind that the next key read then fails with.
    const inForce = new X509Certificate(state.authority?.signer.certPem ?? '').publicKey
    return !meshKeyIdentifier(inForce).equals(meshKeyIdentifier(asked))
  }
  const wasGiven = current.shown.Config?.RootCert !== undefined && shown.Config?.RootCert === undefined
  return wasGiven || !sameKey(current.settings, settings)
}

function givenCertificate(pem: string): string {
  try {
    return new X509Certificate(pem).toString()
  } catch (error) {
    throw caError('CA_BAD_CONFIG', { reason: 'RootCert is not a certificate in PEM form' }, error)
  }
}

/** Begins a change: at once with a key that was given, otherwise when one has been made. */
function change(
  state: PrimaryCA,
  configuration: CheckedConfiguration,
  requestId: number | undefined,
  moment: Moment,
): Step<PrimaryCA> {
  const making = { configuration, requestId }
  const { given, key } = configuration.settings
  if (!given) return { state: { ...state, making }, effects: [{ kind: 'make-key', key }] }
  if (given.keyPem === '') throw caError('CA_BAD_CONFIG', { reason: 'RootCert needs its PrivateKey' })
  const givenKey = privateKeyFromPem(given.keyPem, 'PrivateKey')
  checkKeyKind(givenKey)
  if (given.rootPem === '') return rotate({ ...state, making }, givenKey, undefined, moment)
  const signer = signerFromPem(given.rootPem, given.keyPem, 'RootCert')
  const [first] = certificateFacts(new X509Certificate(signer.certPem)).uris
  const wanted = `spiffe://${trustDomainOf(state.clusterId)}`
  if (first !== undefined && first !== wanted) {
    throw caError('CA_BAD_CONFIG', { reason: `RootCert is for "${first}", this federation is "${wanted}"` })
  }
  return rotate({ ...state, making }, signer.key, signer.certPem, moment)
}

/** A key that an operator gives must be of a kind that we make ourselves: others cannot sign what peers read. */
function checkKeyKind(key: KeyObject): void {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve)) return
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) return
  throw caError('CA_BAD_CONFIG', { reason: 'PrivateKey must be EC on a NIST curve, or RSA of 2048 bits or more' })
}

/** A new root takes over: made with `key`, or given as `certPem`. */
function rotate(state: PrimaryCA, key: KeyObject, certPem: string | undefined, moment: Moment): Step<PrimaryCA> {
  const { making } = state
  // A key that was asked for before a restart, or twice: nobody waits for it.
  if (!making) return { state, effects: [] }
  // A first root that another server made meanwhile is the first.
  if (making.requestId === undefined && state.authority) return { state: { ...state, making: undefined }, effects: [] }
  const { nowMs, random } = moment
  const { settings } = making.configuration
  const own = takeSerial({ ...state, making: undefined })
  const cross = takeSerial(own.state)
  const clusterId = state.clusterId
  const nameId = random
    .bytes(NAME_ID_BYTES)
    .reduce((id, byte) => id * 256 + byte, 0)
    .toString(36)
  const publicKey = createPublicKey(key)
  const root = { clusterId, nameId, serial: own.serial, publicKey, privateKey: key, nowMs, ttlMs: settings.rootTtlMs }
  const rootPem = certPem ?? makeRoot(root)
  const old = state.authority
  const crossed =
    old && !settings.forceWithoutCrossSigning
      ? [crossSign(rootPem, old.signer, cross.serial, nowMs), ...stillValid(old.chain, nowMs)]
      : []
  const row = rootRow(rootPem, clusterId, crossed)
  const signer = signerFrom(rootPem, key, 'root')
  const authority: SigningAuthority = { signer, chain: crossed, rootId: row.ID, trustDomain: trustDomainOf(clusterId) }
  const oldTtlMs = Math.max(state.configuration.settings.leafTtlMs, settings.leafTtlMs)
  const pruneAtMs = old ? { ...state.pruneAtMs, [old.rootId]: nowMs + 2 * oldTtlMs } : state.pruneAtMs
  const roots = [...state.roots.map((each) => rotatedOut(each, timeText(nowMs))), row]
  const next = { ...withConfiguration(cross.state, making.configuration, nowMs), authority, roots, pruneAtMs }
  const text = old ? `root certificate ${old.rootId} rotated out by ${row.ID}` : `root certificate ${row.ID} made`
  const done: CAEffect[] = making.requestId === undefined ? [] : [replyOk(making.requestId, true)]
  return { state: next, effects: [storeEffect(next), { kind: 'log', level: 'info', text }, ...done] }
}

function stillValid(chain: readonly string[], nowMs: number): string[] {
  return chain.filter((pem) => certificateFacts(new X509Certificate(pem)).notAfterMs > nowMs)
}

function signIntermediate(state: PrimaryCA, requestId: number, csr: string, nowMs: number): Step<PrimaryCA> {
  const { authority } = state
  if (!authority) throw caError('CA_NOT_READY', {})
  const request = parseCertificateRequest(csr)
  const { uris, dnsNames, ipAddresses, otherNames } = request
  const uri = uris[0] ?? ''
  if (uris.length !== 1 || dnsNames.length + ipAddresses.length + otherNames > 0) {
    throw caError('CA_CSR_NAMES', { reason: `it asks for ${uris.length} URIs and other names` })
  }
  const id = parseSpiffeId(uri)
  if (id.trustDomain !== authority.trustDomain) {
    throw caError('CA_CSR_TRUST_DOMAIN', { asked: id.trustDomain, ours: authority.trustDomain })
  }
  if (id.kind !== 'authority' || !request.authority || formatSpiffeId(id) !== uri) {
    throw caError('CA_CSR_AUTHORITY', { uri, wanted: 'a certificate authority of the trust domain' })
  }
  const { state: next, serial, stored } = takeSerial(state)
  const ttlMs = state.configuration.settings.intermediateTtlMs
  const pem = makeIntermediate(request, authority.signer, serial, nowMs, ttlMs)
  return { state: next, effects: [...stored, replyOk(requestId, pem)] }
}

/** Whether a cross-signed certificate still leads somewhere: it is valid, and what signed it is trusted. */
function leadsSomewhere(pem: string, trustedKeyIds: readonly string[], nowMs: number): boolean {
  const certificate = new X509Certificate(pem)
  return certificateFacts(certificate).notAfterMs > nowMs && trustedKeyIds.includes(authorityKeyIdOf(certificate))
}

/** Forgets roots whose time has come, and cross-signed certificates that lead nowhere any more. */
function tick(state: PrimaryCA, { nowMs }: Moment): Step<PrimaryCA> {
  const { authority } = state
  const wakeAt = primaryWakeAtMs(state)
  if (!authority || wakeAt === undefined || wakeAt > nowMs) return { state, effects: [] }
  const gone = state.roots.filter(({ ID, Active }) => !Active && (state.pruneAtMs[ID] ?? 0) <= nowMs)
  const kept = state.roots.filter((row) => !gone.includes(row))
  const keyIds = kept.map(({ RootCert }) => keyIdOf(new X509Certificate(RootCert)))
  const chain = authority.chain.filter((pem) => leadsSomewhere(pem, keyIds, nowMs))
  const intermediates = chain.length === 0 ? null : chain
  const roots = kept.map((row) => (row.Active ? { ...row, IntermediateCerts: intermediates } : row))
  const pruneAtMs = Object.fromEntries(
    Object.entries(state.pruneAtMs).filter(([id]) => roots.some(({ ID }) => ID === id)),
  )
  const next = { ...state, roots, pruneAtMs, authority: { ...authority, chain } }
  const logs = gone.map(
    ({ ID }): CAEffect => ({ kind: 'log', level: 'info', text: `root certificate ${ID} forgotten` }),
  )
  return { state: next, effects: [storeEffect(next), ...logs] }
}

/** When the next `tick` has something to do; undefined: never. Wall time in milliseconds. */
export function primaryWakeAtMs(state: PrimaryCA): number | undefined {
  const pruned = state.roots.filter(({ Active }) => !Active).map(({ ID }) => state.pruneAtMs[ID] ?? 0)
  const crossed = (state.authority?.chain ?? []).map((pem) => certificateFacts(new X509Certificate(pem)).notAfterMs)
  const times = [...pruned, ...crossed]
  return times.length === 0 ? undefined : Math.min(...times)
}
