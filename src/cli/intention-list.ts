/**
 * `hanse intention list`: all intentions, the most precise first.
 */
import { Intention, list, pointer } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command } from './command.ts'
import { decisionOf } from './intention-answers.ts'

const Intentions = list(pointer(Intention))
const DOING = 'Failed to retrieve the intentions list'

export const command: Command = {
  name: 'intention list',
  summary: 'Lists all intentions',
  flags: API_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      const intentions = (await agent.get(DOING, Intentions, '/v1/connect/intentions')) ?? []
      if (intentions.length === 0) {
        context.warn('There are no intentions.')
        return 0
      }
      const rows = intentions.map((each) => {
        const { ID, SourceName, DestinationName, Precedence } = each ?? Intention.of()
        return [ID, SourceName, decisionOf(each ?? Intention.of()), DestinationName, String(Precedence)]
      })
      context.print(columns([['ID', 'Source', 'Action', 'Destination', 'Precedence'], ...rows]))
      return 0
    })
  },
}
