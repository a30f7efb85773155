/**
 * `hanse connect ca set-config`: changes the certificate authority; another kind of key makes a new root.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { readEntryText } from './entry-text.ts'
import { cliError } from './errors.ts'

export const command: Command = {
  name: 'connect ca set-config',
  summary: 'Changes the configuration of the certificate authority',
  help: `Writes the configuration of a file (HCL or JSON; - for standard input): Provider and Config. Another provider or another
kind of key makes a new root, which the old one signs, so that no connection fails while certificates are renewed.`,
  flags: {
    ...API_FLAGS,
    'config-file': { kind: 'string', value: 'file', help: 'File with the configuration; - for standard input' },
    'force-without-cross-signing': {
      kind: 'bool',
      help: 'Also when the old root cannot sign the new one: connections fail until all certificates are renewed',
    },
  },
  async run(context) {
    const file = context.flags.string('config-file')
    if (file === undefined) throw cliError('ARGUMENTS', { message: 'The -config-file flag is required' })
    const configuration = await readEntryText(file, 'Error reading config file', context)
    const forced = context.flags.bool('force-without-cross-signing') ? { ForceWithoutCrossSigning: true } : {}
    return withAgent(context, async (agent) => {
      const body = { ...configuration, ...forced }
      await agent.send('Error setting CA configuration', 'PUT', '/v1/connect/ca/configuration', { body })
      context.print('Configuration updated!')
      return 0
    })
  },
}
