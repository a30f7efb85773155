/**
 * `hanse connect ca get-config`: shows the configuration of the certificate authority as JSON.
 */
import { any, goJson } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

export const command: Command = {
  name: 'connect ca get-config',
  summary: 'Shows the configuration of the certificate authority',
  flags: API_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      const doing = 'Error querying CA configuration'
      const configuration = await agent.find(doing, any, '/v1/connect/ca/configuration', {})
      if (configuration === undefined) throw cliError('REQUEST_FAILED', { doing, reason: 'there is none', hint: '' })
      context.print(goJson(configuration, { indent: '\t' }))
      return 0
    })
  },
}
