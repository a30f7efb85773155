/**
 * Tells from bytes that cannot be read which side encrypts and with what, so that the setting to change can be named.
 */
import { codeOf } from '#base'
import { ENCRYPTION_OVERHEAD_BYTES } from './encryption.ts'
import { looksPlain, type PacketLayers } from './packet.ts'
import type { StreamProblem } from './stream.ts'

export const PROBLEM_TEXT: Readonly<Record<StreamProblem, string>> = {
  'encryption-key': 'Gossip is encrypted with another key',
  'encryption-missing-here': 'Gossip is encrypted there and not here',
  'encryption-missing-there': 'Gossip is encrypted here and not there',
}

/** What an unreadable datagram says about encryption on both sides; undefined: nothing. */
export function packetProblem(bytes: Buffer, layers: PacketLayers, thrown: unknown): StreamProblem | undefined {
  if (layers.keyring) {
    if (looksPlain(bytes)) return 'encryption-missing-there'
    return codeOf(thrown) === 'GOSSIP_UNDECRYPTABLE' ? 'encryption-key' : undefined
  }
  const encryptedLook =
    bytes.length >= ENCRYPTION_OVERHEAD_BYTES && (bytes[0] === 0 || bytes[0] === 1) && !looksPlain(bytes)
  return encryptedLook ? 'encryption-missing-here' : undefined
}
