/**
 * net/: where sockets end. TLS by SNI and ALPN, yamux sessions, RPC and gRPC calls, WAN packets, and the port that tells
 * protocols apart.
 */
export { type ClientHello, MAX_CLIENT_HELLO_BYTES, parseClientHello } from './client-hello.ts'
export {
  DIAL_TIMEOUT_MS,
  type DialOptions,
  type DialTlsOptions,
  dialTcp,
  dialTls,
  tlsRejection,
} from './dial.ts'
export { netError, RpcRemoteError, UnknownMethodError } from './errors.ts'
export {
  GRPC_LIMITS,
  GRPC_STATUS,
  type GrpcCall,
  GrpcError,
  type GrpcHandler,
  type GrpcLimits,
  type GrpcServerOptions,
  type GrpcStatus,
  serveGrpc,
} from './grpc-server.ts'
export { dropRest, type LedStream, MAX_LEAD_BYTES, readLed, writeLed } from './led-stream.ts'
export { LimitedLog } from './limited-log.ts'
export { type ListenOptions, listeningAddress, listenOn } from './listen.ts'
export {
  encodePacketFrame,
  MAX_PACKET_BYTES,
  PACKET_ALPN,
  PACKET_IDLE_MS,
  PacketFrameDecoder,
  type PacketReceiverOptions,
  receivePackets,
} from './packets.ts'
export { MAX_RPC_BODY_BYTES } from './rpc-framing.ts'
export {
  type PoolCall,
  RPC_MULTI_ALPN,
  RPC_POOL_LIMITS,
  RpcConnectionPool,
  type RpcDial,
  type RpcPoolLimits,
  type RpcPoolOptions,
  type RpcTarget,
} from './rpc-pool.ts'
export { type RpcCall, type RpcHandler, type RpcRemote, type RpcServerOptions, serveRpcStream } from './rpc-server.ts'
export { FIRST_BYTE, ServerPort } from './server-port.ts'
export {
  type ConnectionInfo,
  SERVER_PORT_LIMITS,
  type ServerPortHandlers,
  type ServerPortLimits,
  type ServerPortOptions,
} from './server-port-options.ts'
export { CIPHER_SUITES, secureContextOf, type TlsIdentity } from './tls-identity.ts'
export { YamuxSession, type YamuxSessionOptions } from './yamux-session.ts'
export type { YamuxStream } from './yamux-stream.ts'
