/**
 * What the steps of one compilation share: what is asked, which overrides took effect, which protocol the chain has.
 *
 * Lives as long as one compilation and never leaves it.
 */

import type { EntrySource } from './entry-source.ts'
import { meshError } from './errors.ts'
import { seesRequests } from './names.ts'

export interface ChainRequest {
  readonly service: string
  /** The datacenter that targets are in unless an entry says otherwise. */
  readonly datacenter: string
  readonly trustDomain: string
  readonly overrideMeshGatewayMode?: string
  readonly overrideProtocol?: string
  readonly overrideConnectTimeoutNs?: number
  /** Of the service, from the catalog; null when it has none. */
  readonly autoVirtualIps?: readonly string[] | null
  readonly manualVirtualIps?: readonly string[] | null
}

/** How long a proxy waits for a connection unless a resolver says otherwise. */
export const CONNECT_TIMEOUT_NS_DEFAULT = 5_000_000_000

export class ChainContext {
  readonly source: EntrySource
  readonly request: ChainRequest
  readonly effective = { meshGatewayMode: '', protocol: '', connectTimeoutNs: 0 }
  #protocol: string | undefined

  constructor(source: EntrySource, request: ChainRequest) {
    this.source = source
    this.request = request
  }

  /** The protocol of the chain's services, before an override. */
  get protocol(): string {
    return this.#protocol ?? 'tcp'
  }

  /** All services of a chain speak the same protocol. */
  visit(service: string): void {
    const protocol = serviceProtocol(this.source, service)
    this.#protocol ??= protocol
    if (protocol !== this.#protocol) {
      this.fail(
        `discovery chain ${JSON.stringify(this.request.service)} uses inconsistent protocols; service ${JSON.stringify(service)} has ${JSON.stringify(protocol)} which is not ${JSON.stringify(this.#protocol)}`,
      )
    }
  }

  /** Whether routers and splitters are left out, because the protocol asked for has no requests. */
  get ignoresRoutes(): boolean {
    const override = this.request.overrideProtocol ?? ''
    return override !== '' && !seesRequests(override)
  }

  /** A router or splitter was left out for the override. */
  routesIgnored(): void {
    this.effective.protocol = this.request.overrideProtocol ?? ''
  }

  connectTimeoutNs(configuredNs: number): number {
    const timeoutNs = configuredNs === 0 ? CONNECT_TIMEOUT_NS_DEFAULT : configuredNs
    const override = this.request.overrideConnectTimeoutNs ?? 0
    if (override === 0 || override === timeoutNs) return timeoutNs
    this.effective.connectTimeoutNs = override
    return override
  }

  meshGatewayMode(configured: string): string {
    const override = this.request.overrideMeshGatewayMode ?? ''
    if (override === '' || override === configured) return configured
    this.effective.meshGatewayMode = override
    return override
  }

  fail(problem: string): never {
    throw meshError('CHAIN_INVALID', { problem, service: this.request.service })
  }

  tooLarge(what: string, limit: number): never {
    throw meshError('CHAIN_TOO_LARGE', { service: this.request.service, what, limit })
  }
}

/** What a service speaks: its own defaults if it has any, else everyone's, else plain TCP. */
export function serviceProtocol(source: EntrySource, service: string): string {
  const own = source.get('service-defaults', service)
  if (own !== undefined) return own.Protocol === '' ? 'tcp' : own.Protocol
  const everyone = source.get('proxy-defaults', 'global')
  if (everyone === undefined) return 'tcp'
  if (everyone.Protocol !== '') return everyone.Protocol
  const configured = everyone.Config?.['protocol']
  return typeof configured === 'string' && configured !== '' ? configured : 'tcp'
}
