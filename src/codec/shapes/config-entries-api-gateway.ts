/**
 * The API gateway: its listeners, the routes that bind to them, their certificates.
 */
import { deeper, type Kind, setKey } from '../kind.ts'
import { pointer } from '../schema.ts'
import { ServiceName } from './catalog-replies.ts'
import { entryTail } from './config-entries-defaults.ts'
import { JwtRequirement } from './config-entries-intentions.ts'
import {
  constant,
  durationNumber,
  list,
  map,
  moment,
  natural,
  omit,
  record,
  text,
  truth,
  whole,
} from './config-entries-kinds.ts'

const Reference = record('ResourceReference', { Kind: text, Name: text, SectionName: text })
type Reference = ReturnType<typeof Reference.of>
const Status = record('Status', {
  Conditions: list(
    record('Condition', {
      Type: text,
      Status: text,
      Reason: text,
      Message: text,
      Resource: omit(pointer(Reference)),
      LastTransitionTime: omit(pointer(moment)),
    }),
  ),
})
const ListenerPolicy = record('APIGatewayPolicy', { JWT: omit(pointer(JwtRequirement)) })
export const ApiGateway = record('APIGatewayConfigEntry', {
  Kind: constant('api-gateway'),
  Name: text,
  Listeners: list(
    record('APIGatewayListener', {
      Name: text,
      Hostname: text,
      Port: whole,
      Protocol: text,
      TLS: record('APIGatewayTLSConfiguration', {
        Certificates: list(Reference),
        MinVersion: text,
        MaxVersion: text,
        CipherSuites: list(text),
      }),
      Override: omit(pointer(ListenerPolicy)),
      Default: omit(pointer(ListenerPolicy)),
    }),
  ),
  Status,
  ...entryTail,
})
export type ApiGateway = ReturnType<typeof ApiGateway.of>
/**
 * A map whose keys are service names: on the wire each is a map of its own, `{Name}`. In JSON, and for readers here, text.
 */
const byServiceName: Kind<Readonly<Record<string, readonly Reference[] | null>> | null> = {
  ...map(list(Reference)),
  write: (writer, value) => {
    if (value === null) return writer.nil()
    const names = Object.keys(value).sort()
    writer.mapHeader(names.length)
    for (const name of names) {
      ServiceName.write(writer, { Name: name })
      list(Reference).write(writer, value[name] ?? null)
    }
  },
  read: (reader, depth) => {
    if (reader.nil()) return null
    deeper(reader, depth)
    const out: Record<string, readonly Reference[] | null> = {}
    for (let left = reader.mapHeader(); left > 0; left--) {
      const { Name } = ServiceName.read(reader, depth + 1)
      setKey(out, Name, list(Reference).read(reader, depth + 1))
    }
    return out
  },
}
export const BoundApiGateway = record('BoundAPIGatewayConfigEntry', {
  Kind: constant('bound-api-gateway'),
  Name: text,
  Services: omit(byServiceName),
  Listeners: list(
    record('BoundAPIGatewayListener', { Name: text, Routes: list(Reference), Certificates: list(Reference) }),
  ),
  ...entryTail,
})
export type BoundApiGateway = ReturnType<typeof BoundApiGateway.of>

const HeaderFilters = list(record('HTTPHeaderFilter', { Add: map(text), Remove: list(text), Set: map(text) }))
const HttpFilters = record('HTTPFilters', {
  Headers: HeaderFilters,
  URLRewrite: omit(pointer(record('URLRewrite', { Path: text }))),
  RetryFilter: omit(
    pointer(
      record('RetryFilter', {
        NumRetries: natural,
        RetryOn: list(text),
        RetryOnStatusCodes: list(natural),
        RetryOnConnectFailure: truth,
      }),
    ),
  ),
  TimeoutFilter: omit(
    pointer(record('TimeoutFilter', { RequestTimeout: durationNumber, IdleTimeout: durationNumber })),
  ),
  JWT: omit(pointer(JwtRequirement)),
})
const HttpResponseFilters = record('HTTPResponseFilters', { Headers: HeaderFilters })
export const HttpRoute = record('HTTPRouteConfigEntry', {
  Kind: constant('http-route'),
  Name: text,
  Parents: list(Reference),
  Rules: list(
    record('HTTPRouteRule', {
      Filters: HttpFilters,
      ResponseFilters: HttpResponseFilters,
      Matches: list(
        record('HTTPMatch', {
          Headers: list(record('HTTPHeaderMatch', { Match: text, Name: text, Value: text })),
          Method: text,
          Path: record('HTTPPathMatch', { Match: text, Value: text }),
          Query: list(record('HTTPQueryMatch', { Match: text, Name: text, Value: text })),
        }),
      ),
      Services: list(
        record('HTTPService', {
          Name: text,
          Weight: whole,
          Filters: HttpFilters,
          ResponseFilters: HttpResponseFilters,
        }),
      ),
    }),
  ),
  Hostnames: list(text),
  Status,
  ...entryTail,
})
export type HttpRoute = ReturnType<typeof HttpRoute.of>
export const TcpRoute = record('TCPRouteConfigEntry', {
  Kind: constant('tcp-route'),
  Name: text,
  Parents: list(Reference),
  Services: list(record('TCPService', { Name: text })),
  Status,
  ...entryTail,
})
export type TcpRoute = ReturnType<typeof TcpRoute.of>

export const InlineCertificate = record('InlineCertificateConfigEntry', {
  Kind: constant('inline-certificate'),
  Name: text,
  Certificate: text,
  PrivateKey: text,
  ...entryTail,
})
export type InlineCertificate = ReturnType<typeof InlineCertificate.of>
export const FileSystemCertificate = record('FileSystemCertificateConfigEntry', {
  Kind: constant('file-system-certificate'),
  Name: text,
  Certificate: text,
  PrivateKey: text,
  ...entryTail,
})
export type FileSystemCertificate = ReturnType<typeof FileSystemCertificate.of>
