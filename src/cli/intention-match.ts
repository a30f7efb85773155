/**
 * `hanse intention match`: the intentions that say something of a service, in the order in which they are asked.
 */
import { Intention, list, map, pointer } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'
import { inWords } from './intention-answers.ts'

const Matches = map(list(pointer(Intention)))

export const command: Command = {
  name: 'intention match',
  summary: 'Lists the intentions that a service is the destination or the source of',
  usage: 'NAME',
  args: [1, 1],
  flags: {
    ...API_FLAGS,
    destination: { kind: 'bool', help: 'Intentions that say who may call the service (default)' },
    source: { kind: 'bool', help: 'Intentions that say whom the service may call' },
  },
  run(context) {
    const { flags, args, print } = context
    if (flags.bool('source') && flags.bool('destination')) {
      throw cliError('ARGUMENTS', { message: 'Only one of -source or -destination may be specified' })
    }
    const name = args[0] ?? ''
    const query = { by: flags.bool('source') ? 'source' : 'destination', name }
    return withAgent(context, async (agent) => {
      const matches = await agent.get('Error matching the connection', Matches, '/v1/connect/intentions/match', query)
      for (const intention of matches?.[name] ?? []) if (intention !== null) print(inWords(intention))
      return 0
    })
  },
}
