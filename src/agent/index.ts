/**
 * agent/: configuration, this agent's services and checks, and the one place where a server is put together.
 */
export { Agent, type AgentModules, type AgentOptions, startAgent } from './agent.ts'
export { agentError } from './agent-errors.ts'
export { type LoadConfigInput, type LoadedConfig, loadConfig } from './config.ts'
export type { RuntimeConfig } from './config-runtime.ts'
export { readServiceFiles } from './config-service-file.ts'
