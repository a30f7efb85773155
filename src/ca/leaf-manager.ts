/**
 * The leaf certificates that an agent keeps for its services and for itself: got when first asked for, renewed in time,
 * and again when the authority that signs them changes.
 *
 * Renewal comes at a random point between 60 and 90 % of a leaf's life, after a change of root within a spread, so that
 * a datacenter's proxies never ask all at once. A refusal (rate limit, no primary yet) is tried again, later each time;
 * the old leaf stays in use until the new one is there. Pure: the driver makes keys, CSRs and the call.
 *
 * Source: federation wire notes §9.
 */
import { X509Certificate } from 'node:crypto'
import { type CARoot, IssuedCert } from '#codec'
import type { Moment } from './authority.ts'
import { authorityKeyIdOf } from './certificates.ts'
import { caError } from './errors.ts'

/** Most leafs that one agent keeps. */
export const MAX_LEAFS = 4096
/** Within which time leafs follow a new root. */
export const ROOT_CHANGE_SPREAD_MS = 30_000
const RENEW_FROM = 0.6
const RENEW_UNTIL = 0.9
/** Leafs of an authority that is about to end are ever shorter; they are not renewed ever faster. */
const RENEW_LEAST_MS = 30_000
const RETRY_FIRST_MS = 1_000
const RETRY_MOST_MS = 60_000
/** A call that was not answered in this time is made again. */
const ANSWER_LIMIT_MS = 60_000

export interface Leaf {
  readonly uri: string
  /** In use; undefined until the first was signed. Its private key is a secret. */
  readonly certificate: IssuedCert | undefined
  /** Key identifier of what signed it. */
  readonly authorityKeyId: string
  /** When to ask for the next one, wall time. */
  readonly dueAtMs: number
  /** Since when a call is under way. */
  readonly askedAtMs: number | undefined
  readonly failures: number
  /** Why the last call failed; empty after a success. */
  readonly lastError: string
}

export interface LeafManager {
  readonly leafs: ReadonlyMap<string, Leaf>
  /** Key identifier of what signs leafs here now; empty before roots came. */
  readonly signingKeyId: string
}

export type LeafInput =
  | { readonly kind: 'want'; readonly uri: string }
  /** Nobody needs it any more. */
  | { readonly kind: 'forget'; readonly uri: string }
  | { readonly kind: 'roots'; readonly roots: readonly Pick<CARoot, 'Active' | 'SigningKeyID'>[] }
  | { readonly kind: 'issued'; readonly uri: string; readonly certificate: IssuedCert; readonly keyPem: string }
  | { readonly kind: 'refused'; readonly uri: string; readonly reason: string }
  | { readonly kind: 'tick' }

export type LeafEffect =
  /** Make a key and a CSR for that name, have it signed, answer with `issued` or `refused`. */
  | { readonly kind: 'issue'; readonly uri: string }
  /** Those who wait for this leaf get it now. */
  | { readonly kind: 'changed'; readonly uri: string; readonly certificate: IssuedCert }
  /** Those who wait for a first leaf get this error now; it is tried again for later ones. */
  | { readonly kind: 'unavailable'; readonly uri: string; readonly reason: string }

export interface LeafStep {
  readonly state: LeafManager
  readonly effects: readonly LeafEffect[]
}

export function newLeafManager(): LeafManager {
  return { leafs: new Map(), signingKeyId: '' }
}

function withLeaf(state: LeafManager, leaf: Leaf): LeafManager {
  return { ...state, leafs: new Map(state.leafs).set(leaf.uri, leaf) }
}

type On = {
  readonly [K in LeafInput['kind']]: (
    state: LeafManager,
    input: Extract<LeafInput, { kind: K }>,
    moment: Moment,
  ) => LeafStep
}

const on: On = {
  want: (state, { uri }, { nowMs }) => {
    if (state.leafs.has(uri)) return { state, effects: [] }
    if (state.leafs.size >= MAX_LEAFS) throw caError('CA_TOO_MANY_LEAFS', { limit: MAX_LEAFS })
    const leaf: Leaf = {
      uri,
      certificate: undefined,
      authorityKeyId: '',
      dueAtMs: nowMs,
      askedAtMs: nowMs,
      failures: 0,
      lastError: '',
    }
    return { state: withLeaf(state, leaf), effects: [{ kind: 'issue', uri }] }
  },
  forget: (state, { uri }) => {
    const leafs = new Map(state.leafs)
    leafs.delete(uri)
    return { state: { ...state, leafs }, effects: [] }
  },
  roots: (state, { roots }, moment) => rootsCame(state, roots, moment),
  issued: (state, { uri, certificate, keyPem }, moment) => issued(state, uri, certificate, keyPem, moment),
  refused: (state, { uri, reason }, moment) => refused(state, uri, reason, moment),
  tick: (state, _input, { nowMs }) => {
    const due = [...state.leafs.values()].filter((leaf) => wakeOf(leaf) <= nowMs)
    if (due.length === 0) return { state, effects: [] }
    const leafs = new Map(state.leafs)
    for (const leaf of due) leafs.set(leaf.uri, { ...leaf, askedAtMs: nowMs })
    return { state: { ...state, leafs }, effects: due.map(({ uri }) => ({ kind: 'issue', uri })) }
  },
}

/**
 * One input into an agent's leaf certificates.
 *
 * @throws CA_TOO_MANY_LEAFS at `want`
 */
export function stepLeafs(state: LeafManager, input: LeafInput, moment: Moment): LeafStep {
  // A table entry is found by the input's own kind, so that both always belong together.
  const handle = on[input.kind] as (state: LeafManager, input: LeafInput, moment: Moment) => LeafStep
  return handle(state, input, moment)
}

function soon({ nowMs, random }: Moment): number {
  return nowMs + random.float() * ROOT_CHANGE_SPREAD_MS
}

function rootsCame(
  state: LeafManager,
  roots: readonly Pick<CARoot, 'Active' | 'SigningKeyID'>[],
  moment: Moment,
): LeafStep {
  const signingKeyId = roots.find(({ Active }) => Active)?.SigningKeyID ?? ''
  if (signingKeyId === '' || signingKeyId === state.signingKeyId) return { state, effects: [] }
  const leafs = new Map(state.leafs)
  for (const leaf of leafs.values()) {
    if (leaf.certificate === undefined || leaf.authorityKeyId === signingKeyId) continue
    leafs.set(leaf.uri, { ...leaf, dueAtMs: Math.min(leaf.dueAtMs, soon(moment)) })
  }
  return { state: { ...state, leafs, signingKeyId }, effects: [] }
}

function issued(state: LeafManager, uri: string, signed: IssuedCert, keyPem: string, moment: Moment): LeafStep {
  const leaf = state.leafs.get(uri)
  if (!leaf) return { state, effects: [] }
  let authorityKeyId: string
  try {
    authorityKeyId = authorityKeyIdOf(new X509Certificate(signed.CertPEM))
  } catch {
    return refused(state, uri, 'the certificate that was signed cannot be read', moment)
  }
  const certificate = IssuedCert.of({ ...signed, PrivateKeyPEM: keyPem })
  // Signed by what was in force before a change that is already known: once more, as all others.
  const outdated = state.signingKeyId !== '' && authorityKeyId !== state.signingKeyId
  const renewal = Math.max(renewAtMs(signed, moment), moment.nowMs + RENEW_LEAST_MS)
  const dueAtMs = outdated ? Math.min(renewal, soon(moment)) : renewal
  const next: Leaf = { uri, certificate, authorityKeyId, dueAtMs, askedAtMs: undefined, failures: 0, lastError: '' }
  return { state: withLeaf(state, next), effects: [{ kind: 'changed', uri, certificate }] }
}

function renewAtMs({ ValidAfter, ValidBefore }: IssuedCert, { random }: Moment): number {
  const [from, until] = [Date.parse(ValidAfter), Date.parse(ValidBefore)]
  return from + (until - from) * (RENEW_FROM + random.float() * (RENEW_UNTIL - RENEW_FROM))
}

function refused(state: LeafManager, uri: string, reason: string, { nowMs, random }: Moment): LeafStep {
  const leaf = state.leafs.get(uri)
  if (!leaf) return { state, effects: [] }
  const waitMs = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** Math.min(leaf.failures, 16))
  const dueAtMs = nowMs + waitMs * (0.5 + random.float() / 2)
  const next = { ...leaf, dueAtMs, askedAtMs: undefined, failures: leaf.failures + 1, lastError: reason }
  const effects: LeafEffect[] = leaf.certificate ? [] : [{ kind: 'unavailable', uri, reason }]
  return { state: withLeaf(state, next), effects }
}

function wakeOf({ dueAtMs, askedAtMs }: Leaf): number {
  return askedAtMs === undefined ? dueAtMs : askedAtMs + ANSWER_LIMIT_MS
}

/** When the next `tick` has something to do; undefined: not before another input. Wall time in milliseconds. */
export function leafsWakeAtMs(state: LeafManager): number | undefined {
  let earliest: number | undefined
  for (const leaf of state.leafs.values()) earliest = Math.min(earliest ?? Number.POSITIVE_INFINITY, wakeOf(leaf))
  return earliest
}
