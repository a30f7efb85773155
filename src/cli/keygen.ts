/**
 * `hanse keygen`: a new key for gossip encryption, as the setting "encrypt" and the keyring take it.
 */
import { systemRandom } from '#base'
import type { Command } from './command.ts'

/** The longest key that gossip takes: AES-256. */
const KEY_BYTES = 32

export const command: Command = {
  name: 'keygen',
  summary: 'Makes a key for gossip encryption',
  help: 'Prints a new random key of 32 bytes in base64. All datacenters of a federation need the same.',
  flags: {},
  async run({ print }) {
    print(systemRandom.bytes(KEY_BYTES).toString('base64'))
    return 0
  },
}
