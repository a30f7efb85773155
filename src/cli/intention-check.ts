/**
 * `hanse intention check`: whether a service may connect to another.
 */
import { IntentionCheckResponse } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { sourceAndDestination } from './intention-answers.ts'

export const command: Command = {
  name: 'intention check',
  summary: 'Tells whether a service may call another',
  usage: 'SOURCE DESTINATION',
  args: [0, 2],
  exits: { 1: 'the calls are denied' },
  flags: API_FLAGS,
  run(context) {
    const query = sourceAndDestination(context.args)
    return withAgent(context, async (agent) => {
      const path = '/v1/connect/intentions/check'
      const { Allowed } = await agent.get('Error checking the connection', IntentionCheckResponse, path, query)
      context.print(Allowed ? 'Allowed' : 'Denied')
      return Allowed ? 0 : 1
    })
  },
}
