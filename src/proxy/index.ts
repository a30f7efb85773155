/**
 * proxy/: the built-in mesh gateway. Passes TLS connections on by the name they ask for, and never ends TLS.
 */
export { proxyError } from './errors.ts'
export {
  GATEWAY_LIMITS,
  type GatewayLimits,
  type RouteCounters,
  SniGateway,
  type SniGatewayOptions,
} from './gateway.ts'
export { gatewayFeed } from './gateway-feed.ts'
export { GatewayRegistration, type RegistrationOptions } from './gateway-registration.ts'
export { type GatewaySource, MeshGateway, type MeshGatewayOptions, type MeshGatewayStatus } from './mesh-gateway.ts'
export {
  type Endpoint,
  type GatewaySnapshot,
  MAX_ROUTES,
  NO_ROUTES,
  type Route,
  Routes,
  type RouteTable,
  routesFor,
  type WildcardRoute,
} from './routes.ts'
export { MAX_ATTEMPTS, MAX_CONNECTIONS, Sidecar, type SidecarModules } from './sidecar.ts'
export { followSnapshot } from './sidecar-feed.ts'
