/**
 * Keyring changes over gossip: every member is asked to install, use, remove or list keys and says how it went.
 *
 * Source: gossip wire notes §12.
 */
import { decode } from '#codec'
import type { KeyringResult } from './api.ts'
import type { Keyring, KeyringChange } from './keyring.ts'
import type { QueryAnswer } from './queries.ts'
import { encodeSerf, KeyRequest, KeyResponse, SERF_MESSAGE } from './serf-messages.ts'

export type KeyOperation = 'install-key' | 'use-key' | 'remove-key' | 'list-keys'

const TEXT_NO_KEYRING = 'No keyring to modify (encryption not enabled)'
const TEXT_EMPTY_KEYRING = 'Keyring is empty (encryption not enabled)'

export const isKeyOperation = (name: string): name is KeyOperation =>
  name === 'install-key' || name === 'use-key' || name === 'remove-key' || name === 'list-keys'

export function encodeKeyRequest(key: Buffer): Buffer {
  return encodeSerf(SERF_MESSAGE.keyRequest, KeyRequest, { Key: key })
}

const encodeAnswer = (answer: KeyResponse): Buffer => encodeSerf(SERF_MESSAGE.keyResponse, KeyResponse, answer)

function change(keyring: Keyring, operation: KeyOperation, key: Buffer): KeyringChange {
  if (operation === 'install-key') return keyring.install(key)
  if (operation === 'use-key') return keyring.use(key)
  return keyring.remove(key)
}

/** The list of keys, cut until the answer fits, primary first. */
function listAnswer(keyring: Keyring | undefined, fits: (answer: Buffer) => boolean): Buffer {
  if (!keyring) return encodeAnswer({ Result: false, Message: TEXT_EMPTY_KEYRING, Keys: null, PrimaryKey: '' })
  const keys = keyring.keys.map((key) => key.base64)
  for (let shown = keys.length; shown > 0; shown--) {
    const Message =
      shown === keys.length ? '' : `truncated key list response, showing first ${shown} of ${keys.length} keys`
    const Keys = keys.slice(0, shown)
    const answer = encodeAnswer({ Result: true, Message, Keys, PrimaryKey: keyring.primary.base64 })
    if (fits(answer)) return answer
  }
  return encodeAnswer({ Result: false, Message: 'key list response does not fit', Keys: null, PrimaryKey: '' })
}

/**
 * Answers a key query and changes the ring.
 *
 * @param onChange - called when the ring has changed, so that it is written to disk
 */
export function answerKeyQuery(
  operation: KeyOperation,
  payload: Buffer,
  keyring: Keyring | undefined,
  modules: { fits: (answer: Buffer) => boolean; onChange: () => void },
): Buffer {
  if (operation === 'list-keys') return listAnswer(keyring, modules.fits)
  const failed = (Message: string) => encodeAnswer({ Result: false, Message, Keys: null, PrimaryKey: '' })
  if (!keyring) return failed(TEXT_NO_KEYRING)
  if (payload[0] !== SERF_MESSAGE.keyRequest) return failed('not a key request')
  let key: Buffer
  try {
    key = decode(KeyRequest, payload.subarray(1)).Key ?? Buffer.alloc(0)
  } catch {
    return failed('not a key request')
  }
  const result = change(keyring, operation, key)
  if (!result.ok) return failed(result.error)
  modules.onChange()
  return encodeAnswer({ Result: true, Message: '', Keys: null, PrimaryKey: '' })
}

function readAnswer(payload: Buffer): KeyResponse | undefined {
  if (payload[0] !== SERF_MESSAGE.keyResponse) return undefined
  try {
    return decode(KeyResponse, payload.subarray(1))
  } catch {
    return undefined
  }
}

/** Adds up what the members said. */
export function summarizeKeyAnswers(answers: readonly QueryAnswer[], numNodes: number): KeyringResult {
  const messages: Record<string, string> = {}
  const keys: Record<string, number> = {}
  const primaryKeys: Record<string, number> = {}
  let succeeded = 0
  for (const { from, payload } of answers) {
    const answer = readAnswer(payload)
    if (!answer) {
      messages[from] = 'Failed to decode the answer'
      continue
    }
    if (answer.Result) succeeded++
    if (answer.Message !== '') messages[from] = answer.Message
    for (const key of answer.Keys ?? []) keys[key] = (keys[key] ?? 0) + 1
    if (answer.PrimaryKey !== '') primaryKeys[answer.PrimaryKey] = (primaryKeys[answer.PrimaryKey] ?? 0) + 1
  }
  const result = { messages, keys, primaryKeys, numNodes, numResponses: answers.length }
  return succeeded < numNodes ? { ...result, error: `${succeeded}/${numNodes} nodes reported success` } : result
}
