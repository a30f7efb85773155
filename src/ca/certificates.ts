/**
 * Which certificates the mesh has and how long they live: roots, cross-signed roots, intermediates, leafs, and the rows
 * that tell others about roots.
 *
 * Everything but a root begins a minute in the past, so that a machine whose clock is a little behind takes it at once.
 * Nothing outlives what signed it.
 *
 * Source: federation wire notes §9; recorded identities.
 */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import {
  CARoot,
  type CertificateRequest,
  certificateFacts,
  certificateNames,
  EMPTY_NAME,
  IssuedCert,
  issueMeshCertificate,
  issueSelfSigned,
  meshKeyIdentifier,
  meshName,
  type Signer,
  serialBytes,
} from '#codec'
import { PROVIDER } from './configuration.ts'
import { formatSpiffeId, type SpiffeId, trustDomainOf } from './names.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** How long a new root can be reached from the old one. */
export const CROSS_SIGNED_TTL_MS = 7 * DAY_MS
const ROOT_NAME = 'Consul CA Primary Cert'

/** Bytes as lower-case hex with colons, as ids of roots and keys are written. */
export function colonHex(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:')
}

/** A certificate's id: SHA-1 of it. */
export function certificateId(certificate: X509Certificate): string {
  return colonHex(createHash('sha1').update(certificate.raw).digest())
}

/** The identifier of a certificate's key, as what it signs repeats it. */
export function keyIdOf(certificate: X509Certificate): string {
  return colonHex(certificateNames(certificate.raw).subjectKeyId ?? meshKeyIdentifier(certificate.publicKey))
}

/** The identifier of the key that signed a certificate; empty where it does not say. */
export function authorityKeyIdOf(certificate: X509Certificate): string {
  return colonHex(certificateNames(certificate.raw).authorityKeyId ?? Buffer.alloc(0))
}

/** Seconds precision, as certificates have it. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function backdated(signer: Signer, nowMs: number, ttlMs: number): { notBeforeMs: number; notAfterMs: number } {
  const notBeforeMs = nowMs - MINUTE_MS
  return { notBeforeMs, notAfterMs: Math.min(notBeforeMs + ttlMs, signer.notAfterMs) }
}

export interface NewRoot {
  readonly clusterId: string
  /** Random and short; makes the name of each root different. */
  readonly nameId: string
  readonly serial: number
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
  readonly nowMs: number
  readonly ttlMs: number
}

/** A self-signed root as PEM. Alone among certificates it begins now. */
export function makeRoot({ clusterId, nameId, serial, publicKey, privateKey, nowMs, ttlMs }: NewRoot): string {
  return issueSelfSigned(
    {
      serial: BigInt(serial),
      subject: meshName(`pri-${nameId}.${PROVIDER}.ca.${clusterId.slice(0, 8)}.consul`),
      publicKey,
      notBeforeMs: nowMs,
      notAfterMs: nowMs + ttlMs,
      use: { authority: true },
      uris: [`spiffe://${trustDomainOf(clusterId)}`],
      urisCritical: false,
    },
    privateKey,
  )
}

/** The new root's name and key, signed by the old root: those who know only the old one can follow. */
export function crossSign(newRootPem: string, oldRoot: Signer, serial: number, nowMs: number): string {
  const root = new X509Certificate(newRootPem)
  return issueMeshCertificate(
    {
      serial: BigInt(serial),
      subject: certificateNames(root.raw).subject,
      publicKey: root.publicKey,
      ...backdated(oldRoot, nowMs, CROSS_SIGNED_TTL_MS),
      use: { authority: true },
      uris: certificateFacts(root).uris,
      urisCritical: false,
    },
    oldRoot,
  )
}

/** A secondary's intermediate: it may sign leafs and nothing else. */
export function makeIntermediate(
  request: CertificateRequest,
  root: Signer,
  serial: number,
  nowMs: number,
  ttlMs: number,
): string {
  return issueMeshCertificate(
    {
      serial: BigInt(serial),
      subject: EMPTY_NAME,
      publicKey: request.publicKey,
      ...backdated(root, nowMs, ttlMs),
      use: { authority: true, maxPathLength: 0 },
      uris: request.uris,
      urisCritical: true,
    },
    root,
  )
}

/** A leaf, as the answer of ConnectCA.Sign; `chain` follows it in its PEM text. */
export function makeLeaf(
  request: CertificateRequest,
  id: SpiffeId,
  issuer: { readonly signer: Signer; readonly chain: readonly string[] },
  serial: number,
  nowMs: number,
  ttlMs: number,
): IssuedCert {
  const { signer, chain } = issuer
  const uri = formatSpiffeId(id)
  const dates = backdated(signer, nowMs, ttlMs)
  const template = { serial: BigInt(serial), subject: EMPTY_NAME, publicKey: request.publicKey, ...dates }
  const use = { authority: false } as const
  const leaf = issueMeshCertificate({ ...template, use, uris: [uri], urisCritical: true }, signer)
  return IssuedCert.of({
    SerialNumber: colonHex(serialBytes(BigInt(serial))),
    CertPEM: leaf + chain.join(''),
    ...identityFields(id, uri),
    ValidAfter: timeText(dates.notBeforeMs),
    ValidBefore: timeText(dates.notAfterMs),
  })
}

function identityFields(id: SpiffeId, uri: string): Partial<IssuedCert> {
  if (id.kind === 'service') return { Service: id.service, ServiceURI: uri }
  if (id.kind === 'agent') return { Agent: id.node, AgentURI: uri }
  if (id.kind === 'server') return { ServerURI: uri }
  return { Kind: id.kind, KindURI: uri }
}

/** The row that tells others about a root. */
export function rootRow(pem: string, clusterId: string, intermediates: readonly string[]): CARoot {
  const certificate = new X509Certificate(pem)
  const { notBeforeMs, notAfterMs } = certificateFacts(certificate)
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  const serial = BigInt(`0x${certificate.serialNumber}`)
  return CARoot.of({
    ID: certificateId(certificate),
    Name: ROOT_NAME,
    // A root of the operator's own may have more than 64 bits; they are cut, the field is for people.
    SerialNumber: serial <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(serial) : BigInt.asUintN(64, serial),
    SigningKeyID: keyIdOf(certificate),
    ExternalTrustDomain: clusterId,
    NotBefore: timeText(notBeforeMs),
    NotAfter: timeText(notAfterMs),
    RootCert: pem,
    IntermediateCerts: intermediates.length === 0 ? null : intermediates,
    Active: true,
    PrivateKeyType: asymmetricKeyType === 'rsa' ? 'rsa' : 'ec',
    PrivateKeyBits:
      asymmetricKeyType === 'rsa'
        ? (asymmetricKeyDetails?.modulusLength ?? 0)
        : Number(/(\d{3})/.exec(asymmetricKeyDetails?.namedCurve ?? '')?.[1] ?? 0),
  })
}
