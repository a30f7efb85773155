/** The server port of a core: which protocol that arrives there is whose. */
import { type Endpoints, serveSnapshot, serveSubscription } from '#endpoints'
import type { Gossip } from '#gossip'
import { type ConnectionInfo, receivePackets, ServerPort, serveGrpc, serveRpcStream } from '#net'
import type { CoreModules, CoreOptions } from './core-options.ts'
import type { Drain } from './drain.ts'

/** What is there only later than the port. */
export interface CoreParts {
  endpoints?: Endpoints
  gossip?: Gossip
}

/** Opens the server port; calls that arrive before the parts are there are refused unseen, all else is closed. */
export async function listen(
  { config, identity, tls }: CoreOptions,
  { logSink, metrics, clock }: CoreModules,
  parts: CoreParts,
  drain: Drain,
): Promise<ServerPort> {
  const log = logSink.logger('agent.server.rpc')
  const port = new ServerPort({
    host: config.listen.server,
    port: config.ports.server,
    setting: 'ports.server',
    identity,
    verifyIncoming: () => tls().internalRpc.verifyIncoming,
    limits: {
      connectionsPerIp: config.limits.rpcMaxConnsPerClient,
      handshakeTimeoutMs: config.limits.rpcHandshakeTimeoutMs,
    },
    clock,
    log,
    metrics,
    accepting: () => parts.endpoints !== undefined && !drain.over,
    handlers: {
      rpc: (stream, info: ConnectionInfo) => {
        const { endpoints } = parts
        if (!endpoints) {
          stream.destroy()
          return
        }
        serveRpcStream(
          stream,
          ({ method, body, signal, remote }) =>
            drain.count(endpoints.handle(method, body, { signal, remote: remote.address }), endpoints.isWrite(method)),
          { remote: info.remote, log },
        )
      },
      grpc: (stream, { remote }) => {
        const { endpoints } = parts
        if (endpoints) serveGrpc(stream, (call) => serveSubscription(endpoints, call), { remote, clock, log, metrics })
        else stream.destroy()
      },
      snapshot: (stream) => {
        const { endpoints } = parts
        if (endpoints) void serveSnapshot(endpoints.snapshots, stream, log)
        else stream.destroy()
      },
      packets: (stream) => {
        receivePackets(stream, { clock, onPacket: (packet) => parts.gossip?.receiveWanPacket(packet) })
      },
      gossipStream: (stream) => {
        if (parts.gossip) parts.gossip.acceptWanStream(stream)
        else stream.destroy()
      },
    },
  })
  await port.listen()
  return port
}
