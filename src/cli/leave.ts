/**
 * `hanse leave`: makes the agent leave its pools gracefully and stop.
 */
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'leave',
  summary: 'Makes the agent leave its pools and stop',
  help: 'Makes the agent say goodbye to its pools, so that nobody takes it for failed, and stop.',
  flags: CLIENT_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      await agent.send('Error leaving', 'PUT', '/v1/agent/leave')
      context.print('Graceful leave complete')
      return 0
    })
  },
}
