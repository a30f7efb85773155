/**
 * The encryption envelope: version, nonce, AES-GCM ciphertext, tag.
 *
 * We write version 1; version 0 (padded plaintext, from very old peers) is only read. What is authenticated beside the
 * text differs between packets and streams, so the caller hands it in.
 *
 * Source: gossip wire notes §5.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Random } from '#base'
import { gossipError } from './errors.ts'
import type { GossipKey, Keyring } from './keyring.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + NONCE_BYTES
const BLOCK_BYTES = 16

/** Bytes that version 1 adds. */
export const ENCRYPTION_OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
const MIN_BYTES_V0 = ENCRYPTION_OVERHEAD_BYTES + BLOCK_BYTES

const NO_AAD = Buffer.alloc(0)

/** Encrypts with the primary key. */
export function encryptEnvelope(plain: Uint8Array, keyring: Keyring, random: Random, aad: Uint8Array = NO_AAD): Buffer {
  const key = keyring.primary
  const nonce = random.bytes(NONCE_BYTES)
  const cipher = createCipheriv(key.cipher, key.object, nonce)
  if (aad.length > 0) cipher.setAAD(aad)
  const body = cipher.update(plain)
  cipher.final()
  const out = Buffer.allocUnsafe(ENCRYPTION_OVERHEAD_BYTES + body.length)
  out[0] = 1
  nonce.copy(out, 1)
  body.copy(out, HEADER_BYTES)
  cipher.getAuthTag().copy(out, HEADER_BYTES + body.length)
  return out
}

function decryptWith(key: GossipKey, envelope: Buffer, aad: Uint8Array): Buffer | undefined {
  const end = envelope.length - TAG_BYTES
  const decipher = createDecipheriv(key.cipher, key.object, envelope.subarray(1, HEADER_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAuthTag(envelope.subarray(end))
  if (aad.length > 0) decipher.setAAD(aad)
  const plain = decipher.update(envelope.subarray(HEADER_BYTES, end))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}

function unpad(plain: Buffer): Buffer {
  const padding = plain[plain.length - 1] ?? 0
  if (padding < 1 || padding > BLOCK_BYTES || padding > plain.length) {
    throw gossipError('GOSSIP_PACKET', { reason: 'wrong padding in an encrypted message' })
  }
  return plain.subarray(0, plain.length - padding)
}

/**
 * Decrypts with the first key that fits.
 *
 * @throws HanseError GOSSIP_PACKET for bytes that are no envelope, GOSSIP_UNDECRYPTABLE when no key fits
 */
export function decryptEnvelope(envelope: Buffer, keyring: Keyring, aad: Uint8Array = NO_AAD): Buffer {
  const version = envelope[0]
  if (version !== 0 && version !== 1)
    throw gossipError('GOSSIP_PACKET', { reason: `unknown encryption version ${version}` })
  if (envelope.length < (version === 0 ? MIN_BYTES_V0 : ENCRYPTION_OVERHEAD_BYTES)) {
    throw gossipError('GOSSIP_PACKET', { reason: 'encrypted message is too short' })
  }
  for (const key of keyring.keys) {
    const plain = decryptWith(key, envelope, aad)
    if (plain) return version === 0 ? unpad(plain) : plain
  }
  throw gossipError('GOSSIP_UNDECRYPTABLE', {})
}
