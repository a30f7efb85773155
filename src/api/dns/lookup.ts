/**
 * What a name asks for: a node, a service, an address, the zone itself, or nothing of ours. Pure.
 */
import { bytesToIp } from '#base'

export type Lookup =
  | { readonly kind: 'node'; readonly node: string; readonly datacenter: string; readonly domain: string }
  | {
      readonly kind: 'service'
      readonly service: string
      readonly tag: string
      readonly connect: boolean
      readonly datacenter: string
      readonly domain: string
    }
  | { readonly kind: 'address'; readonly address: string; readonly domain: string }
  | { readonly kind: 'reverse'; readonly address: string; readonly domain: string }
  /** A name of our zone that stands for nothing. `exists`: it has no records, but it is no error to ask. */
  | { readonly kind: 'nothing'; readonly exists: boolean; readonly domain: string }
  | { readonly kind: 'foreign' }

const KINDS = ['node', 'service', 'connect', 'virtual', 'ingress', 'query', 'addr'] as const
type KindName = (typeof KINDS)[number]

export interface Zone {
  readonly domain: string
  readonly altDomain: string
  readonly datacenter: string
}

/** @param asked - labels of the question, in any case */
export function lookupOf(asked: readonly string[], zone: Zone): Lookup {
  const labels = asked.map((label) => label.toLowerCase())
  const reverse = reverseAddress(labels)
  if (reverse !== undefined) return { kind: 'reverse', address: reverse, domain: zone.domain }
  for (const domain of [zone.domain, zone.altDomain]) {
    const suffix = domain.toLowerCase().split('.')
    if (domain !== '' && endsWith(labels, suffix)) return inZone(labels.slice(0, -suffix.length), domain, zone)
  }
  return { kind: 'foreign' }
}

function endsWith(labels: readonly string[], suffix: readonly string[]): boolean {
  const offset = labels.length - suffix.length
  return offset >= 0 && suffix.every((label, index) => labels[offset + index] === label)
}

function inZone(parts: readonly string[], domain: string, zone: Zone): Lookup {
  const nothing: Lookup = { kind: 'nothing', exists: false, domain }
  const { rest, datacenter } = explicitDatacenter(parts)
  const split = splitKind(rest)
  if (split === undefined) return nothing
  if (datacenter !== undefined && split.datacenter !== undefined) return nothing
  const where = datacenter ?? split.datacenter ?? zone.datacenter
  return ofKind(split.kind, split.name, where, domain) ?? nothing
}

/** `….<dc>.dc` */
function explicitDatacenter(parts: readonly string[]): { rest: readonly string[]; datacenter: string | undefined } {
  if (parts.length < 3 || parts.at(-1) !== 'dc') return { rest: parts, datacenter: undefined }
  return { rest: parts.slice(0, -2), datacenter: parts.at(-2) }
}

interface Split {
  readonly kind: KindName
  readonly name: readonly string[]
  readonly datacenter: string | undefined
}

function splitKind(parts: readonly string[]): Split | undefined {
  const last = kindName(parts.at(-1))
  if (last !== undefined) return { kind: last, name: parts.slice(0, -1), datacenter: undefined }
  const before = kindName(parts.at(-2))
  if (before !== undefined) return { kind: before, name: parts.slice(0, -2), datacenter: parts.at(-1) }
  // RFC 2782 names may leave out "service".
  const [service, tag, datacenter] = parts
  const isShort = service?.startsWith('_') && tag?.startsWith('_') && parts.length <= 3
  return isShort ? { kind: 'service', name: parts.slice(0, 2), datacenter } : undefined
}

function kindName(label: string | undefined): KindName | undefined {
  return KINDS.find((kind) => kind === label)
}

function ofKind(kind: KindName, name: readonly string[], datacenter: string, domain: string): Lookup | undefined {
  if (name.length === 0) return undefined
  switch (kind) {
    case 'node':
      return name.length === 1 ? { kind: 'node', node: name[0] ?? '', datacenter, domain } : undefined
    case 'service':
      return serviceLookup(name, datacenter, domain)
    case 'connect':
      return { kind: 'service', service: name.at(-1) ?? '', tag: '', connect: true, datacenter, domain }
    case 'virtual':
      // Virtual addresses are not given out, so each name is one without records.
      return { kind: 'nothing', exists: true, domain }
    case 'addr':
      return addressLookup(name, domain)
    default:
      return undefined
  }
}

function serviceLookup(name: readonly string[], datacenter: string, domain: string): Lookup {
  const [first = '', second = ''] = name
  if (name.length === 2 && first.startsWith('_') && second.startsWith('_')) {
    const tag = second.slice(1)
    return {
      kind: 'service',
      service: first.slice(1),
      tag: tag === 'tcp' ? '' : tag,
      connect: false,
      datacenter,
      domain,
    }
  }
  const service = name.at(-1) ?? ''
  return { kind: 'service', service, tag: name.slice(0, -1).join('.'), connect: false, datacenter, domain }
}

function addressLookup(name: readonly string[], domain: string): Lookup | undefined {
  const [hex = ''] = name
  if (name.length !== 1 || !/^(?:[0-9a-f]{8}|[0-9a-f]{32})$/.test(hex)) return undefined
  const address = bytesToIp(Buffer.from(hex, 'hex'))
  return address === undefined ? undefined : { kind: 'address', address, domain }
}

/** The address of `….in-addr.arpa` and `….ip6.arpa`. */
function reverseAddress(labels: readonly string[]): string | undefined {
  if (labels.at(-1) !== 'arpa') return undefined
  const digits = labels.slice(0, -2).reverse()
  if (labels.at(-2) === 'in-addr' && digits.length === 4 && digits.every((digit) => /^\d{1,3}$/.test(digit))) {
    return digits.every((digit) => Number(digit) < 256) ? digits.map(Number).join('.') : undefined
  }
  if (labels.at(-2) === 'ip6' && digits.length === 32 && digits.every((digit) => /^[0-9a-f]$/.test(digit))) {
    return bytesToIp(Buffer.from(digits.join(''), 'hex'))
  }
  return undefined
}
