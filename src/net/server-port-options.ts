/**
 * What the server port is told: address, identity, limits, and who takes the streams that arrive.
 */
import type { Duplex } from 'node:stream'
import type { Clock, Logger, Metrics } from '#base'
import type { RpcRemote } from './rpc-server.ts'
import type { TlsIdentity } from './tls-identity.ts'

/** Who is connected and how. */
export interface ConnectionInfo {
  readonly remote: RpcRemote
  readonly tls: boolean
  readonly alpn: string | undefined
  /** Names of the client's certificate as "DNS:…, URI:…"; undefined without one. Verified when TLS demands one. */
  readonly peerNames: string | undefined
}

/** Each gets a stream of its own and has to end it. A handler that is missing refuses its protocol. */
export interface ServerPortHandlers {
  /** Calls one after another: one stream of a multiplexed connection, or a whole connection. */
  rpc(stream: Duplex, info: ConnectionInfo): void
  packets?(stream: Duplex, info: ConnectionInfo): void
  gossipStream?(stream: Duplex, info: ConnectionInfo): void
  snapshot?(stream: Duplex, info: ConnectionInfo): void
  grpc?(stream: Duplex, info: ConnectionInfo): void
}

export interface ServerPortLimits {
  readonly connections: number
  readonly connectionsPerIp: number
  /** For the first byte, and again for the handshake and for the byte inside it. */
  readonly handshakeTimeoutMs: number
}

export const SERVER_PORT_LIMITS: ServerPortLimits = {
  connections: 4096,
  connectionsPerIp: 100,
  handshakeTimeoutMs: 5000,
}

export interface ServerPortOptions {
  /** Whether calls are taken now. Where not, their streams are refused unseen, so that the caller may go elsewhere. */
  readonly accepting?: () => boolean
  readonly host: string
  readonly port: number
  /** The setting that chose the port, for errors. */
  readonly setting?: string
  /** Asked for every TLS connection, so that a reload needs no restart; undefined: no TLS here. */
  readonly identity: () => TlsIdentity | undefined
  /** Whether everything is refused that is not mutual TLS; asked for every connection likewise. */
  readonly verifyIncoming: () => boolean
  readonly handlers: ServerPortHandlers
  readonly limits?: Partial<ServerPortLimits>
  readonly clock?: Clock
  readonly log?: Logger
  readonly metrics?: Metrics
}
