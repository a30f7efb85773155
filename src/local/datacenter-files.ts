/**
 * The files of one datacenter: certificates and the configuration of its server, as an operator would write them.
 *
 * A secondary gets nothing but the federation secret of the primary.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemRandom } from '#base'
import { createCertificate, createCertificateAuthority, type PemPair } from '#codec'
import type { FederationSecret } from '#federation'
import { type DatacenterPlan, type Safeguards, type ServerPlan, serversOf } from './plan.ts'

const CA_DAYS = 1825
const CERTIFICATE_DAYS = 365
const DOMAIN = 'consul'
const environment = { clock: systemClock, random: systemRandom }

/** Paths of what a datacenter's directory holds. */
export function filesOf({ directory }: Pick<DatacenterPlan, 'directory'>) {
  return {
    caCert: join(directory, 'ca.pem'),
    caKey: join(directory, 'ca-key.pem'),
    cert: join(directory, 'server.pem'),
    key: join(directory, 'server-key.pem'),
    secret: join(directory, 'federation-secret.yaml'),
    /** The process of a server; the first is the one that has no name of its own. */
    log: (process: string) => join(directory, `${process}.log`),
    server: (position: number) => {
      const name = position === 0 ? 'server' : `server-${position}`
      return {
        config: join(directory, `${name}.json`),
        data: join(directory, position === 0 ? 'data' : `data-${position}`),
        name,
      }
    },
    /** Holds the SecretID of a token. */
    token: (owner: string) => join(directory, `${owner}.token`),
  }
}

/** `HANSE_ETCD` is its path, where it is not in PATH. */
export function etcdBinary(env: Readonly<Record<string, string | undefined>>): string {
  return env['HANSE_ETCD'] || 'etcd'
}

const writeSecret = (path: string, text: string) => writeFileSync(path, text, { mode: 0o600 })

/** What a datacenter is made of: its own in the primary, from the federation secret in a secondary. */
export interface DatacenterMaterial {
  readonly ca: PemPair
  readonly gossipKey: string | undefined
  readonly primaryDatacenter: string
  readonly primaryGateways: readonly string[]
  /** Whether there is access control, and in a secondary the token it copies ACLs with. */
  readonly acls: boolean
  readonly replicationToken: string | undefined
}

/** A new primary's: a CA and a gossip key that nobody has seen. */
export function newPrimaryMaterial(name: string, { acls, gossipEncryption }: Safeguards): DatacenterMaterial {
  return {
    ca: createCertificateAuthority({ days: CA_DAYS, domain: DOMAIN }, environment),
    gossipKey: gossipEncryption ? systemRandom.bytes(32).toString('base64') : undefined,
    acls,
    replicationToken: undefined,
    primaryDatacenter: name,
    primaryGateways: [],
  }
}

export function secondaryMaterial(secret: FederationSecret): DatacenterMaterial {
  return {
    ca: { certPem: secret.caCert, keyPem: secret.caKey },
    gossipKey: secret.gossipEncryptionKey,
    primaryDatacenter: secret.serverConfig.primaryDatacenter,
    primaryGateways: secret.serverConfig.primaryGateways,
    acls: secret.replicationToken !== undefined,
    replicationToken: secret.replicationToken,
  }
}

/** Whether the datacenter was set up before: a resume keeps its files. */
export function isSetUp(plan: DatacenterPlan): boolean {
  const files = filesOf(plan)
  const configs = serversOf(plan).map((_, position) => files.server(position).config)
  return [files.caCert, files.caKey, files.cert, files.key, ...configs].every((path) => existsSync(path))
}

/** The CA's pair of a datacenter that is set up. */
export function readCa(plan: DatacenterPlan): PemPair {
  const files = filesOf(plan)
  return { certPem: readFileSync(files.caCert, 'utf8'), keyPem: readFileSync(files.caKey, 'utf8') }
}

/** Writes certificates and configuration. */
export function setUp(plan: DatacenterPlan, material: DatacenterMaterial, etcd: string): void {
  const files = filesOf(plan)
  const certificate = createCertificate(
    {
      ca: material.ca,
      commonName: `server.${plan.name}.${DOMAIN}`,
      dnsNames: [`server.${plan.name}.${DOMAIN}`, `*.server.${plan.name}.${DOMAIN}`, 'localhost'],
      ipAddresses: ['127.0.0.1'],
      uris: [],
      days: CERTIFICATE_DAYS,
      serverAuth: true,
      clientAuth: true,
    },
    environment,
  )
  writeFileSync(files.caCert, material.ca.certPem, { mode: 0o644 })
  writeSecret(files.caKey, material.ca.keyPem)
  writeFileSync(files.cert, certificate.certPem, { mode: 0o644 })
  writeSecret(files.key, certificate.keyPem)
  for (const [position, server] of serversOf(plan).entries()) {
    const config = serverConfig({ plan, server, position, etcd }, material)
    writeSecret(files.server(position).config, `${JSON.stringify(config, null, 2)}\n`)
  }
}

export interface ServerPlace {
  readonly plan: DatacenterPlan
  readonly server: ServerPlan
  readonly position: number
  /** The binary of etcd, for several servers. */
  readonly etcd: string
}

/** The configuration file of one of the datacenter's servers, in Consul's keys. */
export function serverConfig(
  { plan, server, position, etcd }: ServerPlace,
  material: DatacenterMaterial,
): Readonly<Record<string, unknown>> {
  const files = filesOf(plan)
  const { ports, node } = server
  const all = serversOf(plan)
  return {
    datacenter: plan.name,
    primary_datacenter: material.primaryDatacenter,
    ...(plan.primary ? {} : { primary_gateways: material.primaryGateways }),
    node_name: node,
    server: true,
    bootstrap_expect: all.length,
    data_dir: files.server(position).data,
    ...(all.length === 1 ? {} : severalServers(server, all, etcd)),
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    ports: {
      http: ports.http,
      dns: ports.dns,
      server: ports.server,
      serf_lan: ports.serfLan,
      serf_wan: ports.serfWan,
    },
    connect: { enabled: true, enable_mesh_gateway_wan_federation: true },
    ...(material.gossipKey === undefined ? {} : { encrypt: material.gossipKey }),
    ...(material.acls ? { acl: aclConfig(plan, material) } : {}),
    tls: {
      internal_rpc: {
        ca_file: files.caCert,
        cert_file: files.cert,
        key_file: files.key,
        verify_incoming: true,
        verify_outgoing: true,
        verify_server_hostname: true,
      },
    },
  }
}

/** What lets a server find the others, and keep the data with them. */
function severalServers(own: ServerPlan, all: readonly ServerPlan[], binary: string) {
  return {
    retry_join: all.filter(({ node }) => node !== own.node).map(({ ports }) => `127.0.0.1:${ports.serfLan}`),
    retry_interval: '1s',
    store: { etcd: { binary, client_port: own.ports.etcdClient, peer_port: own.ports.etcdPeer } },
  }
}

function aclConfig(plan: DatacenterPlan, { replicationToken }: DatacenterMaterial): Readonly<Record<string, unknown>> {
  return {
    enabled: true,
    default_policy: 'deny',
    enable_token_persistence: true,
    ...(plan.primary ? {} : { enable_token_replication: true }),
    ...(replicationToken === undefined ? {} : { tokens: { replication: replicationToken } }),
  }
}
