/**
 * The federation secret: all that a secondary needs of its primary, as the Kubernetes manifest that users pass on.
 *
 * `kubectl get secret consul-federation --output yaml` and `hanse federation secret` write the same thing. It holds the
 * CA's key, and with it the power to become a server of the federation; whoever writes it to a file makes that 0600.
 */
import { parse, stringify } from 'yaml'
import { messageOf } from '#base'
import { federationError } from './errors.ts'

export interface FederationSecret {
  readonly caCert: string
  readonly caKey: string
  /** JSON for the configuration directory of a secondary: `primary_datacenter` and `primary_gateways`. */
  readonly serverConfig: { readonly primaryDatacenter: string; readonly primaryGateways: readonly string[] }
  /** Base64, absent when gossip is not encrypted. */
  readonly gossipEncryptionKey?: string
  /** SecretID that a secondary copies policies, roles and tokens with; absent without access control. */
  readonly replicationToken?: string
}

/** Largest manifest that is read, as Kubernetes limits a Secret. */
export const MAX_SECRET_BYTES = 1024 * 1024

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** The manifest, with the key names of the reference: caCert, caKey, gossipEncryptionKey, replicationToken, serverConfigJSON. */
export function renderFederationSecret(
  secret: FederationSecret,
  name = 'consul-federation',
  namespace = 'consul',
): string {
  const serverConfigJson = JSON.stringify({
    primary_datacenter: secret.serverConfig.primaryDatacenter,
    primary_gateways: secret.serverConfig.primaryGateways,
  })
  const data: Record<string, string> = { caCert: base64(secret.caCert), caKey: base64(secret.caKey) }
  if (secret.gossipEncryptionKey !== undefined) data.gossipEncryptionKey = base64(secret.gossipEncryptionKey)
  if (secret.replicationToken !== undefined) data.replicationToken = base64(secret.replicationToken)
  data.serverConfigJSON = base64(serverConfigJson)
  return stringify({
    apiVersion: 'v1',
    data,
    kind: 'Secret',
    metadata: { name, namespace },
    type: 'Opaque',
  })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/

/**
 * Reads a manifest (YAML or JSON).
 *
 * @param source - file name for messages
 * @throws SECRET_NOT_A_MANIFEST, SECRET_KEY_MISSING, SECRET_KEY_INVALID; never with a value of the secret in the text
 */
export function parseFederationSecret(text: string, source: string): FederationSecret {
  if (Buffer.byteLength(text) > MAX_SECRET_BYTES) {
    throw federationError('SECRET_NOT_A_MANIFEST', { source, reason: `larger than ${MAX_SECRET_BYTES} bytes` })
  }
  const document = parseYaml(text, source)
  if (!isRecord(document) || document.kind !== 'Secret') {
    throw federationError('SECRET_NOT_A_MANIFEST', { source, reason: 'its kind is not "Secret"' })
  }
  if (!isRecord(document.data)) throw federationError('SECRET_NOT_A_MANIFEST', { source, reason: 'it has no "data"' })
  const data = document.data
  const optional = (key: string): string | undefined => {
    const value = data[key]
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'string' || !BASE64.test(value)) {
      throw federationError('SECRET_KEY_INVALID', { source, key, reason: 'it is not base64' })
    }
    return Buffer.from(value, 'base64').toString('utf8')
  }
  const required = (key: string): string => {
    const value = optional(key)
    if (value === undefined || value === '') throw federationError('SECRET_KEY_MISSING', { source, key })
    return value
  }
  const pem = (key: string, label: RegExp): string => {
    const value = required(key)
    if (!label.test(value)) throw federationError('SECRET_KEY_INVALID', { source, key, reason: 'it is not PEM' })
    return value
  }
  const gossipEncryptionKey = optional('gossipEncryptionKey')
  const replicationToken = optional('replicationToken')
  return {
    caCert: pem('caCert', /-----BEGIN CERTIFICATE-----/),
    caKey: pem('caKey', /-----BEGIN (EC )?PRIVATE KEY-----/),
    serverConfig: serverConfig(required('serverConfigJSON'), source),
    ...(gossipEncryptionKey === undefined ? {} : { gossipEncryptionKey }),
    ...(replicationToken === undefined ? {} : { replicationToken }),
  }
}

function parseYaml(text: string, source: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0, logLevel: 'error' })
  } catch (error) {
    // The parser quotes the line that it stumbled over, which may be a key: only the position is passed on.
    const place = /at line \d+, column \d+/.exec(messageOf(error))?.[0] ?? 'not YAML'
    throw federationError('SECRET_NOT_A_MANIFEST', { source, reason: `syntax error ${place}` })
  }
}

function serverConfig(json: string, source: string): FederationSecret['serverConfig'] {
  const invalid = (reason: string) => federationError('SECRET_KEY_INVALID', { source, key: 'serverConfigJSON', reason })
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch {
    throw invalid('it is not JSON')
  }
  if (!isRecord(parsed)) throw invalid('it is not an object')
  const { primary_datacenter: primaryDatacenter, primary_gateways: primaryGateways } = parsed
  if (typeof primaryDatacenter !== 'string' || primaryDatacenter === '')
    throw invalid('"primary_datacenter" is missing')
  if (!Array.isArray(primaryGateways) || !primaryGateways.every((at) => typeof at === 'string')) {
    throw invalid('"primary_gateways" is not a list of addresses')
  }
  return { primaryDatacenter, primaryGateways }
}
