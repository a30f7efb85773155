/**
 * `hanse catalog datacenters`: the names of all datacenters that the agent knows, one per line.
 */
import { list, string } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

const Names = list(string)

export const command: Command = {
  name: 'catalog datacenters',
  summary: 'Lists all known datacenters',
  help: 'Lists the names of all known datacenters, the nearest first.',
  flags: API_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      const names = await agent.get('Error listing datacenters', Names, '/v1/catalog/datacenters')
      for (const name of names ?? []) context.print(name)
      return 0
    })
  },
}
