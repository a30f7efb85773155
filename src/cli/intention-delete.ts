/**
 * `hanse intention delete`: removes an intention.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { intentionPlace } from './intention-answers.ts'

export const command: Command = {
  name: 'intention delete',
  summary: 'Removes an intention',
  usage: 'SOURCE DESTINATION',
  help: 'Removes the intention of a source and a destination, or the one with an ID.',
  args: [1, 2],
  flags: API_FLAGS,
  run(context) {
    const { path, query } = intentionPlace(context.args)
    return withAgent(context, async (agent) => {
      await agent.send('Error deleting the intention', 'DELETE', path, { query })
      context.print('Intention deleted.')
      return 0
    })
  },
}
