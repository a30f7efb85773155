/**
 * `hanse event`: sends a user event to every agent of a datacenter.
 */
import { segment } from '#client'
import { string, struct } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

const Fired = struct('Fired', { ID: string })

export const command: Command = {
  name: 'event',
  summary: 'Sends a user event to the agents of a datacenter',
  usage: '[PAYLOAD]',
  help: [
    'Sends a small named message (name and payload together up to 512 bytes) to every agent of a datacenter. Agents that',
    'the filters leave out ignore it. It arrives within moments, and may be lost: nobody says whether it came.',
  ].join('\n'),
  args: [0, 1],
  flags: {
    ...API_FLAGS,
    name: { kind: 'string', value: 'name', help: 'Name of the event' },
    node: { kind: 'string', value: 'regexp', help: 'Only nodes whose names match' },
    service: { kind: 'string', value: 'regexp', help: 'Only agents with a service whose name matches' },
    tag: { kind: 'string', value: 'regexp', help: 'With -service: only where a tag of it matches' },
  },
  run(context) {
    const { flags, args, print } = context
    const name = flags.string('name') ?? ''
    if (name === '') throw cliError('ARGUMENTS', { message: 'Event name must be specified' })
    return withAgent(context, async (agent) => {
      const query = { node: flags.string('node'), service: flags.string('service'), tag: flags.string('tag') }
      const path = `/v1/event/fire/${segment(name)}`
      const answer = await agent.send('Error firing event', 'PUT', path, { query, body: args[0] ?? '' })
      const { ID } = Fired.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
      print(`Event ID: ${ID}`)
      return 0
    })
  },
}
