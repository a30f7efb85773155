/**
 * Names of the service mesh: trust domains and SPIFFE IDs, from text and to text.
 *
 * One trust domain spans all datacenters of a federation. An identity names its datacenter, so that a service of dc1
 * cannot be impersonated by dc2's certificate authority unnoticed by those who look at the name.
 *
 * Source: SPIFFE-ID §2; federation wire notes §7.
 */
import { caError } from './errors.ts'

/** The name of a federation's CA; always ends in `.consul`, whatever `domain` is. */
export function trustDomainOf(clusterId: string): string {
  return `${clusterId.toLowerCase()}.consul`
}

/** Longest SPIFFE ID that is read, in characters (SPIFFE-ID §2.3). */
export const MAX_SPIFFE_ID = 2048

interface InDatacenter {
  readonly trustDomain: string
  readonly datacenter: string
  /** `default` unless the name says otherwise. */
  readonly partition: string
}

export type SpiffeId =
  | (InDatacenter & { readonly kind: 'service'; readonly namespace: string; readonly service: string })
  | (InDatacenter & { readonly kind: 'agent'; readonly node: string })
  | (InDatacenter & { readonly kind: 'server' })
  | (InDatacenter & { readonly kind: 'mesh-gateway' })
  | { readonly kind: 'authority'; readonly trustDomain: string }

const HOST = /^[a-z0-9._-]{1,255}$/

/** What may stand in a path, in the order of the forms; `{}` captures one segment. */
const SEGMENT = '([^/]+)'
const FORMS: readonly {
  readonly pattern: RegExp
  readonly make: (domain: string, at: readonly string[]) => SpiffeId
}[] = [
  {
    pattern: new RegExp(`^(?:/ap/${SEGMENT})?/ns/${SEGMENT}/dc/${SEGMENT}/svc/${SEGMENT}$`),
    make: (trustDomain, [partition = '', namespace = '', datacenter = '', service = '']) => ({
      kind: 'service',
      trustDomain,
      partition: partition || 'default',
      namespace,
      datacenter,
      service,
    }),
  },
  {
    pattern: new RegExp(`^(?:/ap/${SEGMENT})?/agent/client/dc/${SEGMENT}/id/${SEGMENT}$`),
    make: (trustDomain, [partition = '', datacenter = '', node = '']) => ({
      kind: 'agent',
      trustDomain,
      partition: partition || 'default',
      datacenter,
      node,
    }),
  },
  {
    pattern: new RegExp(`^(?:/ap/${SEGMENT})?/gateway/mesh/dc/${SEGMENT}$`),
    make: (trustDomain, [partition = '', datacenter = '']) => ({
      kind: 'mesh-gateway',
      trustDomain,
      partition: partition || 'default',
      datacenter,
    }),
  },
  {
    pattern: new RegExp(`^/agent/server/dc/${SEGMENT}$`),
    make: (trustDomain, [datacenter = '']) => ({ kind: 'server', trustDomain, partition: 'default', datacenter }),
  },
  { pattern: /^$/, make: (trustDomain) => ({ kind: 'authority', trustDomain }) },
]

function decoded(uri: string, segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? '')
  } catch {
    throw caError('CA_BAD_SPIFFE_ID', { uri, reason: 'a part of its path is not percent-encoded text' })
  }
}

/**
 * Reads a SPIFFE ID.
 *
 * @throws CA_NOT_SPIFFE, CA_BAD_SPIFFE_ID
 */
export function parseSpiffeId(uri: string): SpiffeId {
  if (uri.length > MAX_SPIFFE_ID) {
    throw caError('CA_BAD_SPIFFE_ID', {
      uri: `${uri.slice(0, 64)}…`,
      reason: `longer than ${MAX_SPIFFE_ID} characters`,
    })
  }
  const match = /^spiffe:\/\/([^/?#]*)([^?#]*)$/i.exec(uri)
  if (!/^spiffe:/i.test(uri)) throw caError('CA_NOT_SPIFFE', { uri })
  const host = match?.[1]?.toLowerCase() ?? ''
  if (!match || !HOST.test(host)) {
    throw caError('CA_BAD_SPIFFE_ID', { uri, reason: 'it has no trust domain, or a port, user, query or fragment' })
  }
  for (const { pattern, make } of FORMS) {
    const found = pattern.exec(match[2] ?? '')
    if (found)
      return make(
        host,
        found.slice(1).map((segment) => decoded(uri, segment)),
      )
  }
  throw caError('CA_BAD_SPIFFE_ID', { uri, reason: 'its path names no service, agent, server or gateway' })
}

/** The SPIFFE ID as text. */
export function formatSpiffeId(id: SpiffeId): string {
  const base = `spiffe://${id.trustDomain}`
  if (id.kind === 'authority') return base
  const part = encodeURIComponent
  const partition = id.partition === 'default' ? '' : `/ap/${part(id.partition)}`
  const dc = `dc/${part(id.datacenter)}`
  if (id.kind === 'service') return `${base}${partition}/ns/${part(id.namespace)}/${dc}/svc/${part(id.service)}`
  if (id.kind === 'agent') return `${base}${partition}/agent/client/${dc}/id/${part(id.node)}`
  if (id.kind === 'server') return `${base}/agent/server/${dc}`
  return `${base}${partition}/gateway/mesh/${dc}`
}

/** The identity of a service in the default namespace. */
export function serviceId(trustDomain: string, datacenter: string, service: string): SpiffeId {
  return { kind: 'service', trustDomain, partition: 'default', namespace: 'default', datacenter, service }
}
