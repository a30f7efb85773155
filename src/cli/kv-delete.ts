/**
 * `hanse kv delete`: removes a key, on a condition if wanted, or everything below a prefix.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'
import { keyOf, kvPath, wasDone } from './kv-entries.ts'

export const command: Command = {
  name: 'kv delete',
  summary: 'Removes entries from the key/value store',
  usage: 'KEY or PREFIX',
  help: 'Removes a key; with -recurse all keys that begin with a prefix, and all there are where it is empty.',
  args: [0, 1],
  flags: {
    ...API_FLAGS,
    cas: { kind: 'bool', help: 'Remove only if the entry has -modify-index still' },
    'modify-index': { kind: 'number', value: 'index', help: 'For -cas' },
    recurse: { kind: 'bool', help: 'Remove all keys that begin with the prefix' },
  },
  run(context) {
    const { flags, args, print, warn } = context
    const key = keyOf(args[0] ?? '')
    const recurse = flags.bool('recurse')
    const cas = flags.bool('cas') ? flags.number('modify-index') : undefined
    if (key === '' && !(recurse && args.length === 1)) {
      throw cliError('ARGUMENTS', { message: 'Delete: no key is given; everything: -recurse ""' })
    }
    if (flags.bool('cas') && recurse) {
      throw cliError('ARGUMENTS', { message: `Delete "${key}": only one of -cas, -recurse` })
    }
    if (flags.bool('cas') && cas === undefined) {
      throw cliError('ARGUMENTS', { message: `Delete "${key}": -cas needs the index: -modify-index=<index>` })
    }
    return withAgent(context, async (agent) => {
      const doing = recurse ? `Error! Did not delete prefix ${key}` : `Error deleting key ${key}`
      const met = wasDone(await agent.send(doing, 'DELETE', kvPath(key), { query: { recurse, cas } }))
      if (met) print(recurse ? `Success! Deleted keys with prefix: ${key}` : `Success! Deleted key: ${key}`)
      else warn(`Error! Did not delete key ${key}: CAS failed`)
      return met ? 0 : 1
    })
  },
}
