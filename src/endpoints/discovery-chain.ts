/**
 * DiscoveryChain.Get: what stands behind a service's name for who calls it in a datacenter: routes, splits, redirects,
 * failover, down to targets. Compiled from the entries here, for the datacenter that is asked for.
 */
import { DiscoveryChainRequest, DiscoveryChainResponse } from '#codec'
import { compileChain } from '#mesh'
import type { ReadTx } from '#state'
import { entrySource } from './entry-source.ts'
import { endpointError } from './errors.ts'
import { readOperation } from './operation.ts'

export const get = readOperation({
  name: 'DiscoveryChain.Get',
  args: DiscoveryChainRequest,
  reply: DiscoveryChainResponse,
  scope: 'datacenter',
  check({ Name }) {
    if (Name === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide service name' })
  },
  authorize: ({ Name }, rights) => rights.need(rights.allows.serviceRead(Name), 'service:read', Name),
  query(tx, args, context) {
    const Chain = compileChain(entrySource(tx), {
      service: args.Name,
      datacenter: args.EvaluateInDatacenter === '' ? context.datacenter : args.EvaluateInDatacenter,
      trustDomain: trustDomainOf(tx),
      overrideMeshGatewayMode: args.OverrideMeshGateway.Mode,
      overrideProtocol: args.OverrideProtocol,
      overrideConnectTimeoutNs: args.OverrideConnectTimeout,
    })
    return DiscoveryChainResponse.of({ Chain })
  },
})

/** The name of the mesh in certificates and server names; empty until the federation's authority is known here. */
function trustDomainOf(tx: ReadTx): string {
  const cluster = tx.caRoots()?.ClusterID ?? ''
  return cluster === '' ? '' : `${cluster}.consul`
}
