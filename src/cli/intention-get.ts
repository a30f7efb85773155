/**
 * `hanse intention get`: shows one intention.
 */
import { type Intention, ZERO_TIME } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command } from './command.ts'
import { decisionOf, findIntention } from './intention-answers.ts'

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** "Monday, 23-Nov-26 08:39:20 UTC", as RFC 850 has it. */
function rfc850(rfc3339: string): string {
  const at = new Date(rfc3339)
  const two = (value: number) => String(value % 100).padStart(2, '0')
  const time = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(':')
  const date = `${two(at.getUTCDate())}-${MONTHS[at.getUTCMonth()]}-${two(at.getUTCFullYear())}`
  return `${DAYS[at.getUTCDay()]}, ${date} ${time} UTC`
}

function rowsOf(intention: Intention): string[][] {
  const { SourceName, DestinationName, ID, Description, Meta, CreatedAt } = intention
  return [
    ['Source:', SourceName],
    ['Destination:', DestinationName],
    ['Action:', decisionOf(intention)],
    ...(ID === '' ? [] : [['ID:', ID]]),
    ...(Description === '' ? [] : [['Description:', Description]]),
    ...Object.entries(Meta ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [`Meta[${key}]:`, value]),
    ...(CreatedAt === ZERO_TIME ? [] : [['Created At:', rfc850(CreatedAt)]]),
  ]
}

export const command: Command = {
  name: 'intention get',
  summary: 'Shows an intention',
  usage: 'SOURCE DESTINATION',
  help: 'Shows the intention of a source and a destination, or the one with an ID.',
  args: [1, 2],
  flags: API_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      context.print(columns(rowsOf(await findIntention(agent, 'Error', context.args))))
      return 0
    })
  },
}
