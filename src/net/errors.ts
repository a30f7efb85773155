/**
 * What can go wrong between two machines: dialling, handshakes, frames, streams and calls.
 *
 * A dial error always says the address, the name it was for (SNI) and which step failed, because those three tell a
 * wrong gateway from a wrong certificate. Remote errors (RPC_REMOTE) carry the other side's text byte for byte.
 */
import { type ErrorRow, errorTable, HanseError } from '#base'

interface Dial extends Record<string, string | number> {
  /** "10.0.0.1:8443" */
  address: string
  /** The TLS name asked for, "" when none. */
  servername: string
}

const to = ({ address, servername }: Dial) => `"${address}"${servername === '' ? '' : ` for "${servername}"`}`

const REMOTE_ROW: ErrorRow<{ text: string; method: string; target: string }> = {
  status: 500,
  message: ({ text }) => text,
}

export const netError = errorTable({
  DIAL_REFUSED: {
    status: 500,
    message: (facts: Dial) => `cannot connect to ${to(facts)}: connection refused`,
    hint: () => 'nothing listens there: compare the address with where the server or gateway listens',
  },
  DIAL_TIMEOUT: {
    status: 500,
    message: (facts: Dial & { step: string; timeoutMs: number }) =>
      `cannot connect to ${to(facts)}: no answer to the ${facts.step} in ${facts.timeoutMs} ms`,
  },
  DIAL_UNREACHABLE: {
    status: 500,
    message: (facts: Dial & { reason: string }) => `cannot connect to ${to(facts)}: ${facts.reason}`,
  },
  DIAL_CLOSED: {
    status: 500,
    message: (facts: Dial) => `cannot connect to ${to(facts)}: closed during the TLS handshake`,
    hint: () => 'a gateway that has no route for this name closes like this; so does a server without TLS',
  },
  DIAL_UNKNOWN_CA: {
    status: 500,
    message: (facts: Dial & { issuer: string }) =>
      `cannot connect to ${to(facts)}: its certificate is signed by another CA ("${facts.issuer}")`,
    hint: () => 'all datacenters of a federation need certificates of one CA (ca_file)',
  },
  DIAL_EXPIRED: {
    status: 500,
    message: (facts: Dial & { reason: string }) => `cannot connect to ${to(facts)}: ${facts.reason}`,
    hint: () => 'make the other side a new certificate, or compare the clocks of the two machines',
  },
  DIAL_NAME_MISMATCH: {
    status: 500,
    message: (facts: Dial & { name: string; names: string }) =>
      `cannot connect to ${to(facts)}: its certificate is not for "${facts.name}" but for ${facts.names}`,
    hint: () => 'servers need the names server.<dc>.<domain> and <node>.server.<dc>.<domain> in their certificate',
  },
  DIAL_REJECTED: {
    status: 500,
    message: (facts: Dial & { reason: string }) =>
      `cannot connect to ${to(facts)}: it rejected our certificate (${facts.reason})`,
    hint: () => 'the other side trusts another CA, or our certificate has expired',
  },
  DIAL_ALPN: {
    status: 500,
    message: (facts: Dial & { alpn: string }) => `cannot connect to ${to(facts)}: it does not speak "${facts.alpn}"`,
    hint: () => 'what answers is not the server port of a server: compare address and port',
  },
  DIAL_TLS: {
    status: 500,
    message: (facts: Dial & { reason: string }) => `cannot connect to ${to(facts)}: TLS failed: ${facts.reason}`,
  },
  DIAL_IDENTITY: {
    status: 500,
    message: ({ reason }: { reason: string }) => `cannot use own certificate, key or CA: ${reason}`,
    hint: () => 'check ca_file, cert_file and key_file',
  },
  DIAL_ABORTED: {
    status: 500,
    message: (facts: Dial) => `cannot connect to ${to(facts)}: given up by the caller`,
  },
  LISTEN_IN_USE: {
    status: 500,
    message: ({ address, setting }: { address: string; setting: string }) =>
      `cannot listen on "${address}" (${setting}): the address is in use`,
    hint: ({ setting }: { address: string; setting: string }) => `stop what listens there, or change ${setting}`,
  },
  LISTEN_FAILED: {
    status: 500,
    message: ({ address, setting, reason }: { address: string; setting: string; reason: string }) =>
      `cannot listen on "${address}" (${setting}): ${reason}`,
  },
  YAMUX_PROTOCOL: {
    status: 500,
    message: ({ reason }: { reason: string }) => `yamux session failed: ${reason}`,
  },
  YAMUX_WINDOW: {
    status: 500,
    message: ({ stream, bytes, window }: { stream: number; bytes: number; window: number }) =>
      `yamux session failed: recv window exceeded (remain: ${window}, recv: ${bytes}) on stream ${stream}`,
  },
  YAMUX_KEEPALIVE: {
    status: 500,
    message: ({ timeoutMs }: { timeoutMs: number }) =>
      `yamux session failed: keepalive timeout, no answer in ${timeoutMs} ms`,
  },
  YAMUX_OPEN_TIMEOUT: {
    status: 500,
    message: ({ stream, timeoutMs }: { stream: number; timeoutMs: number }) =>
      `yamux session failed: stream ${stream} was not acknowledged in ${timeoutMs} ms`,
  },
  YAMUX_FLOOD: {
    status: 500,
    message: ({ limitBytes }: { limitBytes: number }) =>
      `yamux session failed: the other side asks but does not read (${limitBytes} bytes of answers waiting)`,
  },
  YAMUX_SHUTDOWN: {
    status: 500,
    message: ({ reason }: { reason: string }) => `cannot use yamux session: session shutdown (${reason})`,
  },
  YAMUX_GO_AWAY: {
    status: 500,
    message: ({ by }: { by: string }) => `cannot open yamux stream: ${by} end is going away`,
  },
  YAMUX_STREAMS: {
    status: 500,
    message: ({ limit }: { limit: number }) => `cannot open yamux stream: limit of ${limit} streams is reached`,
  },
  YAMUX_REFUSED: {
    status: 500,
    message: ({ stream }: { stream: number }) => `yamux stream ${stream} was not taken by the other side`,
  },
  YAMUX_RESET: {
    status: 500,
    message: ({ stream }: { stream: number }) => `yamux stream ${stream} ended: stream reset by the other side`,
  },
  RPC_TOO_LARGE: {
    status: 413,
    message: ({ limitBytes }: { limitBytes: number }) => `rpc: message is above the limit of ${limitBytes} bytes`,
  },
  RPC_MALFORMED: {
    status: 400,
    message: ({ reason }: { reason: string }) => `rpc: cannot decode message: ${reason}`,
  },
  RPC_REMOTE: REMOTE_ROW,
  RPC_TIMEOUT: {
    status: 500,
    message: ({ method, target, timeoutMs }: { method: string; target: string; timeoutMs: number }) =>
      `cannot call "${method}" on "${target}": no reply in ${timeoutMs} ms`,
  },
  RPC_CLOSED: {
    status: 500,
    message: ({ method, target }: { method: string; target: string }) =>
      `cannot call "${method}" on "${target}": connection closed before the reply: EOF`,
  },
  RPC_ABORTED: {
    status: 500,
    message: ({ method, target }: { method: string; target: string }) =>
      `cannot call "${method}" on "${target}": given up by the caller`,
  },
  RPC_CLIENT_GONE: {
    status: 500,
    message: ({ client }: { client: string }) => `call of "${client}" cancelled: the client is gone`,
  },
  RPC_POOL_FULL: {
    status: 429,
    message: ({ target, limit }: { target: string; limit: number }) =>
      `cannot connect to "${target}": limit of ${limit} connections is reached`,
  },
  RPC_POOL_CLOSED: {
    status: 500,
    message: ({ target }: { target: string }) => `cannot call "${target}": the connection pool is closed`,
  },
  PACKET_TOO_LARGE: {
    status: 413,
    message: ({ packetBytes, limitBytes }: { packetBytes: number; limitBytes: number }) =>
      `WAN packet of ${packetBytes} bytes refused: the limit is ${limitBytes}`,
  },
  CLIENT_HELLO_INVALID: {
    status: 400,
    message: ({ reason }: { reason: string }) => `cannot read TLS client hello: ${reason}`,
  },
})

/** The other side's own error. The message is its text byte for byte, because clients match on it. */
export class RpcRemoteError extends HanseError {
  constructor(text: string, method: string, target: string) {
    super('RPC_REMOTE', { status: REMOTE_ROW.status, message: () => text }, { text, method, target })
    this.name = 'RpcRemoteError'
  }
}

/** Thrown by a handler for a method that nobody serves; the stream is closed after the answer. */
export class UnknownMethodError extends Error {
  /** @param missing - whether the service is unknown or only the method of a known service */
  constructor(method: string, missing: 'service' | 'method') {
    super(`rpc: can't find ${missing} ${method}`)
    this.name = 'UnknownMethodError'
  }
}
