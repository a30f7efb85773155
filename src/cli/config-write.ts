/**
 * `hanse config write`: creates or replaces a config entry, from a file or standard input.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { CAS_FLAGS, casOf, nameInFile } from './config-entry-answers.ts'
import { readEntryText, wordOf } from './entry-text.ts'

export const command: Command = {
  name: 'config write',
  summary: 'Creates or replaces a config entry',
  usage: 'FILE',
  help: `Writes the config entry of a file (HCL or JSON; - for standard input). In whichever datacenter it is asked, the entry
is written in the primary one and comes back from there.`,
  args: [1, 1],
  flags: { ...API_FLAGS, ...CAS_FLAGS },
  async run(context) {
    const { args, flags, print, warn } = context
    const query = casOf(flags)
    const entry = await readEntryText(args[0] ?? '', 'Failed to decode config entry input', context)
    const kind = wordOf(entry, 'Kind')
    const label = `${kind}/${nameInFile(kind, wordOf(entry, 'Name'))}`
    return withAgent(context, async (agent) => {
      const doing = `Error writing config entry ${label}`
      const { body } = await agent.send(doing, 'PUT', '/v1/config', { query, body: entry })
      const written = body.toString('utf8').trim() === 'true'
      if (written) print(`Config entry written: ${label}`)
      else warn(`Config entry not updated: ${label}`)
      return written ? 0 : 1
    })
  },
}
