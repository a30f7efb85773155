/**
 * Which roots a secondary shows: the primary's, checked when they come, with the intermediate of this datacenter in the
 * one whose leafs it signs, and those that the primary forgot while leafs from here could still lead to them.
 *
 * Source: federation wire notes §9.
 */
import { X509Certificate } from 'node:crypto'
import { CARoot, certificateFacts, type IndexedCARoots, ZERO_TIME } from '#codec'
import { type CACore, MAX_ROOTS, rotatedOut } from './authority.ts'
import { certificateId, colonHex, timeText } from './certificates.ts'
import { caError } from './errors.ts'

/** What ConnectCA.Roots answers, without the facts about the query. */
export type RootsAnswer = Pick<IndexedCARoots, 'ActiveRootID' | 'TrustDomain' | 'Roots'>

/** Most intermediates of one root: cross-signed ones, and those of other kinds of provider. */
const MAX_INTERMEDIATES = 16

function idOfAuthority(pem: string): string {
  try {
    const certificate = new X509Certificate(pem)
    return certificate.ca ? certificateId(certificate) : 'no authority'
  } catch {
    return 'unreadable'
  }
}

/** The primary's rows, checked: certificates that can be read, named by their own ids, one of them active. @throws CA_BAD_STATE */
export function checkedRoots(roots: RootsAnswer): readonly CARoot[] {
  const rows = roots.Roots ?? []
  const bad = (reason: string) => caError('CA_BAD_STATE', { reason: `the primary's roots: ${reason}` })
  if (rows.length > 2 * MAX_ROOTS) throw bad(`more than ${2 * MAX_ROOTS}`)
  for (const { ID, RootCert, IntermediateCerts } of rows) {
    const id = idOfAuthority(RootCert)
    if (id !== ID) throw bad(`the certificate of "${ID}" is ${id}`)
    const intermediates = IntermediateCerts ?? []
    if (intermediates.length > MAX_INTERMEDIATES) throw bad(`"${ID}" has more than ${MAX_INTERMEDIATES} intermediates`)
    if (intermediates.map(idOfAuthority).some((each) => !each.includes(':'))) {
      throw bad(`an intermediate of "${ID}" is no certificate of an authority`)
    }
  }
  if (!rows.some(({ ID }) => ID === roots.ActiveRootID)) throw bad('none is active')
  if (!/^[a-z0-9._-]+\.consul$/.test(roots.TrustDomain)) throw bad(`trust domain "${roots.TrustDomain}"`)
  return rows.map((row) => CARoot.of({ ...row, Active: row.ID === roots.ActiveRootID, SigningKey: '' }))
}

export function activeOf(rows: readonly CARoot[]): CARoot | undefined {
  return rows.find(({ Active }) => Active)
}

/** The rows to show here: the primary's, with our own intermediate in the one whose leafs we sign. */
export function withRows<S extends CACore & { readonly primaryRoots: readonly CARoot[] }>(state: S, nowMs: number): S {
  const { authority, primaryRoots, roots } = state
  const at = timeText(nowMs)
  const before = new Map(roots.map((row) => [row.ID, row]))
  const ours = primaryRoots.map((row) => {
    const known = before.get(row.ID)
    const own = known?.Active || known?.RotatedOutAt !== ZERO_TIME ? known : undefined
    if (!authority) return row
    if (row.ID === authority.rootId) {
      return signingRow(row, authority.signer.keyId, crossOf(row, nowMs), authority.signer.certPem)
    }
    return rotatedOut(own ?? CARoot.of({ ...row, Active: false }), at)
  })
  const keep = roots
    .filter(({ ID }) => !primaryRoots.some((row) => row.ID === ID))
    .filter(({ ID }) => ID === authority?.rootId || (state.pruneAtMs[ID] ?? 0) > nowMs)
    .map((row) => (row.ID === authority?.rootId ? row : rotatedOut(row, at)))
  const rows = primaryRoots.length === 0 ? roots : [...keep, ...ours]
  const chain = authority && rows.find(({ ID }) => ID === authority.rootId)?.IntermediateCerts
  return { ...state, roots: rows, authority: authority && { ...authority, chain: chain ?? authority.chain } }
}

/** Certificates that lead from other roots to this one, and have not ended. */
export function crossOf(row: CARoot, nowMs: number): readonly string[] {
  return (row.IntermediateCerts ?? []).filter((pem) => notAfterMs(pem) > nowMs)
}

export function notAfterMs(pem: string): number {
  return certificateFacts(new X509Certificate(pem)).notAfterMs
}

function signingRow(row: CARoot, keyId: Buffer, cross: readonly string[], intermediate: string): CARoot {
  return CARoot.of({ ...row, Active: true, SigningKeyID: colonHex(keyId), IntermediateCerts: [...cross, intermediate] })
}

/** The root that signed an intermediate: of those the primary has told us. */
export function rootOf(intermediate: X509Certificate, rows: readonly CARoot[]): CARoot | undefined {
  return rows.find(({ RootCert }) => {
    const root = new X509Certificate(RootCert)
    try {
      return intermediate.checkIssued(root) && intermediate.verify(root.publicKey)
    } catch {
      return false
    }
  })
}
