/**
 * `primary_gateways` as addresses. The configuration has checked them already; a port may be missing.
 */
import { type HostPort, parseHostPort } from '#base'

/** Port of a mesh gateway that is given without one. */
const DEFAULT_GATEWAY_PORT = 8443

export function parseGateway(text: string): HostPort {
  return parseHostPort(text, DEFAULT_GATEWAY_PORT) ?? { host: text, port: DEFAULT_GATEWAY_PORT }
}
