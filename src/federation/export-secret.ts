/**
 * Makes the federation secret of a running primary: what only its files know, and what its API says.
 */
import { formatHostPort } from '#base'
import type { HttpClient } from '#client'
import { CheckServiceNode, list, map } from '#codec'
import { federationError } from './errors.ts'
import { gatewayAddresses } from './gateway-locator.ts'
import type { FederationSecret } from './secret.ts'

export interface SecretFiles {
  readonly caCert: string
  readonly caKey: string
  /** Where there is access control. */
  readonly replicationToken?: string
}

/**
 * @param client - of a server in the primary datacenter
 * @throws SECRET_NOT_PRIMARY, SECRET_NO_GATEWAY; what the client throws
 */
export async function exportFederationSecret(client: HttpClient, files: SecretFiles): Promise<FederationSecret> {
  const { datacenter, primaryDatacenter } = await whoAmI(client)
  if (datacenter !== primaryDatacenter) throw federationError('SECRET_NOT_PRIMARY', { datacenter, primaryDatacenter })
  const { value } = await client.get(map(list(CheckServiceNode)), '/v1/internal/federation-states/mesh-gateways')
  const gateways = gatewayAddresses(value?.[datacenter], 'wan', 'federation-state')
  if (gateways.length === 0) throw federationError('SECRET_NO_GATEWAY', { datacenter })
  const gossipEncryptionKey = await primaryGossipKey(client)
  return {
    ...files,
    serverConfig: {
      primaryDatacenter: datacenter,
      primaryGateways: gateways.map(({ host, port }) => formatHostPort(host, port)).sort(),
    },
    ...(gossipEncryptionKey === undefined ? {} : { gossipEncryptionKey }),
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function whoAmI(client: HttpClient): Promise<{ datacenter: string; primaryDatacenter: string }> {
  const self = await client.json('GET', '/v1/agent/self')
  const config = isRecord(self) && isRecord(self.Config) ? self.Config : {}
  return { datacenter: String(config.Datacenter ?? ''), primaryDatacenter: String(config.PrimaryDatacenter ?? '') }
}

/** The key that WAN gossip is encrypted with now; undefined where it is not. */
async function primaryGossipKey(client: HttpClient): Promise<string | undefined> {
  const status = await client.json('GET', '/v1/internal/federation-status')
  if (!isRecord(status) || status.GossipEncrypted !== true) return undefined
  const responses = await client.json('GET', '/v1/operator/keyring', { query: { 'local-only': true } })
  const pools = Array.isArray(responses) ? responses.filter(isRecord) : []
  const pool = pools.find((entry) => entry.WAN === true) ?? pools[0]
  const keys = pool && isRecord(pool.PrimaryKeys) ? Object.keys(pool.PrimaryKeys) : []
  return keys[0]
}
