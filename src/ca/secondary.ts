/**
 * The certificate authority of a secondary datacenter: an intermediate, signed by the primary's root, signs leafs here.
 *
 * Roots arrive from the primary → a key and a CSR are made → the primary signs the intermediate → leafs can be signed.
 * A new root in the primary, half of the intermediate's life, or another kind of key begin the same again; until it is
 * done the old intermediate goes on signing, and its root stays the active one here. Without the primary everything
 * goes on with what there is. A refusal (no replication token yet, too narrow a one) is tried again, for ever.
 *
 * What is trusted here is every root of the primary, and those that the primary forgot while leafs of ours could still
 * lead to them.
 *
 * Source: federation wire notes §9, §13.
 */
import { type KeyObject, X509Certificate } from 'node:crypto'
import { HanseError, messageOf } from '#base'
import { type CAConfiguration, type CARoot, certificateFacts, createCertificateRequest, signerFrom } from '#codec'
import {
  type CACore,
  type CAEffect,
  type Moment,
  newCore,
  replyError,
  replyOk,
  restoreCore,
  type Step,
  type StoredCA,
  sameKey,
  signLeaf,
  storeEffect,
  withConfiguration,
} from './authority.ts'
import { checkConfiguration, DEFAULT_CONFIGURATION } from './configuration.ts'
import { caError } from './errors.ts'
import { trustDomainOf } from './names.ts'
import { activeOf, checkedRoots, crossOf, notAfterMs, type RootsAnswer, rootOf, withRows } from './secondary-rows.ts'

/** First wait after a refusal, doubled with each further one. */
export const RETRY_FIRST_MS = 1_000
export const RETRY_MOST_MS = 60_000
/** A key or a signature that did not arrive in this time is asked for again. */
export const ANSWER_LIMIT_MS = 120_000

/** An intermediate under way. */
interface Wanted {
  readonly rootId: string
  readonly sinceMs: number
  /** Set when the key was made and the CSR sent. */
  readonly key: KeyObject | undefined
}

export interface SecondaryCA extends CACore {
  readonly kind: 'secondary'
  /** Rows as the primary has them; empty before they first came since the start. */
  readonly primaryRoots: readonly CARoot[]
  readonly wanted: Wanted | undefined
  /** Another kind of key was configured. */
  readonly renewNow: boolean
  readonly failures: number
  readonly retryAtMs: number
  /** Why the last attempt failed; empty when none did since the last success. For people. */
  readonly lastError: string
}

export type SecondaryInput =
  | { readonly kind: 'start'; readonly stored: StoredCA | undefined }
  /** What another server stored. */
  | { readonly kind: 'adopt'; readonly stored: StoredCA }
  /** This server does not lead any more: another one follows the primary. */
  | { readonly kind: 'follow' }
  /** The answer of ConnectCA.Roots in the primary, whenever it changes. */
  | { readonly kind: 'roots'; readonly roots: RootsAnswer }
  | { readonly kind: 'key'; readonly key: KeyObject }
  | { readonly kind: 'key-failed'; readonly reason: string }
  /** The answer of ConnectCA.SignIntermediate. */
  | { readonly kind: 'intermediate'; readonly pem: string }
  /** It was refused, or the primary was not reached. */
  | { readonly kind: 'intermediate-refused'; readonly reason: string }
  | { readonly kind: 'configure'; readonly requestId: number; readonly configuration: CAConfiguration }
  | { readonly kind: 'sign-leaf'; readonly requestId: number; readonly csr: string }
  | { readonly kind: 'sign-intermediate'; readonly requestId: number; readonly csr: string }
  /** At `secondaryWakeAtMs()`, or whenever: what is due is done. */
  | { readonly kind: 'tick' }

/** @throws CA_UNKNOWN_PROVIDER, CA_BAD_CONFIG */
export function newSecondaryCA(datacenter: string, nowMs: number, configuration = DEFAULT_CONFIGURATION): SecondaryCA {
  return {
    ...newCore(datacenter, checkConfiguration(configuration), nowMs),
    kind: 'secondary',
    primaryRoots: [],
    wanted: undefined,
    renewNow: false,
    failures: 0,
    retryAtMs: 0,
    lastError: '',
  }
}

type On = {
  readonly [K in SecondaryInput['kind']]: (
    state: SecondaryCA,
    input: Extract<SecondaryInput, { kind: K }>,
    moment: Moment,
  ) => Step<SecondaryCA>
}

const on: On = {
  start: (state, { stored }) => ({ state: stored ? restored(state, stored) : state, effects: [] }),
  adopt: (state, { stored }, moment) => consider(restored(state, stored), moment),
  follow: (state) => ({ state: { ...state, ...NOTHING_UNDER_WAY, primaryRoots: [] }, effects: [] }),
  roots: (state, { roots }, moment) => rootsCame(state, roots, moment),
  key: (state, { key }, moment) => keyCame(state, key, moment),
  'key-failed': (state, { reason }, moment) => failed(state, caError('CA_NO_KEY', { reason }).message, moment),
  intermediate: (state, { pem }, moment) => intermediateCame(state, pem, moment),
  'intermediate-refused': (state, { reason }, moment) =>
    failed(state, `the primary did not sign the intermediate certificate: ${reason}`, moment),
  configure: (state, { requestId, configuration }, moment) => {
    try {
      return configure(state, configuration, requestId, moment)
    } catch (error) {
      return { state, effects: [replyError(requestId, error)] }
    }
  },
  'sign-leaf': (state, { requestId, csr }, { nowMs }) => signLeaf(state, requestId, csr, nowMs),
  'sign-intermediate': (state, { requestId }) => ({
    state,
    effects: [replyError(requestId, caError('CA_NOT_PRIMARY', {}))],
  }),
  tick: (state, _input, moment) => tick(state, moment),
}

/**
 * One input into a secondary's authority.
 *
 * @throws CA_BAD_STATE at `start` with a record that cannot be used
 */
export function stepSecondary(state: SecondaryCA, input: SecondaryInput, moment: Moment): Step<SecondaryCA> {
  // A table entry is found by the input's own kind, so that both always belong together.
  const handle = on[input.kind] as (state: SecondaryCA, input: SecondaryInput, moment: Moment) => Step<SecondaryCA>
  return handle(state, input, moment)
}

function restored(state: SecondaryCA, stored: StoredCA): SecondaryCA {
  const next = restoreCore(state, stored, checkConfiguration(stored.configuration))
  const same = state.authority?.signer.certPem === next.authority?.signer.certPem
  return { ...next, renewNow: (same && state.renewNow) || signsWithOtherKey(next) }
}

/** Whether another kind of key was configured since our intermediate was made: by another server, or before a restart. */
function signsWithOtherKey({ authority, configuration }: SecondaryCA): boolean {
  if (!authority) return false
  const { namedCurve = '', modulusLength } = authority.signer.key.asymmetricKeyDetails ?? {}
  const { type, bits } = configuration.settings.key
  return authority.signer.key.asymmetricKeyType !== type || (modulusLength ?? CURVE_BITS[namedCurve]) !== bits
}

const CURVE_BITS: Readonly<Record<string, number>> = { secp224r1: 224, prime256v1: 256, secp384r1: 384, secp521r1: 521 }

function rootsCame(state: SecondaryCA, roots: RootsAnswer, moment: Moment): Step<SecondaryCA> {
  let rows: readonly CARoot[]
  try {
    rows = checkedRoots(roots)
  } catch (error) {
    return { state, effects: [{ kind: 'log', level: 'error', text: messageOf(error) }] }
  }
  const clusterId = roots.TrustDomain.slice(0, -'.consul'.length)
  const effects: CAEffect[] = []
  if (state.clusterId !== '' && state.clusterId !== clusterId) {
    const text = `the primary's trust domain is now "${roots.TrustDomain}", it was "${trustDomainOf(state.clusterId)}"`
    effects.push({ kind: 'log', level: 'warn', text })
  }
  const activeChanged = activeOf(state.primaryRoots)?.ID !== roots.ActiveRootID
  const told = { ...state, clusterId, primaryRoots: rows, ...(activeChanged ? { failures: 0, retryAtMs: 0 } : {}) }
  const next = withRows(told, moment.nowMs)
  if (changed(state, next)) effects.push(storeEffect(next))
  return also(effects, consider(next, moment))
}

function changed(before: CACore, after: CACore): boolean {
  return before.clusterId !== after.clusterId || JSON.stringify(before.roots) !== JSON.stringify(after.roots)
}

function also<S>(effects: readonly CAEffect[], step: Step<S>): Step<S> {
  return { state: step.state, effects: [...effects, ...step.effects] }
}

/** Half of the intermediate's life, wall time. */
function renewAtMs({ authority }: SecondaryCA): number {
  if (!authority) return 0
  const { notBeforeMs, notAfterMs } = certificateFacts(new X509Certificate(authority.signer.certPem))
  return notBeforeMs + (notAfterMs - notBeforeMs) / 2
}

/** Begins to get a new intermediate where one is needed and nothing is under way. */
function consider(state: SecondaryCA, { nowMs }: Moment): Step<SecondaryCA> {
  const active = activeOf(state.primaryRoots)
  if (!active) return { state, effects: [] }
  const fits = state.authority?.rootId === active.ID && !state.renewNow && nowMs < renewAtMs(state)
  if (fits) return { state: { ...state, wanted: undefined }, effects: [] }
  const underWay = state.wanted && state.wanted.rootId === active.ID && nowMs < state.wanted.sinceMs + ANSWER_LIMIT_MS
  if (underWay || nowMs < state.retryAtMs) return { state, effects: [] }
  const wanted: Wanted = { rootId: active.ID, sinceMs: nowMs, key: undefined }
  return { state: { ...state, wanted }, effects: [{ kind: 'make-key', key: state.configuration.settings.key }] }
}

function keyCame(state: SecondaryCA, key: KeyObject, { nowMs }: Moment): Step<SecondaryCA> {
  const { wanted } = state
  // A key that was asked for before a restart or for a root that is no longer active: nobody waits for it.
  if (!wanted || wanted.key) return { state, effects: [] }
  const uris = [`spiffe://${trustDomainOf(state.clusterId)}`]
  const csr = createCertificateRequest({ key, uris, authority: true })
  return {
    state: { ...state, wanted: { ...wanted, key, sinceMs: nowMs } },
    effects: [{ kind: 'sign-intermediate', csr }],
  }
}

/** Waits longer with each failure, and a random part less, so that secondaries do not come all at once. */
function failed(state: SecondaryCA, reason: string, { nowMs, random }: Moment): Step<SecondaryCA> {
  const waitMs = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** Math.min(state.failures, 16))
  const retryAtMs = nowMs + waitMs * (0.5 + random.float() / 2)
  const next = { ...state, wanted: undefined, failures: state.failures + 1, retryAtMs, lastError: reason }
  // The same reason again says nothing new.
  const effects: CAEffect[] = reason === state.lastError ? [] : [{ kind: 'log', level: 'warn', text: reason }]
  return { state: next, effects }
}

function intermediateCame(state: SecondaryCA, pem: string, moment: Moment): Step<SecondaryCA> {
  const { wanted } = state
  if (!wanted?.key) return { state, effects: [] }
  let intermediate: X509Certificate
  try {
    intermediate = new X509Certificate(pem)
    const signer = signerFrom(intermediate.toString(), wanted.key, 'intermediate')
    const row = rootOf(intermediate, state.primaryRoots)
    const trustDomain = trustDomainOf(state.clusterId)
    const facts = certificateFacts(intermediate)
    if (!row) return failed(state, 'the intermediate certificate was signed by a root that is not known here', moment)
    if (!facts.uris.includes(`spiffe://${trustDomain}`) || facts.notAfterMs <= moment.nowMs) {
      return failed(state, `the intermediate certificate is not valid now for "${trustDomain}"`, moment)
    }
    const authority = { signer, chain: [...crossOf(row, moment.nowMs), signer.certPem], rootId: row.ID, trustDomain }
    return take({ ...state, authority }, state.authority?.rootId, moment)
  } catch (error) {
    const reason = error instanceof HanseError ? error.message : 'unreadable'
    return failed(state, `cannot use the intermediate certificate that the primary signed: ${reason}`, moment)
  }
}

const NOTHING_UNDER_WAY = { wanted: undefined, renewNow: false, failures: 0, retryAtMs: 0, lastError: '' }

/** The new intermediate is in force. Leafs of the old one live on: their root is kept for twice their life. */
function take(state: SecondaryCA, oldRootId: string | undefined, moment: Moment): Step<SecondaryCA> {
  const { nowMs } = moment
  const rootId = state.authority?.rootId ?? ''
  const rotated = oldRootId !== undefined && oldRootId !== rootId
  const until = nowMs + 2 * state.configuration.settings.leafTtlMs
  const pruneAtMs = rotated ? { ...state.pruneAtMs, [oldRootId]: until } : state.pruneAtMs
  const next = withRows({ ...state, ...NOTHING_UNDER_WAY, pruneAtMs }, nowMs)
  const text = `intermediate certificate of datacenter "${state.datacenter}" signed under root ${rootId}`
  // The primary may have rotated again while this one was signed.
  return also([storeEffect(next), { kind: 'log', level: 'info', text }], consider(next, moment))
}

function configure(state: SecondaryCA, asked: CAConfiguration, requestId: number, moment: Moment): Step<SecondaryCA> {
  const checked = checkConfiguration(asked)
  if (checked.settings.given) {
    throw caError('CA_BAD_CONFIG', { reason: 'RootCert and PrivateKey are set in the primary datacenter' })
  }
  const renewNow = state.renewNow || !sameKey(state.configuration.settings, checked.settings)
  const next = { ...withConfiguration(state, checked, moment.nowMs), renewNow }
  return also([storeEffect(next), replyOk(requestId, true)], consider(next, moment))
}

function tick(state: SecondaryCA, moment: Moment): Step<SecondaryCA> {
  const { nowMs } = moment
  const pruneAtMs = Object.fromEntries(Object.entries(state.pruneAtMs).filter(([, at]) => at > nowMs))
  const next = withRows({ ...state, pruneAtMs }, nowMs)
  const effects: CAEffect[] = changed(state, next) ? [storeEffect(next)] : []
  return also(effects, consider(next, moment))
}

/** When the next `tick` has something to do; undefined: not before another input. Wall time in milliseconds. */
export function secondaryWakeAtMs(state: SecondaryCA): number | undefined {
  const { authority } = state
  // What a chain ends with is our own intermediate: it has a time of its own.
  const crossed = authority?.chain.filter((pem) => pem !== authority.signer.certPem) ?? []
  const times = [...Object.values(state.pruneAtMs), ...crossed.map(notAfterMs)]
  if (state.primaryRoots.length > 0) {
    if (state.wanted) times.push(state.wanted.sinceMs + ANSWER_LIMIT_MS)
    else if (state.lastError !== '') times.push(state.retryAtMs)
    else times.push(renewAtMs(state))
  }
  return times.length === 0 ? undefined : Math.min(...times)
}
