/**
 * `hanse config list`: the names of all config entries of a kind.
 */

import { segment } from '#client'
import { list, string, struct } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { KIND_FLAG, kindOf, nameInFile } from './config-entry-answers.ts'

const Entries = list(struct('ConfigEntry', { Kind: string, Name: string }))

export const command: Command = {
  name: 'config list',
  summary: 'Lists the config entries of a kind',
  flags: {
    ...API_FLAGS,
    kind: KIND_FLAG,
    filter: { kind: 'string', value: 'expression', help: 'Only entries that the expression holds for' },
  },
  run(context) {
    const { flags, print } = context
    const kind = kindOf(flags)
    return withAgent(context, async (agent) => {
      const doing = `Error listing config entries for kind "${kind}"`
      const entries = await agent.get(doing, Entries, `/v1/config/${segment(kind)}`, { filter: flags.string('filter') })
      for (const { Name } of entries ?? []) print(nameInFile(kind, Name))
      return 0
    })
  },
}
