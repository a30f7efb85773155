/**
 * /v1/agent/token: the agent's own tokens, set while it runs.
 */
import { aclError } from '#acl'
import { string, struct } from '#codec'
import type { AgentPort } from '../agent-port.ts'
import { apiError } from '../errors.ts'
import { EMPTY_ANSWER } from '../http/answer.ts'
import { call, type Route } from '../http/route.ts'
import { aclBody } from './acl-bodies.ts'
import { agentNeeds, guarded } from './agent-rights.ts'
import type { RoutePorts } from './read-route.ts'

const TokenBody = struct('agentToken', { Token: string })

/** Names of before. */
const OLD_NAMES: ReadonlyMap<string, string> = new Map([
  ['acl_token', 'default'],
  ['acl_agent_token', 'agent'],
  ['acl_agent_master_token', 'agent_recovery'],
  ['agent_master', 'agent_recovery'],
  ['acl_replication_token', 'replication'],
])

/** @param set - false for a kind that there is not */
export function agentTokenRoutes(
  ports: RoutePorts,
  agent: AgentPort,
  set: (kind: string, token: string) => boolean,
): Route[] {
  const handler = call(async (request) => {
    if (!ports.endpoints.acl.enabled) throw aclError('ACL_DISABLED', {})
    const { Token } = await aclBody(request, TokenBody, 'Request')
    const kind = OLD_NAMES.get(request.rest) ?? request.rest
    if (!set(kind, Token)) throw apiError('AGENT_TOKEN_UNKNOWN', { kind: request.rest })
    return EMPTY_ANSWER
  })
  const methods = { PUT: guarded(ports, agentNeeds(agent).agentWrite, handler) }
  return [{ pattern: '/v1/agent/token/', methods, refuses: 'nothing' }]
}
