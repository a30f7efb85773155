/**
 * `hanse reload`: makes the agent read its configuration again.
 */
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'reload',
  summary: 'Makes the agent read its configuration again',
  help: 'Makes the agent read its configuration again and apply what can be changed while it runs (docs/configuration.md).',
  flags: CLIENT_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      await agent.send('Error reloading', 'PUT', '/v1/agent/reload')
      context.print('Configuration reload triggered')
      return 0
    })
  },
}
