/**
 * `hanse force-leave`: makes a failed member count as left, or forgets it at once.
 */
import { segment } from '#client'
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'force-leave',
  summary: 'Takes a failed member out of its pool',
  usage: 'NODE',
  help: `Makes a failed member count as left, so that nobody tries to reach it any more. One that is in truth alive comes
back by itself.`,
  args: [1, 1],
  flags: {
    ...CLIENT_FLAGS,
    prune: { kind: 'bool', help: 'Forget it, instead of listing it as left' },
    wan: { kind: 'bool', help: 'A server of the WAN pool: name.datacenter' },
  },
  run(context) {
    const { flags, args } = context
    return withAgent(context, async (agent) => {
      await agent.send('Error force leaving', 'PUT', `/v1/agent/force-leave/${segment(args[0] ?? '')}`, {
        query: { prune: flags.bool('prune') ? '1' : undefined, wan: flags.bool('wan') ? '1' : undefined },
      })
      return 0
    })
  },
}
