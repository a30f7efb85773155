/**
 * The keys of an encrypted pool: the first one encrypts, all of them decrypt. Also the text form of the keyring file.
 *
 * Keys are held as KeyObject: making one per packet costs four times as much as the encryption itself.
 *
 * Source: gossip wire notes §5, §12.
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { gossipError } from './errors.ts'

/** Most keys one ring holds; a rotation needs two. */
export const MAX_KEYS = 64

export interface GossipKey {
  readonly bytes: Buffer
  readonly base64: string
  readonly object: KeyObject
  readonly cipher: 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm'
}

const CIPHERS: Readonly<Record<number, GossipKey['cipher']>> = {
  16: 'aes-128-gcm',
  24: 'aes-192-gcm',
  32: 'aes-256-gcm',
}

/** Text that clients see for a key of another size. */
export const KEY_SIZE_TEXT = 'key size must be 16, 24 or 32 bytes'

/** @throws HanseError GOSSIP_KEY */
export function gossipKey(bytes: Uint8Array): GossipKey {
  const cipher = CIPHERS[bytes.length]
  if (cipher === undefined) throw gossipError('GOSSIP_KEY', { reason: KEY_SIZE_TEXT })
  const copy = Buffer.from(bytes)
  return { bytes: copy, base64: copy.toString('base64'), object: createSecretKey(copy), cipher }
}

/** @throws HanseError GOSSIP_KEY for text that is not the standard base64 of 16, 24 or 32 bytes */
export function parseGossipKey(text: string): GossipKey {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text.trim()) throw gossipError('GOSSIP_KEY', { reason: 'not standard base64' })
  return gossipKey(bytes)
}

/** What a change to the ring came to; `error` is the text that the asker is shown. */
export type KeyringChange =
  | { readonly ok: true; readonly changed: boolean }
  | { readonly ok: false; readonly error: string }

export class Keyring {
  #keys: GossipKey[]

  /** @param keys - primary first; at least one */
  constructor(keys: readonly GossipKey[]) {
    this.#keys = [...new Map(keys.map((key) => [key.base64, key])).values()].slice(0, MAX_KEYS)
    if (this.#keys.length === 0) throw gossipError('GOSSIP_KEY', { reason: 'the keyring is empty' })
  }

  get keys(): readonly GossipKey[] {
    return this.#keys
  }

  get primary(): GossipKey {
    return this.#keys[0]!
  }

  install(bytes: Uint8Array): KeyringChange {
    if (CIPHERS[bytes.length] === undefined) return { ok: false, error: KEY_SIZE_TEXT }
    const key = gossipKey(bytes)
    if (this.#keys.some((held) => held.base64 === key.base64)) return { ok: true, changed: false }
    if (this.#keys.length >= MAX_KEYS) return { ok: false, error: `the keyring is full: it holds ${MAX_KEYS} keys` }
    this.#keys.push(key)
    return { ok: true, changed: true }
  }

  use(bytes: Uint8Array): KeyringChange {
    const index = this.#indexOf(bytes)
    if (index < 0) return { ok: false, error: 'Requested key is not in the keyring' }
    const [key] = this.#keys.splice(index, 1)
    if (key) this.#keys.unshift(key)
    return { ok: true, changed: index > 0 }
  }

  remove(bytes: Uint8Array): KeyringChange {
    const index = this.#indexOf(bytes)
    if (index === 0) return { ok: false, error: 'Removing the primary key is not allowed' }
    if (index > 0) this.#keys.splice(index, 1)
    return { ok: true, changed: index > 0 }
  }

  #indexOf(bytes: Uint8Array): number {
    return this.#keys.findIndex((key) => key.bytes.equals(bytes))
  }
}

/** The keyring file: a JSON array of base64 keys, indented by 2, primary first. */
export function formatKeyringFile(keysBase64: readonly string[]): string {
  return `${JSON.stringify(keysBase64, null, 2)}`
}

/** @throws HanseError GOSSIP_KEYRING_FILE; the message never holds a key */
export function parseKeyringFile(text: string, path: string): readonly GossipKey[] {
  const refuse = (reason: string) => gossipError('GOSSIP_KEYRING_FILE', { path, reason })
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw refuse('not valid JSON')
  }
  if (!Array.isArray(parsed)) throw refuse('not a JSON array')
  if (parsed.length === 0) throw refuse('it holds no key')
  if (parsed.length > MAX_KEYS) throw refuse(`it holds more than ${MAX_KEYS} keys`)
  return parsed.map((entry: unknown, index) => {
    if (typeof entry !== 'string') throw refuse(`entry ${index + 1} is not a string`)
    try {
      return parseGossipKey(entry)
    } catch {
      throw refuse(`entry ${index + 1} is not the base64 of 16, 24 or 32 bytes`)
    }
  })
}
