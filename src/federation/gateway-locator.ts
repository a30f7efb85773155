/**
 * Which mesh gateways lead to a datacenter.
 *
 * Between datacenters everything goes through gateways: normally out through one of our own, which knows the other
 * side's. A secondary that has lost its primary, or does not know its own gateways yet, dials the primary's gateways
 * itself: those of the replicated federation state, those the primary pushed to us, and those it was configured with.
 * Pure: what is known comes in as values, candidates go out in the order to try.
 *
 * Source: federation wire notes §3. Beyond it: candidates are a list, so that a gateway that died a moment ago costs one
 * refused connection instead of a failed call; and the primary may push its gateways (a gateway replaced at another
 * address is learned without the path that it broke).
 */
import { formatHostPort, type Random, shuffled } from '#base'
import type { CheckServiceNode, FederationState } from '#codec'

export interface Gateway {
  readonly host: string
  readonly port: number
  readonly source: 'federation-state' | 'pushed' | 'configured' | 'local'
}

export interface LocatorOptions {
  readonly datacenter: string
  readonly primaryDatacenter: string
  /** `primary_gateways` of the configuration, "host:port" parsed. */
  readonly configured: readonly { readonly host: string; readonly port: number }[]
}

/** Replication failures in a row after which the leader dials the primary's gateways itself. */
export const FAILURES_BEFORE_DIRECT = 3

function taggedAddress(entry: CheckServiceNode, tag: 'lan' | 'wan'): { host: string; port: number } | undefined {
  const service = entry.Service
  if (!service) return undefined
  const tagged = service.TaggedAddresses?.[tag]
  if (tagged && tagged.Address !== '') return { host: tagged.Address, port: tagged.Port }
  const host = service.Address !== '' ? service.Address : (entry.Node?.Address ?? '')
  return host === '' ? undefined : { host, port: service.Port }
}

/** Gateways that may carry federation: marked for it, and without a critical check. */
function usable(entry: CheckServiceNode): boolean {
  const marked = entry.Service?.Meta?.['consul-wan-federation'] === '1'
  return marked && !(entry.Checks ?? []).some((check) => check.Status === 'critical')
}

/** Addresses of the usable ones among `gateways`: `lan` as their own datacenter reaches them, `wan` as others do. */
export function gatewayAddresses(
  gateways: readonly CheckServiceNode[] | null | undefined,
  tag: 'lan' | 'wan',
  source: Gateway['source'],
): readonly Gateway[] {
  return (gateways ?? []).filter(usable).flatMap((entry) => {
    const at = taggedAddress(entry, tag)
    return at ? [{ ...at, source }] : []
  })
}

/** Keeps the first of each address. */
function distinct(gateways: readonly Gateway[]): readonly Gateway[] {
  const seen = new Set<string>()
  return gateways.filter(({ host, port }) => {
    const key = formatHostPort(host, port)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

export class GatewayLocator {
  readonly #options: LocatorOptions
  #states: ReadonlyMap<string, FederationState> = new Map()
  #pushed: readonly Gateway[] = []
  /** Its construction counts as a first success. */
  #failures = 0

  constructor(options: LocatorOptions) {
    this.#options = options
  }

  /** The federation states that this datacenter's store holds now. */
  setStates(states: readonly FederationState[]): void {
    this.#states = new Map(states.map((state) => [state.Datacenter, state]))
  }

  /** Gateways that the primary told us of directly. */
  setPushed(gateways: readonly CheckServiceNode[]): void {
    this.#pushed = gatewayAddresses(gateways, 'wan', 'pushed')
  }

  replicationSucceeded(): void {
    this.#failures = 0
  }

  replicationFailed(): void {
    this.#failures++
  }

  get dialsThroughLocal(): boolean {
    return this.#failures < FAILURES_BEFORE_DIRECT
  }

  /** Our own gateways, as this datacenter reaches them. */
  local(): readonly Gateway[] {
    return gatewayAddresses(this.#states.get(this.#options.datacenter)?.MeshGateways, 'lan', 'local')
  }

  /** The gateways of another datacenter, as the outside reaches them, in no order. */
  of(datacenter: string): readonly Gateway[] {
    const known = gatewayAddresses(this.#states.get(datacenter)?.MeshGateways, 'wan', 'federation-state')
    if (datacenter !== this.#options.primaryDatacenter) return known
    const configured = this.#options.configured.map((at): Gateway => ({ ...at, source: 'configured' }))
    return distinct([...this.#pushed, ...known, ...configured])
  }

  /** Where to dial for a server of `datacenter`, in the order to try; empty when no gateway is known. */
  candidates(datacenter: string, random: Random): readonly Gateway[] {
    const local = shuffled(this.local(), random)
    const { datacenter: own, primaryDatacenter } = this.#options
    if (own === primaryDatacenter || datacenter !== primaryDatacenter) return local
    const primary = shuffled(this.of(datacenter), random)
    return distinct(this.dialsThroughLocal ? [...local, ...primary] : [...primary, ...local])
  }
}
