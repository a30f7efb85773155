/**
 * net/: where sockets end. TLS by SNI and ALPN, yamux sessions, RPC calls, WAN packets, the port that tells protocols apart.
 */
export { netError } from './errors.ts'
export { YamuxSession, type YamuxSessionOptions } from './yamux-session.ts'
export type { YamuxStream } from './yamux-stream.ts'
