/**
 * `hanse validate`: reads configuration as `hanse agent` would, and says what is wrong with it.
 */
import { HanseError, messageOf } from '#base'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

export const command: Command = {
  name: 'validate',
  summary: 'Checks configuration files and directories',
  usage: 'FILE or DIRECTORY...',
  help: 'Reads configuration as `hanse agent` would, without starting anything, and says all that is wrong with it.',
  args: [1, Number.POSITIVE_INFINITY],
  flags: {
    'config-format': { kind: 'string', value: 'hcl or json', help: 'Format of files whose names do not tell' },
    quiet: { kind: 'bool', help: 'Say nothing when it is valid' },
  },
  async run({ flags, args, print, warn }) {
    const format = flags.has('config-format') ? flags.choice('config-format', ['hcl', 'json']) : undefined
    // The one command beside `agent` that needs the server's own reader: there must not be two.
    const { loadConfig } = await import('#agent')
    try {
      const { warnings } = loadConfig({ paths: args, ...(format === undefined ? {} : { format }) })
      for (const warning of warnings) warn(warning)
    } catch (error) {
      const hint = error instanceof HanseError ? (error.hint ?? '') : ''
      throw cliError('REQUEST_FAILED', { doing: 'Config validation failed', reason: messageOf(error), hint }, error)
    }
    if (!flags.bool('quiet')) print('Configuration is valid!')
    return 0
  },
}
