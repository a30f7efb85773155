/**
 * When this datacenter's certificates end, as its status tells it, and what to do about those that end soon.
 *
 * Pure: where the certificates come from is the agent's business.
 */
import type { CertificateExpiry, CertificateKind } from '#ca'
import type { DiagnosisContext } from './diagnosis.ts'
import type { CertificateStatus, FederationProblem } from './status.ts'

/** Most certificates that one problem names. */
const MAX_NAMES = 3

const stamp = (wallMs: number): string => new Date(wallMs).toISOString()

export function certificateStatus(expiry: CertificateExpiry): CertificateStatus {
  return {
    Kind: expiry.kind,
    Name: expiry.name,
    KeyID: expiry.keyId,
    NotBefore: stamp(expiry.notBeforeMs),
    NotAfter: stamp(expiry.notAfterMs),
    RemainingSeconds: Math.floor(expiry.remainingMs / 1000),
    State: expiry.state,
    Active: expiry.active,
  }
}

interface Advice {
  readonly title: string
  hint(context: DiagnosisContext): string
}

/** A cross-signed root has none: it only has to last until every certificate is of the new root. */
const ADVICE: Readonly<Partial<Record<CertificateKind, Advice>>> = {
  root: {
    title: 'Root certificate of the mesh',
    hint: ({ primaryDatacenter }) =>
      `make a new one in datacenter "${primaryDatacenter}", with another "PrivateKeyType" or "PrivateKeyBits": hanse connect ca set-config -config-file FILE`,
  },
  intermediate: {
    title: 'Intermediate certificate of the mesh',
    hint: ({ primaryDatacenter }) =>
      `datacenter "${primaryDatacenter}" renews it when it is asked: see that it can be reached, and what the log says of it`,
  },
  leaf: {
    title: 'Certificate of a service',
    hint: () =>
      'it should have been renewed: see why not in the log of this agent ("a leaf certificate was not signed")',
  },
  server: {
    title: 'Server certificate (setting "cert_file")',
    hint: ({ datacenter }) =>
      `make a new one, replace the files, then hanse reload: hanse tls cert create -server -dc ${datacenter} -node '*'`,
  },
  https: {
    title: 'Certificate of the HTTPS port (setting "tls.https.cert_file")',
    hint: ({ datacenter }) =>
      `make a new one, replace the files, then hanse reload: hanse tls cert create -server -dc ${datacenter} -additional-dnsname NAME`,
  },
}

/**
 * One problem for each kind of certificate of which some end soon or have ended. Times are absolute, so that the same
 * problem has the same text each time.
 *
 * @param expiries - the nearest end first
 */
export function certificateProblems(
  expiries: readonly CertificateExpiry[],
  context: DiagnosisContext,
): readonly FederationProblem[] {
  const ending = expiries.filter(({ state, active }) => active && state !== 'ok')
  const kinds = [...new Set(ending.map(({ kind }) => kind))]
  return kinds.flatMap((kind) => {
    const advice = ADVICE[kind]
    if (!advice) return []
    const all = ending.filter((expiry) => expiry.kind === kind)
    const ends = all
      .slice(0, MAX_NAMES)
      .map(({ name, notAfterMs, state }) => `"${name}" ${state === 'expired' ? 'ended' : 'ends'} ${stamp(notAfterMs)}`)
    const more = all.length > ends.length ? `, and ${all.length - ends.length} more` : ''
    return [
      {
        Code: 'CERTIFICATE_ENDS',
        Message: `${advice.title}: ${ends.join(', ')}${more}`,
        Hint: advice.hint(context),
      },
    ]
  })
}
