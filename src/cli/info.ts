/**
 * `hanse info`: the facts that an agent tells of itself, in blocks.
 */
import { AgentSelf } from './agent-answers.ts'
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

const order = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

export const command: Command = {
  name: 'info',
  summary: 'Shows facts about the agent for operators',
  flags: CLIENT_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      const { Stats } = await agent.get('Error querying agent', AgentSelf, '/v1/agent/self')
      for (const [block, facts] of Object.entries(Stats ?? {}).sort(order)) {
        context.print(`${block}:`)
        for (const [key, value] of Object.entries(facts ?? {}).sort(order)) context.print(`\t${key} = ${value}`)
      }
      return 0
    })
  },
}
