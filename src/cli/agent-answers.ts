/**
 * Shapes of the agent's answers that only commands read; those of the catalog are the codec's.
 */
import { int, list, map, string, struct } from '#codec'

export const Member = struct('Member', { Name: string, Addr: string, Port: int, Tags: map(string), Status: int })
export type Member = ReturnType<typeof Member.of>
export const Members = list(Member)

/** What /v1/agent/self says, as far as commands show it. */
export const AgentSelf = struct('Self', {
  Config: struct('Config', { Datacenter: string, NodeName: string, Version: string }),
  Stats: map(map(string)),
})
