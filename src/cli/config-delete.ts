/**
 * `hanse config delete`: removes a config entry.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext } from './command.ts'
import {
  CAS_FLAGS,
  casOf,
  ENTRY_FLAGS,
  type EntryName,
  entryNameOf,
  entryPath,
  nameInFile,
} from './config-entry-answers.ts'
import { readEntryText, wordOf } from './entry-text.ts'
import { cliError } from './errors.ts'

/** The entry that flags, or a file, name. @throws ARGUMENTS */
async function entryOf(context: CommandContext): Promise<EntryName> {
  const file = context.flags.string('filename')
  if (file === undefined) return entryNameOf(context.flags)
  if (context.flags.has('kind') || context.flags.has('name')) {
    throw cliError('ARGUMENTS', { message: "filename can't be used with kind or name" })
  }
  const entry = await readEntryText(file, 'Failed to decode config entry input', context)
  const kind = wordOf(entry, 'Kind')
  const name = nameInFile(kind, wordOf(entry, 'Name'))
  if (kind !== '' && name !== '') return { kind, name }
  throw cliError('ARGUMENTS', { message: `Delete the config entry of "${file}": it does not say its kind and name` })
}

export const command: Command = {
  name: 'config delete',
  summary: 'Removes a config entry',
  flags: {
    ...API_FLAGS,
    ...ENTRY_FLAGS,
    ...CAS_FLAGS,
    filename: { kind: 'string', value: 'file', help: 'Instead of -kind and -name: the file of the entry' },
  },
  async run(context) {
    const { flags, print, warn } = context
    const query = casOf(flags)
    const entry = await entryOf(context)
    const label = `${entry.kind}/${entry.name}`
    return withAgent(context, async (agent) => {
      const { body } = await agent.send(`Error deleting config entry ${label}`, 'DELETE', entryPath(entry), { query })
      const deleted = query.cas === undefined || body.toString('utf8').trim() === 'true'
      if (deleted) print(`Config entry deleted: ${label}`)
      else warn(`Config entry not deleted: ${label}`)
      return deleted ? 0 : 1
    })
  },
}
