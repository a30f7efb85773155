/**
 * `hanse services deregister`: takes services from the agent, by ID or as files name them.
 */
import { segment } from '#client'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

export const command: Command = {
  name: 'services deregister',
  summary: 'Takes services from the agent',
  usage: '[FILE...]',
  help: 'Takes services from the agent: the one with -id, or all those of files as `hanse services register` takes them.',
  args: [0, Number.POSITIVE_INFINITY],
  flags: { ...API_FLAGS, id: { kind: 'string', value: 'id', help: 'ID of the service' } },
  async run(context) {
    const { flags, args, print, warn } = context
    const id = flags.string('id') ?? ''
    if ((id === '') === (args.length === 0)) {
      const found = id === '' ? 'none is given' : 'both are given'
      throw cliError('ARGUMENTS', { message: `Deregister services: either -id=<id> or files: ${found}` })
    }
    const ids = id === '' ? await idsOf(args, warn) : [id]
    return withAgent(context, async (agent) => {
      for (const each of ids) {
        const doing = `Error deregistering service "${each}"`
        await agent.send(doing, 'PUT', `/v1/agent/service/deregister/${segment(each)}`)
        print(`Deregistered service: ${each}`)
      }
      return 0
    })
  },
}

async function idsOf(files: readonly string[], warn: (line: string) => void): Promise<readonly string[]> {
  const { readServiceFiles } = await import('#agent')
  const { services, warnings } = readServiceFiles(files)
  for (const warning of warnings) warn(warning)
  return services.map(({ ID, Name }) => String(ID ?? Name))
}
