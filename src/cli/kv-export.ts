/**
 * `hanse kv export`: entries as the JSON that `hanse kv import` reads.
 */
import { goJson } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { findEntries, keyOf } from './kv-entries.ts'

export const command: Command = {
  name: 'kv export',
  summary: 'Writes entries of the key/value store as JSON',
  usage: '[PREFIX]',
  help: 'Writes all entries whose keys begin with a prefix, or all there are, as the JSON that `hanse kv import` reads.',
  args: [0, 1],
  flags: API_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      const entries = await findEntries(agent, keyOf(context.args[0] ?? ''), { recurse: true })
      const exported = entries.map(({ Key, Flags, Value }) => ({
        key: Key,
        flags: Flags,
        value: (Value ?? Buffer.alloc(0)).toString('base64'),
      }))
      context.print(goJson(exported, { indent: '\t' }))
      return 0
    })
  },
}
