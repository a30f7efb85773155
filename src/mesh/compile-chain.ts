/**
 * Entries → discovery chain: from a service's name, by routes, splits, redirects and failover, to targets.
 *
 * Pure: the same entries and the same request give the same chain, in every datacenter that has replicated them.
 */
import { CompiledDiscoveryChain, type DiscoveryGraphNode } from '#codec'
import { ChainContext, type ChainRequest } from './chain-context.ts'
import { ChainResolvers } from './chain-resolvers.ts'
import { ChainRoutes } from './chain-routes.ts'
import { customizationHash } from './customization-hash.ts'
import type { EntrySource } from './entry-source.ts'
import { frozen } from './frozen.ts'
import { seesRequests, targetId } from './names.ts'

/**
 * Compiles the chain of a service.
 *
 * @throws HanseError CHAIN_INVALID (circular, mixed protocols, unknown subset, routes on TCP); CHAIN_TOO_LARGE
 */
export function compileChain(source: EntrySource, request: ChainRequest): CompiledDiscoveryChain {
  const context = new ChainContext(source, request)
  const resolvers = new ChainResolvers(context)
  const routes = new ChainRoutes(context, resolvers)
  const start = routes.start()
  const override = request.overrideProtocol ?? ''
  if (override !== '' && override !== context.protocol) context.effective.protocol = override
  const protocol = override === '' ? context.protocol : override
  if (routes.nodes.has(start) && !seesRequests(protocol)) {
    context.fail(
      `discovery chain ${JSON.stringify(request.service)} uses a protocol ${JSON.stringify(protocol)} that does not permit advanced routing or splitting behavior`,
    )
  }
  const nodes = reachable(start, new Map([...routes.nodes, ...resolvers.nodes]))
  const used = usedTargets(nodes)
  const defaults = source.get('service-defaults', request.service)
  const extensions = [
    ...(source.get('proxy-defaults', 'global')?.EnvoyExtensions ?? []),
    ...(defaults?.EnvoyExtensions ?? []),
  ]
  const chain = CompiledDiscoveryChain.of({
    ServiceName: request.service,
    Namespace: 'default',
    Partition: 'default',
    Datacenter: request.datacenter,
    CustomizationHash: customizationHash(context.effective),
    Default: isDefault(request, nodes.get(start)),
    Protocol: protocol,
    ServiceMeta: defaults?.Meta ?? null,
    EnvoyExtensions: extensions.length === 0 ? null : extensions,
    StartNode: start,
    Nodes: Object.fromEntries(nodes),
    Targets: Object.fromEntries([...resolvers.targets].filter(([id]) => used.has(id))),
    AutoVirtualIPs: request.autoVirtualIps ?? null,
    ManualVirtualIPs: request.manualVirtualIps ?? null,
  })
  return frozen(chain)
}

/** Nodes that the start leads to: splitters that were folded into others are none. */
function reachable(start: string, all: ReadonlyMap<string, DiscoveryGraphNode>): Map<string, DiscoveryGraphNode> {
  const found = new Map<string, DiscoveryGraphNode>()
  const waiting = [start]
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    const node = all.get(key)
    if (node === undefined || found.has(key)) continue
    found.set(key, node)
    for (const next of [...(node.Routes ?? []), ...(node.Splits ?? [])]) {
      if (next !== null) waiting.push(next.NextNode)
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function usedTargets(nodes: ReadonlyMap<string, DiscoveryGraphNode>): Set<string> {
  return new Set(
    [...nodes.values()].flatMap(({ Resolver }) =>
      Resolver === null ? [] : [Resolver.Target, ...(Resolver.Failover?.Targets ?? [])],
    ),
  )
}

/** Whether the chain is what it would be without any entry: straight to the service itself. */
function isDefault({ service, datacenter }: ChainRequest, start: DiscoveryGraphNode | undefined): boolean {
  const own = targetId({ service, datacenter, subset: '', peer: '' })
  return start?.Resolver?.Default === true && start.Resolver.Target === own
}
