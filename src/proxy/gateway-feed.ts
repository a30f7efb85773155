/**
 * What a mesh gateway is to know, followed through the HTTP API of its datacenter's server by blocking queries.
 */

import type { HttpClient } from '#client'
import { CheckServiceNode, type Kind, list, map } from '#codec'
import { gatewayAddresses } from '#federation'
import { proxyError } from './errors.ts'
import type { GatewaySource } from './mesh-gateway.ts'
import type { Endpoint, GatewaySnapshot } from './routes.ts'

const WAIT = '5m'

interface Parts {
  remoteGateways?: GatewaySnapshot['remoteGateways']
  localServers?: GatewaySnapshot['localServers']
}

/** One blocking query after another; calls `onValue` for the first answer and for each that differs in its index. */
async function follow<T>(
  client: HttpClient,
  kind: Kind<T>,
  path: string,
  onValue: (value: T) => void,
  signal: AbortSignal,
): Promise<void> {
  let index = 0
  while (!signal.aborted) {
    const answer = await client.get(kind, path, { query: index === 0 ? {} : { index, wait: WAIT }, signal })
    if (answer.index !== index) onValue(answer.value)
    // An index that went back means that the server began anew: ask from the start.
    index = answer.index < index ? 0 : answer.index
  }
}

function serversOf(instances: readonly CheckServiceNode[] | null): GatewaySnapshot['localServers'] {
  return (instances ?? []).flatMap(({ Node, Service }) => {
    if (!Node || !Service) return []
    return [{ node: Node.Node, address: Service.Address || Node.Address, port: Service.Port }]
  })
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
export function gatewayFeed(client: HttpClient): GatewaySource {
  return async function* feed(signal: AbortSignal) {
    const here = await whereabouts(client, signal)
    const parts: Parts = {}
    const ended = new AbortController()
    const either = AbortSignal.any([signal, ended.signal])
    let changed = Promise.withResolvers<void>()
    const tell = () => changed.resolve()
    const watches = [
      follow(
        client,
        map(list(CheckServiceNode)),
        '/v1/internal/federation-states/mesh-gateways',
        (value) => {
          parts.remoteGateways = gatewaysOf(value)
          tell()
        },
        either,
      ),
      follow(
        client,
        list(CheckServiceNode),
        '/v1/health/service/consul',
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
        const { remoteGateways, localServers } = parts
        if (remoteGateways && localServers) yield { ...here, remoteGateways, localServers, localServices: [] }
      }
    } finally {
      ended.abort(new Error('the gateway no longer follows'))
      await Promise.allSettled(watches)
    }
  }
}
