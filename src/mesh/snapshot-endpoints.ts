/**
 * Which addresses lead to a target: instances themselves, or gateways of this or of its datacenter.
 *
 * Source: federation wire notes §8.
 */
import type { CheckServiceNode, DiscoveryTarget, ServiceAddress } from '#codec'
import type { EndpointSnapshot } from './proxy-snapshot.ts'

/** How a proxy in `datacenter` reaches a target. Without a mode, and at home, directly. */
export function gatewayOf(target: DiscoveryTarget, datacenter: string): 'none' | 'local' | 'remote' {
  if (target.Datacenter === datacenter || target.Peer !== '') return 'none'
  const mode = target.MeshGateway.Mode
  return mode === 'local' || mode === 'remote' ? mode : 'none'
}

/** What endpoints are made of. */
export interface EndpointSources {
  readonly datacenter: string
  /** Instances of a target that its subset's filter lets through, from the health of its datacenter. */
  readonly instances: (target: DiscoveryTarget) => readonly CheckServiceNode[]
  /** Mesh gateways of a datacenter. */
  readonly gateways: (datacenter: string) => readonly CheckServiceNode[]
}

/** The endpoints of a target, in a stable order. */
export function endpointsOf(target: DiscoveryTarget, sources: EndpointSources): EndpointSnapshot[] {
  const gateway = gatewayOf(target, sources.datacenter)
  const away = target.Datacenter !== sources.datacenter
  if (gateway === 'local') return endpoints(sources.gateways(sources.datacenter), 'lan', false)
  if (gateway === 'remote') return endpoints(sources.gateways(target.Datacenter), 'wan', false)
  return endpoints(sources.instances(target), away ? 'wan' : 'plain', target.Subset.OnlyPassing)
}

type Side = 'plain' | 'lan' | 'wan'

function endpoints(nodes: readonly CheckServiceNode[], side: Side, onlyPassing: boolean): EndpointSnapshot[] {
  const found = nodes.flatMap((instance) => {
    const address = addressOf(instance, side)
    return address === undefined ? [] : [{ ...address, ...health(instance, onlyPassing) }]
  })
  return found.sort((a, b) => (a.Address < b.Address ? -1 : a.Address > b.Address ? 1 : a.Port - b.Port))
}

function addressOf({ Node, Service }: CheckServiceNode, side: Side): ServiceAddress | undefined {
  if (Node === null || Service === null) return undefined
  const own = { Address: Service.Address || Node.Address, Port: Service.Port }
  const tagged = side === 'plain' ? undefined : Service.TaggedAddresses?.[side]
  const nodes = side === 'wan' && Service.Address === '' ? Node.TaggedAddresses?.['wan'] : undefined
  const chosen = tagged?.Address
    ? { Address: tagged.Address, Port: tagged.Port || own.Port }
    : { ...own, Address: nodes || own.Address }
  return chosen.Address === '' || chosen.Port === 0 ? undefined : chosen
}

function health({ Service, Checks }: CheckServiceNode, onlyPassing: boolean): { Healthy: boolean; Weight: number } {
  const states = (Checks ?? []).map(({ Status }) => Status)
  const warning = states.includes('warning')
  const Healthy = !states.includes('critical') && !(onlyPassing && states.some((state) => state !== 'passing'))
  const weight = warning ? Service?.Weights?.Warning : Service?.Weights?.Passing
  return { Healthy, Weight: weight === undefined || weight < 1 ? 1 : weight }
}
