/**
 * `hanse logout`: ends the token that the command is run with.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'logout',
  summary: 'Ends a token that came from a login',
  help: 'The token is the one of -token, -token-file or the environment.',
  flags: API_FLAGS,
  run: (context) =>
    withAgent(context, async (agent) => {
      await agent.send('Error destroying token', 'POST', '/v1/acl/logout')
      return 0
    }),
}
