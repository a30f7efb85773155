/**
 * What a mesh gateway is to know, followed through the HTTP API of its datacenter's server by blocking queries.
 */

import { type Clock, sleep } from '#base'
import type { HttpClient } from '#client'
import { CheckServiceNode, IndexedCARoots, type Kind, list, map } from '#codec'
import { gatewayAddresses } from '#federation'
import { serviceSni } from '#mesh'
import { proxyError } from './errors.ts'
import type { GatewaySource } from './mesh-gateway.ts'
import type { Endpoint, GatewaySnapshot } from './routes.ts'

const WAIT = '5m'
const ROOTS_RETRY_MS = 5_000

interface Parts {
  trustDomain?: string
  proxies?: readonly CheckServiceNode[]
  remoteGateways?: GatewaySnapshot['remoteGateways']
  localServers?: GatewaySnapshot['localServers']
}

/** One blocking query after another; calls `onValue` for the first answer and for each that differs in its index. */
async function follow<T>(
  client: HttpClient,
  kind: Kind<T>,
  { path, query = {} }: { readonly path: string; readonly query?: Readonly<Record<string, string>> },
  onValue: (value: T) => void,
  signal: AbortSignal,
): Promise<void> {
  let index = 0
  while (!signal.aborted) {
    const answer = await client.get(kind, path, {
      query: index === 0 ? query : { ...query, index, wait: WAIT },
      signal,
    })
    if (answer.index !== index) onValue(answer.value)
    // An index that went back means that the server began anew: ask from the start.
    index = answer.index < index ? 0 : answer.index
  }
}

/** A datacenter without the mesh refuses to name its roots: its gateway still carries what the servers say to another. */
async function followTrustDomain(
  client: HttpClient,
  clock: Clock,
  onTrustDomain: (trustDomain: string) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const onValue = (roots: IndexedCARoots) => onTrustDomain(roots.TrustDomain)
    await follow(client, IndexedCARoots, { path: '/v1/connect/ca/roots' }, onValue, signal).catch(() => undefined)
    await sleep(clock, ROOTS_RETRY_MS, signal).catch(() => undefined)
  }
}

function serversOf(instances: readonly CheckServiceNode[] | null): GatewaySnapshot['localServers'] {
  return (instances ?? []).flatMap(({ Node, Service }) => {
    if (!Node || !Service) return []
    return [{ node: Node.Node, address: Service.Address || Node.Address, port: Service.Port }]
  })
}

/** Healthy sidecars and connect-native instances by the name that callers in other datacenters ask for. */
function servicesOf(
  proxies: readonly CheckServiceNode[],
  trustDomain: string,
  datacenter: string,
): GatewaySnapshot['localServices'] {
  if (trustDomain === '') return []
  const bySni = new Map<string, Endpoint[]>()
  for (const { Node, Service, Checks } of proxies) {
    const service = Service?.Proxy.DestinationServiceName
    if (!Node || !Service || !service || (Checks ?? []).some((check) => check.Status === 'critical')) continue
    const sni = serviceSni(trustDomain, { service, subset: '', datacenter })
    bySni.set(sni, [...(bySni.get(sni) ?? []), { host: Service.Address || Node.Address, port: Service.Port }])
  }
  return [...bySni].map(([sni, endpoints]) => ({ sni, endpoints }))
}

function gatewaysOf(
  byDatacenter: Readonly<Record<string, readonly CheckServiceNode[] | null>> | null,
): GatewaySnapshot['remoteGateways'] {
  return new Map<string, readonly Endpoint[]>(
    Object.entries(byDatacenter ?? {}).map(([datacenter, gateways]) => [
      datacenter,
      gatewayAddresses(gateways, 'wan', 'federation-state').map(({ host, port }) => ({ host, port })),
    ]),
  )
}

interface Whereabouts {
  readonly datacenter: string
  readonly domain: string
}

async function whereabouts(client: HttpClient, signal: AbortSignal): Promise<Whereabouts> {
  const status = await client.json('GET', '/v1/internal/federation-status', { signal })
  const known = typeof status === 'object' && status !== null ? status : {}
  const datacenter = 'Datacenter' in known ? known.Datacenter : undefined
  const domain = 'Domain' in known ? known.Domain : undefined
  if (typeof datacenter !== 'string' || typeof domain !== 'string') {
    throw proxyError('GATEWAY_SERVER_ANSWER', { address: client.address })
  }
  return { datacenter, domain }
}

/** A source that follows the server which `client` talks to. */
export function gatewayFeed(client: HttpClient, clock: Clock): GatewaySource {
  return async function* feed(signal: AbortSignal) {
    const here = await whereabouts(client, signal)
    const parts: Parts = {}
    const ended = new AbortController()
    const either = AbortSignal.any([signal, ended.signal])
    let changed = Promise.withResolvers<void>()
    const tell = () => changed.resolve()
    const watches = [
      followTrustDomain(
        client,
        clock,
        (trustDomain) => {
          parts.trustDomain = trustDomain
          tell()
        },
        either,
      ),
      follow(
        client,
        list(CheckServiceNode),
        { path: '/v1/internal/service-dump', query: { kind: 'connect-proxy' } },
        (value) => {
          parts.proxies = value ?? []
          tell()
        },
        either,
      ),
      follow(
        client,
        map(list(CheckServiceNode)),
        { path: '/v1/internal/federation-states/mesh-gateways' },
        (value) => {
          parts.remoteGateways = gatewaysOf(value)
          tell()
        },
        either,
      ),
      follow(
        client,
        list(CheckServiceNode),
        { path: '/v1/health/service/consul' },
        (value) => {
          parts.localServers = serversOf(value)
          tell()
        },
        either,
      ),
    ]
    const failed = Promise.race(watches)
    try {
      while (!signal.aborted) {
        await Promise.race([changed.promise, failed])
        changed = Promise.withResolvers<void>()
        const { remoteGateways, localServers, trustDomain = '', proxies = [] } = parts
        if (!remoteGateways || !localServers) continue
        const localServices = servicesOf(proxies, trustDomain, here.datacenter)
        yield { ...here, ...(trustDomain === '' ? {} : { trustDomain }), remoteGateways, localServers, localServices }
      }
    } finally {
      ended.abort(new Error('the gateway no longer follows'))
      await Promise.allSettled(watches)
    }
  }
}
