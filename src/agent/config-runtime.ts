/**
 * The configuration as the rest of the program sees it: frozen, typed, defaults filled in, units in the names.
 */
import type { LogLevel } from '#base'
import type { CheckDefinitionBody, ServiceDefinitionBody } from './config-definitions.ts'
import type { WatchConfig } from './config-watches.ts'

/** −1: off. 0: any free port. */
export interface PortsConfig {
  readonly http: number
  readonly https: number
  readonly dns: number
  readonly server: number
  readonly serfLan: number
  readonly serfWan: number
  /** Ports that a file or flag set: if one is taken, that is an error; a default one is done without. */
  readonly configured: readonly PortName[]
}
export type PortName = 'http' | 'https' | 'dns' | 'server' | 'serfLan' | 'serfWan'

/** Addresses to listen on, IPs without port. */
export interface ListenAddresses {
  readonly http: readonly string[]
  readonly https: readonly string[]
  readonly dns: readonly string[]
  readonly server: string
  readonly serfLan: string
  readonly serfWan: string
}

export interface GossipConfig {
  readonly gossipIntervalMs: number
  readonly gossipNodes: number
  readonly probeIntervalMs: number
  readonly probeTimeoutMs: number
  readonly retransmitMult: number
  readonly suspicionMult: number
}

export interface TlsInterfaceConfig {
  /** Empty text: not given. Files are read by whoever listens or dials. */
  readonly caFile: string
  readonly caPath: string
  readonly certFile: string
  readonly keyFile: string
  readonly verifyIncoming: boolean
  readonly verifyOutgoing: boolean
  readonly verifyServerHostname: boolean
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly cipherSuites: readonly string[]
}

export interface TlsConfig {
  readonly internalRpc: TlsInterfaceConfig
  readonly https: TlsInterfaceConfig
}

export interface DnsConfig {
  readonly nodeTtlMs: number
  /** By service name; `*` for all, `web*` for a prefix. */
  readonly serviceTtlMs: Readonly<Record<string, number>>
  readonly onlyPassing: boolean
  readonly udpAnswerLimit: number
  readonly aRecordLimit: number
  readonly enableTruncate: boolean
  readonly disableCompression: boolean
  readonly recursorTimeoutMs: number
  readonly recursorStrategy: 'sequential' | 'random'
  readonly nodeMetaTxt: boolean
  readonly soa: {
    readonly refreshSeconds: number
    readonly retrySeconds: number
    readonly expireSeconds: number
    readonly minTtlSeconds: number
  }
}

export interface LimitsConfig {
  readonly httpMaxConnsPerClient: number
  readonly httpsHandshakeTimeoutMs: number
  readonly rpcHandshakeTimeoutMs: number
  readonly rpcClientTimeoutMs: number
  readonly rpcMaxConnsPerClient: number
  readonly kvMaxValueBytes: number
  readonly txnMaxRequestBytes: number
}

export interface HttpConfig {
  readonly blockEndpoints: readonly string[]
  readonly responseHeaders: Readonly<Record<string, string>>
  /** CIDRs; empty: writes are taken from everywhere. */
  readonly allowWriteHttpFrom: readonly string[]
  /** 0: the default of the HTTP server. */
  readonly maxHeaderBytes: number
}

export interface AclConfig {
  readonly enabled: boolean
  readonly defaultPolicy: string
  readonly downPolicy: string
  readonly tokenTtlMs: number
  readonly enableTokenReplication: boolean
  readonly enableTokenPersistence: boolean
  readonly enableKeyListPolicy: boolean
  /** Secret. By the key's name (`agent`, `replication`, …). */
  readonly tokens: Readonly<Record<string, string>>
}

/** Where the datacenter's data is kept. Empty text: not given. */
export type StoreConfig =
  | { readonly kind: 'sqlite' }
  | {
      /** An etcd that the user runs. */
      readonly kind: 'named-etcd'
      readonly endpoints: readonly string[]
      readonly prefix: string
      readonly caFile: string
      readonly certFile: string
      readonly keyFile: string
      readonly serverName: string
    }
  | {
      /** A member of etcd that this server runs beside itself. */
      readonly kind: 'own-etcd'
      readonly prefix: string
      readonly binary: string
      /** How many servers found it together; 0: this one only joins others. */
      readonly founders: number
      readonly advertiseHost: string
      readonly clientPort: number
      readonly peerPort: number
    }

/** What a new datacenter's autopilot begins with; later `operator autopilot set-config` says. */
export interface AutopilotSettings {
  readonly cleanupDeadServers: boolean
  readonly lastContactThresholdMs: number
  readonly maxTrailingLogs: number
  readonly minQuorum: number
  readonly serverStabilizationTimeMs: number
}

export interface RuntimeConfig {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly nodeName: string
  /** Missing: made once and kept in the data directory by the agent. */
  readonly nodeId: string | undefined
  readonly nodeMeta: Readonly<Record<string, string>>
  /** Empty in -dev without one: the agent uses a temporary directory. */
  readonly dataDir: string
  readonly dev: boolean
  readonly store: StoreConfig
  readonly server: boolean
  readonly bootstrap: boolean
  readonly bootstrapExpect: number
  readonly autopilot: AutopilotSettings

  readonly bindAddress: string
  readonly advertiseAddress: string
  readonly advertiseAddressWan: string
  readonly listen: ListenAddresses
  readonly ports: PortsConfig

  readonly domain: string
  readonly altDomain: string
  readonly recursors: readonly string[]
  readonly dnsConfig: DnsConfig
  readonly httpConfig: HttpConfig

  /** Secret. Base64 of 16, 24 or 32 bytes; missing: gossip is not encrypted. */
  readonly encrypt: string | undefined
  readonly disableKeyringFile: boolean
  readonly gossipLan: GossipConfig
  readonly gossipWan: GossipConfig
  readonly reconnectTimeoutLanMs: number
  readonly reconnectTimeoutWanMs: number
  readonly disableCoordinates: boolean

  readonly startJoin: readonly string[]
  readonly retryJoin: readonly string[]
  readonly retryJoinIntervalMs: number
  /** 0: no end. */
  readonly retryJoinMaxAttempts: number
  readonly primaryGateways: readonly string[]
  readonly connect: { readonly enabled: boolean; readonly enableMeshGatewayWanFederation: boolean }

  readonly rejoinAfterLeave: boolean
  readonly leaveOnTerminate: boolean
  readonly performance: { readonly leaveDrainTimeMs: number }

  readonly tls: TlsConfig

  readonly logLevel: LogLevel
  readonly logJson: boolean
  readonly logFile: string
  readonly pidFile: string
  readonly telemetry: { readonly prometheusRetentionMs: number }

  readonly limits: LimitsConfig
  readonly defaultQueryTimeMs: number
  readonly maxQueryTimeMs: number
  readonly sessionTtlMinMs: number
  readonly checkUpdateIntervalMs: number
  readonly checkOutputMaxBytes: number
  readonly discardCheckOutput: boolean
  readonly acl: AclConfig

  /** Bodies as `/v1/agent/service/register` takes them. */
  readonly services: readonly ServiceDefinitionBody[]
  /** Bodies as `/v1/agent/check/register` takes them. */
  readonly checks: readonly CheckDefinitionBody[]
  readonly watches: readonly WatchConfig[]
}
