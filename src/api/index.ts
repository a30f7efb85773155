/**
 * api/: HTTP /v1 and DNS, both ending in the endpoints; what an agent must offer for /v1/agent.
 */
export type { AgentMember, AgentPort, AgentSelf, AgentVersion, CheckStatus } from './agent-port.ts'
export { checkCheckDefinition, checkServiceDefinition, checksOf, type DefinitionRules } from './definition-checks.ts'
export { DnsServer, type DnsServerOptions } from './dns/server.ts'
export { DEFAULT_DNS_SETTINGS, type DnsSettings } from './dns/settings.ts'
export { apiError } from './errors.ts'
export type { HttpServer, ListenAddress, Listener } from './http/server.ts'
export { type HttpApiOptions, httpApi } from './http-api.ts'
