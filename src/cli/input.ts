/**
 * Values that users type, keep in a file or pipe in: `text`, `@file`, `-` for standard input.
 */
import { readFileSync, statSync } from 'node:fs'
import { addAbortSignal } from 'node:stream'
import { messageOf } from '#base'
import type { CommandContext } from './command.ts'
import { cliError } from './errors.ts'

/** Far above what the server takes for one value; an export of everything may be large. */
export const MAX_INPUT_BYTES = 256 * 1024 * 1024

async function readStdin({ stdin, signal }: Pick<CommandContext, 'stdin' | 'signal'>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of addAbortSignal(signal, stdin)) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > MAX_INPUT_BYTES) {
      throw cliError('INPUT_TOO_LARGE', { source: 'standard input', limitBytes: MAX_INPUT_BYTES })
    }
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

function readFile(path: string): Buffer {
  try {
    if (statSync(path).size > MAX_INPUT_BYTES) {
      throw cliError('INPUT_TOO_LARGE', { source: path, limitBytes: MAX_INPUT_BYTES })
    }
    return readFileSync(path)
  } catch (error) {
    throw cliError('FILE_UNREADABLE', { path, reason: messageOf(error) }, error)
  }
}

/** The bytes that a word stands for. @throws FILE_UNREADABLE, INPUT_TOO_LARGE */
export async function readInput(word: string, context: Pick<CommandContext, 'stdin' | 'signal'>): Promise<Buffer> {
  if (word === '-') return readStdin(context)
  return word.startsWith('@') ? readFile(word.slice(1)) : Buffer.from(word)
}
