/**
 * federation/: all that exists because there is more than one datacenter. Gateway choice, routing, joins, replication,
 * federation states, the federation secret, the doctor.
 */
export { federationError } from './errors.ts'
export { exportFederationSecret, type SecretFiles } from './export-secret.ts'
export { Federation, type FederationModules, type FederationOptions } from './federation.ts'
export { gatewayAddresses } from './gateway-locator.ts'
export { type LocalCall, LocalServers, type LocalServersModules, type LocalServersOptions } from './local-servers.ts'
export { primaryAuthority } from './primary-authority.ts'
export { type FederationSecret, parseFederationSecret, renderFederationSecret } from './secret.ts'
export { asServer, type ServerMember, type ServerTagOptions, serverTags } from './servers.ts'
export type {
  CertificateStatus,
  DatacenterStatus,
  FederationProblem,
  FederationStatus,
  GatewayStatus,
  ReplicationTypeStatus,
} from './status.ts'
export { createWanLink, type WanLink, type WanLinkModules, type WanLinkOptions } from './wan-link.ts'
