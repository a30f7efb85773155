/**
 * `hanse monitor`: the log of a running agent as it is written, until Ctrl-C.
 */
import { once } from 'node:events'
import { LOG_LEVELS, parseLogLevel } from '#base'
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

export const command: Command = {
  name: 'monitor',
  summary: 'Shows the log of a running agent',
  help: 'Shows what the agent logs from now on, also below its own log level, until Ctrl-C.',
  flags: {
    ...CLIENT_FLAGS,
    'log-level': { kind: 'string', value: 'level', help: `${LOG_LEVELS.join(', ')}; default info` },
    'log-json': { kind: 'bool', help: 'One JSON object per line' },
  },
  run(context) {
    const { flags, stdout, warn, signal } = context
    const text = flags.string('log-level') ?? 'info'
    const loglevel = parseLogLevel(text)
    if (!loglevel) throw cliError('FLAG_VALUE', { flag: 'log-level', value: text, wanted: LOG_LEVELS.join(', ') })
    return withAgent(context, async (agent) => {
      const query = { loglevel, logjson: flags.bool('log-json') }
      for await (const chunk of agent.stream('Error starting monitor', '/v1/agent/monitor', query)) {
        // A terminal that is slower than the log holds the agent's lines back, not this process's memory.
        if (!stdout.write(chunk)) await once(stdout, 'drain', { signal })
      }
      if (signal.aborted) return 0
      warn('Remote side ended the monitor! This usually means that the\nremote side exited or crashed.')
      return 1
    })
  },
}
