/**
 * Names in the mesh: server names (SNI), identities (SPIFFE), targets of discovery chains.
 *
 * Namespace and partition are always `default`.
 *
 * Source: federation wire notes §7.
 */

/** What a target is of: a service, maybe a subset of it, in a datacenter or at a peer. */
export interface TargetName {
  readonly service: string
  readonly subset: string
  readonly datacenter: string
  readonly peer: string
}

/** `[<subset>.]<service>.default.default.<dc>`, or `….external.<peer>` */
export function targetId({ service, subset, datacenter, peer }: TargetName): string {
  const where = peer === '' ? datacenter : `external.${peer}`
  return `${subset === '' ? '' : `${subset}.`}${service}.default.default.${where}`
}

/** The server name by which sidecars are called, and by which gateways route. */
export function serviceSni(trustDomain: string, { service, subset, datacenter }: Omit<TargetName, 'peer'>): string {
  return `${subset === '' ? '' : `${subset}.`}${service}.default.${datacenter}.internal.${trustDomain}`
}

/** The server name of a datacenter as a whole. */
export function datacenterSni(trustDomain: string, datacenter: string): string {
  return `${datacenter}.internal.${trustDomain}`
}

/** The identity in a service's certificate. Subsets have none of their own; a name cannot reach out of its place. */
export function serviceSpiffeId(trustDomain: string, datacenter: string, service: string): string {
  return `spiffe://${trustDomain}/ns/default/dc/${datacenter}/svc/${encodeURIComponent(service)}`
}

const SERVICE_IDENTITY = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/dc\/([^/]+)\/svc\/([^/]+)$/

/** Reads a service's identity; undefined when it is none. Escaped names are read as they were meant. */
export function parseServiceSpiffeId(
  uri: string,
): { readonly trustDomain: string; readonly datacenter: string; readonly service: string } | undefined {
  const match = SERVICE_IDENTITY.exec(uri)
  if (!match) return undefined
  try {
    return { trustDomain: match[1]!, datacenter: decodeURIComponent(match[3]!), service: decodeURIComponent(match[4]!) }
  } catch {
    return undefined
  }
}

/** Protocols whose proxies see requests, and can therefore route and split them. */
export function seesRequests(protocol: string): boolean {
  return protocol === 'http' || protocol === 'http2' || protocol === 'grpc'
}
