/**
 * `hanse snapshot restore`: a file of `hanse snapshot save` in the place of everything in a datacenter.
 *
 * It is checked here first, so that a file that is none is not sent at all; the server checks again.
 */
import { createReadStream } from 'node:fs'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { checkedFile } from './snapshot-file.ts'

/** Until the server has checked the snapshot, stored it and loaded it: the largest takes minutes. */
const TIMEOUT_MS = 3_600_000

export const command: Command = {
  name: 'snapshot restore',
  summary: 'Puts a saved snapshot in the place of everything in a datacenter',
  usage: 'FILE',
  help: [
    'Replaces everything that a datacenter stores by what is in a file of `hanse snapshot save`: all of it or, where',
    'anything is wrong with the file, nothing. The snapshot has to be of a datacenter of the same name.',
  ].join('\n'),
  args: [1, 1],
  flags: API_FLAGS,
  run(context) {
    return withAgent(context, async (agent) => {
      const [path = ''] = context.args
      await checkedFile(path)
      const body = createReadStream(path)
      await agent.send('Error restoring snapshot', 'PUT', '/v1/snapshot', { body, timeoutMs: TIMEOUT_MS })
      context.print('Restored snapshot')
      return 0
    })
  },
}
