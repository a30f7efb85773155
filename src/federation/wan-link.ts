/**
 * The way out of a datacenter, as far as it can be built before gossip runs: who leads where, dialing, the carrier.
 *
 * Gossip needs the carrier to start, and the router needs gossip's members, so the two halves of federation meet here.
 */
import type { Clock, Logger, Metrics, Random } from '#base'
import type { TlsIdentity } from '#net'
import { RemoteDialer } from './dialer.ts'
import { GatewayLocator } from './gateway-locator.ts'
import { Reachability } from './reachability.ts'
import { GatewayWanCarrier } from './wan-carrier.ts'

export interface WanLinkOptions {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly domain: string
  /** `primary_gateways`, parsed. */
  readonly primaryGateways: readonly { readonly host: string; readonly port: number }[]
}

export interface WanLinkModules {
  readonly identity: () => TlsIdentity | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
}

export interface WanLink {
  readonly locator: GatewayLocator
  readonly reachability: Reachability
  readonly dialer: RemoteDialer
  readonly carrier: GatewayWanCarrier
}

export function createWanLink(options: WanLinkOptions, modules: WanLinkModules): WanLink {
  const { datacenter, primaryDatacenter, domain, primaryGateways } = options
  const locator = new GatewayLocator({ datacenter, primaryDatacenter, configured: primaryGateways })
  const reachability = new Reachability(modules.clock)
  const dialer = new RemoteDialer({ domain, primaryDatacenter }, { ...modules, locator, reachability })
  return { locator, reachability, dialer, carrier: new GatewayWanCarrier({ ...modules, dialer }) }
}
