/**
 * The HTTP API: all routes on one server.
 */
import type { Clock, Logger, Metrics, Random } from '#base'
import type { Endpoints } from '#endpoints'
import type { AgentPort } from './agent-port.ts'
import { HttpServer, type HttpServerOptions } from './http/server.ts'
import { aclRoutes } from './routes/acl.ts'
import { aclLoginRoutes } from './routes/acl-login.ts'
import { agentRoutes } from './routes/agent.ts'
import { agentTokenRoutes } from './routes/agent-tokens.ts'
import { catalogRoutes } from './routes/catalog.ts'
import { configRoutes } from './routes/config.ts'
import { connectCaRoutes } from './routes/connect-ca.ts'
import { coordinateRoutes } from './routes/coordinate.ts'
import { discoveryChainRoutes } from './routes/discovery-chain.ts'
import { eventRoutes } from './routes/event.ts'
import { federationRoutes } from './routes/federation.ts'
import { healthRoutes } from './routes/health.ts'
import { intentionRoutes } from './routes/intentions.ts'
import { keyringRoutes } from './routes/keyring.ts'
import { DEFAULT_KV_MAX_VALUE_BYTES, kvRoutes } from './routes/kv.ts'
import { operatorRoutes } from './routes/operator.ts'
import { sessionRoutes } from './routes/session.ts'
import { snapshotRoutes } from './routes/snapshot.ts'
import { DEFAULT_TXN_MAX_BYTES, txnRoutes } from './routes/txn.ts'

export interface HttpApiOptions extends Omit<HttpServerOptions, 'routes' | 'acl'> {
  readonly endpoints: Endpoints
  readonly agent: AgentPort
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: Metrics
  /** `acl.tokens.default`: of requests that bring no token. */
  readonly defaultToken?: () => string
  /** Sets one of the agent's own tokens; false for a kind that there is not. */
  readonly setAgentToken?: (kind: string, token: string) => boolean
  /** `limits.kv_max_value_size`. */
  readonly kvMaxValueBytes?: number
  /** `limits.txn_max_req_len`; the larger of both counts. */
  readonly txnMaxBytes?: number
}

/** Puts the routes together; `listen()` on what it gives opens ports. */
export function httpApi(options: HttpApiOptions): HttpServer {
  const { endpoints, random, clock, agent } = options
  const ports = { endpoints, random, clock, agentNode: agent.nodeName, parked: { count: 0 } }
  const acl = endpoints.acl.enabled
    ? { acl: { defaultPolicy: endpoints.acl.defaultPolicy, defaultToken: options.defaultToken ?? (() => '') } }
    : {}
  return new HttpServer({
    ...options,
    ...acl,
    routes: [
      ...agentTokenRoutes(ports, agent, options.setAgentToken ?? (() => false)),
      ...aclRoutes(ports),
      ...aclLoginRoutes(ports),
      ...agentRoutes(ports, agent),
      ...catalogRoutes(ports),
      ...healthRoutes(ports),
      ...kvRoutes(ports, options.kvMaxValueBytes ?? DEFAULT_KV_MAX_VALUE_BYTES),
      ...sessionRoutes(ports),
      ...txnRoutes(ports, Math.max(options.txnMaxBytes ?? DEFAULT_TXN_MAX_BYTES, options.kvMaxValueBytes ?? 0)),
      ...coordinateRoutes(ports),
      ...configRoutes(ports),
      ...discoveryChainRoutes(ports),
      ...intentionRoutes(ports),
      ...connectCaRoutes(ports, agent),
      ...eventRoutes(ports, agent),
      ...federationRoutes(ports, agent),
      ...keyringRoutes(ports),
      ...operatorRoutes(ports),
      ...snapshotRoutes(ports),
    ],
  })
}
