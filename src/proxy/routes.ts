/**
 * Which name leads where: the route table of a mesh gateway, made from what its datacenter knows, and the look-up.
 *
 * Pure. A gateway knows its own datacenter's servers and services one by one, and of every other datacenter only the
 * gateways; what is behind those is theirs to know.
 *
 * Source: federation notes §6 (routes), §7 (names).
 */
import { formatHostPort, type HostPort } from '#base'
import { proxyError } from './errors.ts'

/** Names in one table, exact ones and wildcards together. */
export const MAX_ROUTES = 100_000

export interface Endpoint extends HostPort {}

/** All names with one or more labels in front of `suffix`, which begins with a dot. */
export interface WildcardRoute {
  readonly suffix: string
  readonly endpoints: readonly Endpoint[]
}

export interface RouteTable {
  readonly exact: ReadonlyMap<string, readonly Endpoint[]>
  readonly wildcards: readonly WildcardRoute[]
}

/** A route that was found; `name` is the exact name, or `*` and the suffix. */
export interface Route {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
}

/** What a gateway's datacenter knows: the input that routes are made from. */
export interface GatewaySnapshot {
  readonly datacenter: string
  /** The DNS domain of server names, `consul` unless configured. */
  readonly domain: string
  /** `<cluster-id>.consul`; without it services of other datacenters have no routes. */
  readonly trustDomain?: string
  /** Servers of this datacenter by node name, with their RPC port. */
  readonly localServers: readonly { readonly node: string; readonly address: string; readonly port: number }[]
  /** Services of this datacenter by SNI. */
  readonly localServices: readonly { readonly sni: string; readonly endpoints: readonly Endpoint[] }[]
  /** Gateways of each other datacenter, WAN addresses. */
  readonly remoteGateways: ReadonlyMap<string, readonly Endpoint[]>
}

/** An empty table: every connection is refused. */
export const NO_ROUTES: RouteTable = { exact: new Map(), wildcards: [] }

/**
 * The route table of a mesh gateway.
 *
 * Own datacenter: `server.<dc>.<domain>` (any server, for the first join), `<node>.server.<dc>.<domain>`, and the SNI of
 * each service. Other datacenters: the same server names and everything under `<dc>.internal.<trust domain>`, to their
 * gateways. A snapshot's entry for the own datacenter among the remote ones is ignored: it would be a loop.
 */
export function routesFor(snapshot: GatewaySnapshot): RouteTable {
  const domain = snapshot.domain.replace(/\.+$/, '')
  const exact = new Map<string, readonly Endpoint[]>()
  const wildcards: WildcardRoute[] = []
  const serverName = (datacenter: string) => `server.${datacenter}.${domain}`.toLowerCase()
  for (const [datacenter, endpoints] of snapshot.remoteGateways) {
    if (datacenter === snapshot.datacenter) continue
    exact.set(serverName(datacenter), endpoints)
    wildcards.push({ suffix: `.${serverName(datacenter)}`, endpoints })
    if (snapshot.trustDomain) {
      wildcards.push({ suffix: `.${datacenter}.internal.${snapshot.trustDomain}`.toLowerCase(), endpoints })
    }
  }
  for (const { sni, endpoints } of snapshot.localServices) exact.set(sni.toLowerCase(), endpoints)
  const own = serverName(snapshot.datacenter)
  const servers = snapshot.localServers.map(({ node, address, port }) => ({ node, endpoint: { host: address, port } }))
  if (servers.length > 0)
    exact.set(
      own,
      servers.map(({ endpoint }) => endpoint),
    )
  for (const { node, endpoint } of servers) exact.set(`${node}.${own}`.toLowerCase(), [endpoint])
  return { exact, wildcards }
}

/** A table made ready for look-ups. */
export class Routes {
  readonly #exact: ReadonlyMap<string, readonly Endpoint[]>
  readonly #wildcards: ReadonlyMap<string, readonly Endpoint[]>

  /** @throws GATEWAY_TOO_MANY_ROUTES */
  constructor(table: RouteTable) {
    const routes = table.exact.size + table.wildcards.length
    if (routes > MAX_ROUTES) throw proxyError('GATEWAY_TOO_MANY_ROUTES', { routes, limit: MAX_ROUTES })
    this.#exact = table.exact
    this.#wildcards = new Map(table.wildcards.map(({ suffix, endpoints }) => [suffix.toLowerCase(), endpoints]))
  }

  /** The route of a name: the exact one, else the wildcard with the longest suffix. `sni` in lower case. */
  match(sni: string): Route | undefined {
    const exact = this.#exact.get(sni)
    if (exact) return { name: sni, endpoints: exact }
    for (let dot = sni.indexOf('.', 1); dot > 0; dot = sni.indexOf('.', dot + 1)) {
      const suffix = sni.slice(dot)
      const endpoints = this.#wildcards.get(suffix)
      if (endpoints) return { name: `*${suffix}`, endpoints }
    }
    return undefined
  }
}

/** Endpoints as text, for logs. */
export function endpointTexts(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ host, port }) => formatHostPort(host, port))
}
