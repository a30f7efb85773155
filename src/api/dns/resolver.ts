/**
 * Lookups → records, from the same operations that HTTP uses.
 *
 * Our own datacenter is answered from shared answers, at once; another one is asked through the endpoints, with a time
 * limit below that of common resolvers.
 */
import { type Clock, codeOf, ipToBytes, type Logger, messageOf } from '#base'
import {
  type CheckServiceNode,
  type Node,
  NodeSpecificRequest,
  type QueryMeta,
  type QueryOptions,
  ServiceSpecificRequest,
} from '#codec'
import { catalog, type Endpoints, health, type LiveAnswer, type ReadOperation } from '#endpoints'
import type { Lookup } from './lookup.ts'
import { type DnsRecord, type Question, RCODE, TYPE, type WireName, wireName } from './message.ts'
import { txtData } from './message-writer.ts'
import { addressRecord, alone, type Resolution, record, resolution, type Unit, wants } from './resolution.ts'
import { ReverseNames } from './reverse.ts'
import { type DnsSettings, serviceTtl } from './settings.ts'

/** How long another datacenter may take; resolvers give up after 5 s. */
const REMOTE_TIMEOUT_MS = 4000
/** Servers of the datacenter are registered under this name. */
const SERVER_SERVICE = 'consul'
const RAW_META_PREFIX = 'rfc1035-'
const MS_PER_S = 1000

export interface ResolverOptions {
  readonly endpoints: Endpoints
  /** Whose eyes DNS sees with, where there is access control. */
  readonly token?: () => string
  readonly clock: Clock
  readonly log: Logger
}

type Reading<R> = { readonly reply: R; readonly source: Pick<LiveAnswer<unknown>, 'fired'> | undefined }

export class Resolver {
  readonly settings: DnsSettings
  readonly #options: ResolverOptions
  readonly #reverse: ReverseNames

  constructor(options: ResolverOptions, settings: DnsSettings) {
    this.settings = settings
    this.#options = options
    this.#reverse = new ReverseNames(options.endpoints, options.token)
  }

  /** Records for a name of our zone. Errors become an rcode. */
  resolve(question: Question, lookup: Exclude<Lookup, { kind: 'foreign' }>): Resolution | Promise<Resolution> {
    try {
      const found = this.#resolve(question, lookup)
      return found instanceof Promise ? found.catch((thrown) => this.#failure(thrown, lookup.domain)) : found
    } catch (thrown) {
      return this.#failure(thrown, lookup.domain)
    }
  }

  #resolve(question: Question, lookup: Exclude<Lookup, { kind: 'foreign' }>): Resolution | Promise<Resolution> {
    const { domain } = lookup
    if (question.type === TYPE.AXFR) return resolution({ rcode: RCODE.NOTIMP })
    if (lookup.kind === 'reverse') return this.#pointer(lookup.address, domain)
    if (question.type === TYPE.SOA || question.type === TYPE.NS) return this.#zone(question.type, domain)
    if (lookup.kind === 'nothing') return lookup.exists ? resolution({}) : this.#nameError(domain, [])
    if (lookup.kind === 'address') return this.#address(question.type, lookup.address)
    if (lookup.kind === 'node') return this.#node(question.type, lookup)
    return this.#service(question.type, lookup)
  }

  /** Reads here at once, or from another datacenter in time. */
  #read<A, R>(
    operation: ReadOperation<A & QueryOptions & { readonly Datacenter: string }, R & QueryMeta>,
    asked: A & QueryOptions & { readonly Datacenter: string },
    use: (reading: Reading<R & QueryMeta>) => Resolution,
  ): Resolution | Promise<Resolution> {
    const { endpoints, clock, token } = this.#options
    const args = { ...asked, Token: token?.() ?? '' }
    if (args.Datacenter === endpoints.datacenter) {
      const live = endpoints.live(operation, args)
      if (live !== undefined) return use({ reply: live.reply, source: live })
    }
    const limit = new AbortController()
    const timer = clock.after(REMOTE_TIMEOUT_MS, () => limit.abort())
    return endpoints
      .call(operation, args, { signal: limit.signal })
      .then((reply) => use({ reply, source: undefined }))
      .finally(() => timer.cancel())
  }

  #failure(thrown: unknown, domain: string): Resolution {
    if (codeOf(thrown) === 'NO_PATH_TO_DATACENTER') return { ...this.#nameError(domain, []), sources: undefined }
    this.#options.log.warn('DNS lookup failed', { error: messageOf(thrown) })
    return resolution({ rcode: RCODE.SERVFAIL, sources: undefined })
  }

  #soa(domain: string): DnsRecord {
    const { refreshSeconds, retrySeconds, expireSeconds, minTtlSeconds } = this.settings.soa
    const serial = Math.floor(this.#options.clock.wallMs() / MS_PER_S)
    const numbers = [serial, refreshSeconds, retrySeconds, expireSeconds, minTtlSeconds]
    const [mname, rname] = [wireName(`ns.${domain}`), wireName(`hostmaster.${domain}`)]
    const data = { kind: 'soa', mname, rname, numbers } as const
    return record(wireName(domain), TYPE.SOA, minTtlSeconds, data)
  }

  #nameError(domain: string, sources: Resolution['sources']): Resolution {
    return resolution({ rcode: RCODE.NXDOMAIN, authority: [this.#soa(domain)], sources })
  }

  #address(type: number, address: string): Resolution {
    const found = addressRecord(undefined, address, this.settings.nodeTtlSeconds)
    return wants(type, found.type) ? resolution({ units: [alone(found)] }) : resolution({ additional: [found] })
  }

  #pointer(address: string, domain: string): Resolution {
    const { name, sources } = this.#reverse.nameOf(address)
    if (name === undefined) return this.#nameError(domain, sources)
    const data = { kind: 'name', name: wireName(`${name}.${domain}`) } as const
    return resolution({ units: [alone(record(undefined, TYPE.PTR, this.settings.nodeTtlSeconds, data))], sources })
  }

  #node(
    type: number,
    { node, datacenter, domain }: Extract<Lookup, { kind: 'node' }>,
  ): Resolution | Promise<Resolution> {
    const args = NodeSpecificRequest.of({ Datacenter: datacenter, Node: node, AllowStale: true })
    return this.#read(catalog.nodeServices, args, ({ reply, source }) => {
      const sources = source && [source]
      const found = reply.NodeServices?.Node
      // A node may also be found by its ID; names in DNS are names.
      if (!found || found.Node.toLowerCase() !== node) return this.#nameError(domain, sources)
      const texts = this.#metaTexts(found, undefined)
      const address = addressRecord(undefined, found.Address, this.settings.nodeTtlSeconds)
      if (type === TYPE.TXT) return resolution({ units: texts.map(alone), sources })
      if (type === TYPE.ANY) return resolution({ units: [address, ...texts].map(alone), sources })
      const isAddress = type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME
      if (!isAddress || !wants(type, address.type)) return resolution({ sources })
      const extra = this.settings.enableAdditionalNodeMetaTxt ? texts : []
      return resolution({ units: [{ answer: address, essential: [], extra }], sources })
    })
  }

  #metaTexts(node: Node, name: WireName | undefined): DnsRecord[] {
    return Object.entries(node.Meta ?? {}).map(([key, value]) => {
      const text = key.toLowerCase().startsWith(RAW_META_PREFIX) ? value : `${key}=${value}`
      return record(name, TYPE.TXT, this.settings.nodeTtlSeconds, txtData(text))
    })
  }

  #service(type: number, lookup: Extract<Lookup, { kind: 'service' }>): Resolution | Promise<Resolution> {
    const { datacenter, domain, service, connect, tag } = lookup
    const args = ServiceSpecificRequest.of({
      Datacenter: datacenter,
      ServiceName: service,
      Connect: connect,
      AllowStale: true,
    })
    return this.#read(health.serviceNodes, args, ({ reply, source }) => {
      const sources = source && [source]
      const instances = (reply.Nodes ?? []).filter((each) => this.#isServed(each) && hasTag(each, tag))
      if (instances.length === 0) return this.#nameError(domain, sources)
      const ttl = serviceTtl(this.settings, service)
      const units =
        type === TYPE.SRV ? this.#targets(instances, datacenter, domain, ttl) : addresses(instances, type, ttl)
      const authority = units.length === 0 ? [this.#soa(domain)] : []
      return resolution({ units, authority, sources, balanced: true })
    })
  }

  #isServed({ Checks }: CheckServiceNode): boolean {
    const { onlyPassing } = this.settings
    return (Checks ?? []).every(({ Status }) => Status === 'passing' || (Status === 'warning' && !onlyPassing))
  }

  #targets(instances: readonly CheckServiceNode[], datacenter: string, domain: string, ttl: number): Unit[] {
    const units: Unit[] = []
    for (const { Node, Service, Checks } of instances) {
      if (Node === null || Service === null) continue
      const own = Service.Address
      const isName = own !== '' && ipToBytes(own) === undefined
      const target = wireName(targetName(own, isName, Node.Node, `${datacenter}.${domain}`))
      const hasWarning = (Checks ?? []).some(({ Status }) => Status === 'warning')
      const weight = (hasWarning ? Service.Weights?.Warning : Service.Weights?.Passing) ?? 1
      const data = { kind: 'srv', priority: 1, weight, port: Service.Port, target } as const
      const essential = isName ? [] : [addressRecord(target, own || Node.Address, ttl)]
      const showsMeta = own === '' && this.settings.enableAdditionalNodeMetaTxt
      const extra = showsMeta ? this.#metaTexts(Node, target) : []
      units.push({ answer: record(undefined, TYPE.SRV, ttl, data), essential, extra })
    }
    return units
  }

  /** SOA or NS of the zone, whatever name in it was asked. */
  #zone(type: number, domain: string): Resolution | Promise<Resolution> {
    const { datacenter } = this.#options.endpoints
    const args = ServiceSpecificRequest.of({ Datacenter: datacenter, ServiceName: SERVER_SERVICE, AllowStale: true })
    return this.#read(health.serviceNodes, args, ({ reply, source }) => {
      const servers = (reply.Nodes ?? []).flatMap(({ Node }) => (Node === null ? [] : [Node]))
      const ttl = this.settings.nodeTtlSeconds
      const named = servers.map((node) => ({
        node,
        name: wireName(`${label(node.Node)}.node.${datacenter}.${domain}`),
      }))
      const names = named.map(({ name }) => record(wireName(domain), TYPE.NS, ttl, { kind: 'name', name }))
      const additional = named.map(({ node, name }) => addressRecord(name, node.Address, ttl))
      const sources = source && [source]
      if (type === TYPE.NS) return resolution({ units: names.map(alone), additional, sources })
      return resolution({ units: [alone(this.#soa(domain))], authority: names, additional, sources })
    })
  }
}

/** Tags are compared whatever their case: resolvers change it. */
function hasTag({ Service }: CheckServiceNode, tag: string): boolean {
  return tag === '' || (Service?.Tags ?? []).some((each) => each.toLowerCase() === tag)
}

/** Each address once. */
function addresses(instances: readonly CheckServiceNode[], type: number, ttl: number): Unit[] {
  const seen = new Set<string>()
  const units: Unit[] = []
  for (const { Node, Service } of instances) {
    const address = Service?.Address || Node?.Address || ''
    if (address === '' || seen.has(address)) continue
    seen.add(address)
    const found = addressRecord(undefined, address, ttl)
    if (wants(type, found.type)) units.push(alone(found))
  }
  return units
}

/** A label of a name that is written as text. */
export function label(text: string): string {
  return text.replace(/[.\\]/g, '\\$&')
}

function targetName(own: string, isName: boolean, node: string, suffix: string): string {
  if (own === '') return `${label(node)}.node.${suffix}`
  if (isName) return own
  return `${ipToBytes(own)?.toString('hex') ?? ''}.addr.${suffix}`
}
