/**
 * Entries for gateways at the mesh's edge, for what is exported, and for keys of tokens. The API gateway: its own file.
 *
 * A datacenter of a federation keeps and passes on all of them, whichever it acts on: one kind that a reader does not
 * know spoils the whole list for it.
 */
import { jsonOnly, pointer, bytes as rawBytes, withJson } from '../schema.ts'
import { entryTail, PassiveHealthCheck } from './config-entries-defaults.ts'
import {
  constant,
  duration,
  durationNumber,
  list,
  map,
  natural,
  omit,
  record,
  text,
  truth,
  whole,
} from './config-entries-kinds.ts'
import { HeaderModifiers } from './config-entries-routing.ts'

const Sds = record('GatewayTLSSDSConfig', { ClusterName: omit(text), CertResource: omit(text) })
const GatewayTls = record('GatewayTLSConfig', {
  Enabled: truth,
  SDS: omit(pointer(Sds)),
  TLSMinVersion: omit(text),
  TLSMaxVersion: omit(text),
  CipherSuites: omit(list(text)),
})
const limits = {
  MaxConnections: omit(natural),
  MaxPendingRequests: omit(natural),
  MaxConcurrentRequests: omit(natural),
  PassiveHealthCheck: omit(pointer(PassiveHealthCheck)),
}
const IngressService = record('IngressService', {
  Name: text,
  Hosts: omit(list(text)),
  TLS: omit(pointer(record('GatewayServiceTLSConfig', { SDS: omit(pointer(Sds)) }))),
  RequestHeaders: omit(pointer(HeaderModifiers)),
  ResponseHeaders: omit(pointer(HeaderModifiers)),
  ...limits,
  Meta: omit(map(text)),
})
const IngressListener = record('IngressListener', {
  Port: whole,
  Protocol: text,
  TLS: omit(pointer(GatewayTls)),
  Services: list(IngressService),
})
export type IngressListener = ReturnType<typeof IngressListener.of>
export const IngressGateway = record('IngressGatewayConfigEntry', {
  Kind: constant('ingress-gateway'),
  Name: text,
  TLS: GatewayTls,
  Listeners: list(IngressListener),
  Defaults: omit(pointer(record('IngressServiceConfig', limits))),
  ...entryTail,
})
export type IngressGateway = ReturnType<typeof IngressGateway.of>

export const TerminatingGateway = record('TerminatingGatewayConfigEntry', {
  Kind: constant('terminating-gateway'),
  Name: text,
  Services: list(
    record('LinkedService', {
      Name: omit(text),
      CAFile: omit(text),
      CertFile: omit(text),
      KeyFile: omit(text),
      SNI: omit(text),
      DisableAutoHostRewrite: omit(truth),
    }),
  ),
  ...entryTail,
})
export type TerminatingGateway = ReturnType<typeof TerminatingGateway.of>

/** These two have no kind on the wire. */
export const ExportedServices = record('ExportedServicesConfigEntry', {
  Kind: jsonOnly(constant('exported-services')),
  Name: text,
  Services: omit(
    list(
      record('ExportedService', {
        Name: text,
        Namespace: omit(text),
        Consumers: omit(
          list(record('ServiceConsumer', { Partition: omit(text), Peer: omit(text), SamenessGroup: omit(text) })),
        ),
      }),
    ),
  ),
  ...entryTail,
})
export type ExportedServices = ReturnType<typeof ExportedServices.of>
export const SamenessGroup = record('SamenessGroupConfigEntry', {
  Kind: jsonOnly(constant('sameness-group')),
  Name: text,
  DefaultForFailover: omit(truth),
  IncludeLocal: omit(truth),
  Members: list(record('SamenessGroupMember', { Partition: omit(text), Peer: omit(text) })),
  ...entryTail,
})
export type SamenessGroup = ReturnType<typeof SamenessGroup.of>

const inlineBytes = withJson(rawBytes, {
  toJson: rawBytes.toJson,
  fromJson: (json) => (typeof json === 'string' ? Buffer.from(json, 'base64') : null),
})
const JwksTls = record('JWKSTLSCertificate', {
  CaCertificateProviderInstance: omit(
    pointer(record('JWKSTLSCertProviderInstance', { InstanceName: omit(text), CertificateName: omit(text) })),
  ),
  TrustedCA: omit(
    pointer(
      record('JWKSTLSCertTrustedCA', {
        Filename: omit(text),
        EnvironmentVariable: omit(text),
        InlineString: omit(text),
        InlineBytes: omit(inlineBytes),
      }),
    ),
  ),
})
const RemoteJwks = record('RemoteJWKS', {
  URI: omit(text),
  RequestTimeoutMs: omit(whole),
  CacheDuration: omit(durationNumber),
  FetchAsynchronously: omit(truth),
  RetryPolicy: omit(
    pointer(
      record('JWKSRetryPolicy', {
        NumRetries: omit(whole),
        RetryPolicyBackOff: omit(
          pointer(
            record('RetryPolicyBackOff', { BaseInterval: omit(durationNumber), MaxInterval: omit(durationNumber) }),
          ),
        ),
      }),
    ),
  ),
  JWKSCluster: omit(
    pointer(
      record('JWKSCluster', {
        DiscoveryType: omit(text),
        TLSCertificates: omit(pointer(JwksTls)),
        ConnectTimeout: duration,
      }),
    ),
  ),
})
const Location = record('JWTLocation', {
  Header: omit(
    pointer(record('JWTLocationHeader', { Name: omit(text), ValuePrefix: omit(text), Forward: omit(truth) })),
  ),
  QueryParam: omit(pointer(record('JWTLocationQueryParam', { Name: omit(text) }))),
  Cookie: omit(pointer(record('JWTLocationCookie', { Name: omit(text) }))),
})
export const JwtProvider = record('JWTProviderConfigEntry', {
  Kind: constant('jwt-provider'),
  Name: omit(text),
  JSONWebKeySet: omit(
    pointer(
      record('JSONWebKeySet', {
        Local: omit(pointer(record('LocalJWKS', { JWKS: omit(text), Filename: omit(text) }))),
        Remote: omit(pointer(RemoteJwks)),
      }),
    ),
  ),
  Issuer: omit(text),
  Audiences: omit(list(text)),
  Locations: omit(list(pointer(Location))),
  Forwarding: omit(
    pointer(record('JWTForwardingConfig', { HeaderName: omit(text), PadForwardPayloadHeader: omit(truth) })),
  ),
  ClockSkewSeconds: omit(whole),
  CacheConfig: omit(pointer(record('JWTCacheConfig', { Size: omit(whole) }))),
  ...entryTail,
})
export type JwtProvider = ReturnType<typeof JwtProvider.of>
