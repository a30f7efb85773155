/**
 * `hanse config read`: shows one config entry as JSON.
 */
import { any, goJson } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { ENTRY_FLAGS, entryNameOf, entryPath } from './config-entry-answers.ts'
import { cliError } from './errors.ts'

export const command: Command = {
  name: 'config read',
  summary: 'Shows a config entry',
  flags: { ...API_FLAGS, ...ENTRY_FLAGS },
  run(context) {
    const { flags, print } = context
    const entry = entryNameOf(flags)
    return withAgent(context, async (agent) => {
      const doing = `Error reading config entry ${entry.kind}/${entry.name}`
      const found = await agent.find(doing, any, entryPath(entry), {})
      if (typeof found !== 'object' || found === null) {
        throw cliError('REQUEST_FAILED', { doing, reason: 'the answer is not an entry', hint: '' })
      }
      // What the store compares by is of no use to people, and in the way of who writes the text back.
      const shown = Object.entries(found).filter(([key]) => key !== 'Hash')
      print(goJson(Object.fromEntries(shown), { indent: '    ' }))
      return 0
    })
  },
}
