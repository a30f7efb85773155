/**
 * The ends of a chain: which target a name means after redirects and default subsets, and what it fails over to.
 */
import {
  DiscoveryGraphNode,
  DiscoveryResolver,
  DiscoveryTarget,
  MeshGatewayMode,
  type ResolverFailover,
  ResolverSubset,
  type ServiceResolver,
} from '#codec'
import type { ChainContext } from './chain-context.ts'
import { serviceSni, type TargetName, targetId } from './names.ts'

export class ChainResolvers {
  readonly nodes = new Map<string, DiscoveryGraphNode>()
  readonly targets = new Map<string, DiscoveryTarget>()
  readonly #context: ChainContext

  constructor(context: ChainContext) {
    this.#context = context
  }

  /** The resolver node for a service or subset here; its key. */
  nodeFor(service: string, subset: string): string {
    const { datacenter } = this.#context.request
    const target = this.#resolve({ service, subset, datacenter, peer: '' })
    const id = targetId(target)
    const key = `resolver:${id}`
    if (!this.nodes.has(key)) this.nodes.set(key, this.#node(id, target))
    return key
  }

  #node(id: string, target: TargetName): DiscoveryGraphNode {
    const entry = target.peer === '' ? this.#context.source.get('service-resolver', target.service) : undefined
    this.#addTarget(target, entry)
    const failover = entry === undefined ? [] : this.#failoverTargets(id, target, entry)
    return DiscoveryGraphNode.of({
      Type: 'resolver',
      Name: id,
      Resolver: DiscoveryResolver.of({
        ConnectTimeout: this.#context.connectTimeoutNs(entry?.ConnectTimeout ?? 0),
        RequestTimeout: entry?.RequestTimeout ?? 0,
        Default: entry === undefined || saysNothing(entry),
        Target: id,
        Failover: failover.length === 0 ? null : { Targets: failover, Policy: null, Regions: null },
      }),
      LoadBalancer: entry?.LoadBalancer ?? null,
    })
  }

  /** Follows redirects, then the default subset. */
  #resolve(asked: TargetName): TargetName {
    const path = [targetId(asked)]
    for (let name = asked; ; ) {
      if (name.peer !== '') return name
      this.#context.visit(name.service)
      const entry = this.#context.source.get('service-resolver', name.service)
      const next = entry?.Redirect ? redirected(name, entry.Redirect) : name
      const id = targetId(next)
      if (id === targetId(name)) return this.#withSubset(name, entry)
      const circular = path.includes(id)
      path.push(id)
      if (circular) this.#context.fail(`detected circular resolver redirect: [${path.join(' -> ')}]`)
      name = next
    }
  }

  #withSubset(name: TargetName, entry: ServiceResolver | undefined): TargetName {
    const subset = name.subset === '' ? (entry?.DefaultSubset ?? '') : name.subset
    if (subset !== '' && !Object.hasOwn(entry?.Subsets ?? {}, subset)) {
      this.#context.fail(
        `service ${JSON.stringify(name.service)} does not have a subset named ${JSON.stringify(subset)}`,
      )
    }
    return { ...name, subset }
  }

  #failoverTargets(id: string, target: TargetName, entry: ServiceResolver): string[] {
    const policies = entry.Failover ?? {}
    const policy = Object.hasOwn(policies, target.subset) ? policies[target.subset] : policies['*']
    if (policy === undefined) return []
    const ids = new Set<string>()
    for (const asked of failoverNames(target, policy)) {
      const name = this.#resolve(asked)
      const other = targetId(name)
      if (other === id || ids.has(other)) continue
      ids.add(other)
      this.#addTarget(name, name.peer === '' ? this.#context.source.get('service-resolver', name.service) : undefined)
    }
    return [...ids]
  }

  #addTarget(name: TargetName, entry: ServiceResolver | undefined): void {
    const id = targetId(name)
    if (this.targets.has(id)) return
    const { source, request } = this.#context
    const defaults = source.get('service-defaults', name.service)
    const everyone = source.get('proxy-defaults', 'global')
    const mode = defaults?.MeshGateway.Mode || everyone?.MeshGateway.Mode || ''
    const sni = name.peer === '' ? serviceSni(request.trustDomain, name) : ''
    const external = name.peer === '' ? (defaults?.ExternalSNI ?? '') : ''
    this.targets.set(
      id,
      DiscoveryTarget.of({
        ConnectTimeout: this.#context.connectTimeoutNs(entry?.ConnectTimeout ?? 0),
        ID: id,
        Service: name.service,
        ServiceSubset: name.subset,
        Namespace: 'default',
        Partition: 'default',
        Datacenter: name.peer === '' ? name.datacenter : '',
        Peer: name.peer,
        MeshGateway: MeshGatewayMode.of({ Mode: this.#context.meshGatewayMode(mode) }),
        Subset: entry?.Subsets?.[name.subset] ?? ResolverSubset.of(),
        ...(defaults === undefined ? {} : { TransparentProxy: defaults.TransparentProxy }),
        External: external !== '',
        SNI: external === '' ? sni : external,
        Name: sni,
      }),
    )
  }
}

function redirected(name: TargetName, redirect: NonNullable<ServiceResolver['Redirect']>): TargetName {
  const service = redirect.Service === '' ? name.service : redirect.Service
  const kept = service === name.service ? name.subset : ''
  return {
    service,
    subset: redirect.ServiceSubset === '' ? kept : redirect.ServiceSubset,
    datacenter: redirect.Datacenter === '' ? name.datacenter : redirect.Datacenter,
    peer: redirect.Peer,
  }
}

/** What a failover names, in its order, before redirects. */
function failoverNames(target: TargetName, policy: ResolverFailover): TargetName[] {
  const named = (service: string, subset: string, datacenter: string, peer: string): TargetName => ({
    service: service === '' ? target.service : service,
    // A subset belongs to its service and its datacenter's entries: it stays only where the service does.
    subset: subset === '' && (service === '' || service === target.service) && peer === '' ? target.subset : subset,
    datacenter: datacenter === '' ? target.datacenter : datacenter,
    peer,
  })
  const targets = policy.Targets ?? []
  if (targets.length > 0) {
    return targets.map(({ Service, ServiceSubset, Datacenter, Peer }) =>
      named(Service, ServiceSubset, Datacenter, Peer),
    )
  }
  const datacenters = policy.Datacenters ?? []
  if (datacenters.length === 0) return [named(policy.Service, policy.ServiceSubset, '', '')]
  return datacenters.map((datacenter) => named(policy.Service, policy.ServiceSubset, datacenter, ''))
}

/** An entry that changes nothing is as good as none. */
function saysNothing(entry: ServiceResolver): boolean {
  return (
    entry.DefaultSubset === '' &&
    Object.keys(entry.Subsets ?? {}).length === 0 &&
    entry.Redirect === null &&
    Object.keys(entry.Failover ?? {}).length === 0 &&
    entry.ConnectTimeout === 0 &&
    entry.RequestTimeout === 0 &&
    entry.LoadBalancer === null
  )
}
