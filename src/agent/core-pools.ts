/** The gossip pools of a core, with the tags by which servers know each other. */
import { serverTags, type WanLink } from '#federation'
import { type Gossip, startGossip } from '#gossip'
import type { CoreModules, CoreOptions } from './core-options.ts'

/** @param rpcPort - of the server port, which gossip tells everyone */
export function startPools(
  { config, nodeId, dataDir, identity }: CoreOptions,
  { logSink, metrics }: CoreModules,
  rpcPort: number,
  link: WanLink | undefined,
): Promise<Gossip> {
  const { nodeName, datacenter, encrypt } = config
  const tagOptions = {
    datacenter,
    nodeId,
    rpcPort,
    ...(config.bootstrapExpect > 1 ? { bootstrap: false, expect: config.bootstrapExpect } : { bootstrap: true }),
    useTls: config.tls.internalRpc.caFile !== '' || config.tls.internalRpc.caPath !== '',
    acls: config.acl.enabled,
    grpcPort: -1,
    grpcTlsPort: -1,
  }
  const wanPort = config.ports.serfWan
  return startGossip({
    nodeName,
    datacenter,
    nodeId,
    lan: {
      bindAddress: config.listen.serfLan,
      bindPort: config.ports.serfLan,
      advertiseAddress: config.advertiseAddress,
      tags: serverTags({ ...tagOptions, caPem: identity()?.caPem }, wanPort > 0 ? wanPort : undefined),
      timing: { ...config.gossipLan, reconnectTimeoutMs: config.reconnectTimeoutLanMs },
    },
    ...(wanPort < 0
      ? {}
      : {
          wan: {
            bindAddress: config.listen.serfWan,
            bindPort: wanPort,
            advertiseAddress: config.advertiseAddressWan,
            tags: serverTags(tagOptions),
            timing: { ...config.gossipWan, reconnectTimeoutMs: config.reconnectTimeoutWanMs },
            ...(link ? { carrier: link.carrier } : {}),
          },
        }),
    ...(encrypt ? { keyrings: { lan: [encrypt], wan: [encrypt] } } : {}),
    ...(config.dev && config.dataDir === '' ? {} : { dataDir }),
    disableKeyringFile: config.disableKeyringFile,
    rejoinAfterLeave: config.rejoinAfterLeave,
    log: logSink.logger('agent.gossip'),
    metrics,
  })
}
