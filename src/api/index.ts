/**
 * api/: HTTP /v1 and DNS, both ending in the endpoints; what an agent must offer for /v1/agent.
 */
export type { AgentMember, AgentPort, AgentSelf, AgentVersion, CheckStatus } from './agent-port.ts'
