/**
 * Whether entries for gateways, exports and certificates make sense, as far as recorded.
 */
import { createPrivateKey } from 'node:crypto'
import type {
  ApiGateway,
  ExportedServices,
  IngressGateway,
  IngressListener,
  InlineCertificate,
  TerminatingGateway,
} from '#codec'

const SEVERAL_SERVICES: ReadonlySet<string> = new Set(['http', 'http2', 'grpc'])

export function* ingressProblems(entry: IngressGateway): Generator<string> {
  const ports = new Set<number>()
  for (const listener of entry.Listeners ?? []) {
    if (ports.has(listener.Port)) yield `port ${listener.Port} declared on two listeners`
    ports.add(listener.Port)
    yield* listenerProblems(listener)
  }
}

function* listenerProblems({ Port, Protocol, Services }: IngressListener): Generator<string> {
  const services = Services ?? []
  if (Protocol !== 'tcp' && !SEVERAL_SERVICES.has(Protocol)) {
    yield `protocol must be 'tcp', 'http', 'http2', or 'grpc'. '${Protocol}' is an unsupported protocol`
  }
  if (services.length === 0) yield `No service declared for listener with port ${Port}`
  if (services.length > 1 && !SEVERAL_SERVICES.has(Protocol)) {
    yield `Multiple services per listener are only supported for L7 protocols, 'http', 'grpc' and 'http2' (listener on port ${Port})`
  }
  const names = new Set<string>()
  for (const { Name } of services) {
    if (Name === '') yield `Service name cannot be blank (listener on port ${Port})`
    if (Name === '*' && Protocol !== 'http') {
      yield `Wildcard service name is only valid for protocol = 'http' (listener on port ${Port})`
    }
    if (names.has(Name)) yield `Service ${Name} cannot be added multiple times (listener on port ${Port})`
    names.add(Name)
  }
}

export function* terminatingProblems(entry: TerminatingGateway): Generator<string> {
  const names = new Set<string>()
  for (const { Name, CAFile, CertFile, KeyFile } of entry.Services ?? []) {
    if (Name === '') yield 'Service name cannot be blank.'
    if (names.has(Name)) yield `Service ${JSON.stringify(Name)} was specified more than once within a namespace`
    names.add(Name)
    const partial = (CertFile !== '' || KeyFile !== '') && (CertFile === '' || KeyFile === '' || CAFile === '')
    if (partial) {
      yield `Service ${JSON.stringify(Name)} must have a CertFile, CAFile, and KeyFile specified for TLS origination`
    }
  }
}

export function* exportedServicesProblems(entry: ExportedServices): Generator<string> {
  if (entry.Name !== 'default') yield 'exported-services Name must be "default"'
  for (const [index, service] of (entry.Services ?? []).entries()) {
    if (service.Name === '') yield `Services[${index}]: service name cannot be empty`
    if ((service.Consumers ?? []).length === 0) yield `Services[${index}]: must have at least one consumer`
  }
}

export function* apiGatewayProblems(entry: ApiGateway): Generator<string> {
  for (const { Protocol } of entry.Listeners ?? []) {
    if (Protocol !== 'tcp' && Protocol !== 'http') {
      yield `unsupported listener protocol ${JSON.stringify(Protocol)}, must be one of 'tcp', or 'http'`
    }
  }
}

export function* certificateProblems(entry: InlineCertificate): Generator<string> {
  try {
    createPrivateKey(entry.PrivateKey)
  } catch {
    yield 'failed to parse private key PEM'
  }
  if (!entry.Certificate.includes('-----BEGIN CERTIFICATE-----')) yield 'failed to parse certificate PEM'
}
