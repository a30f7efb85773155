/**
 * Config entries and intentions as people write them: HCL or JSON, in a file or piped in. What the keys mean is the
 * server's business; commands need the text as one object, and a few words of it.
 */
import { HanseError, messageOf } from '#base'
import { parseHcl, parseJson } from '#codec'
import type { CommandContext } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'

export type EntryText = ReturnType<typeof parseHcl>

/**
 * The object that a file, or "-" for standard input, holds.
 *
 * @param doing - frame of the error: "Failed to decode config entry input"
 * @throws FILE_UNREADABLE, INPUT_TOO_LARGE; ARGUMENTS where it is neither JSON nor HCL
 */
export async function readEntryText(
  word: string,
  doing: string,
  context: Pick<CommandContext, 'stdin' | 'signal'>,
): Promise<EntryText> {
  const text = (await readInput(word === '-' ? word : `@${word}`, context)).toString('utf8')
  const source = { file: word === '-' ? 'standard input' : word }
  const isJson = /^\s*[{[]/.test(text)
  try {
    const value = isJson ? parseJson(text, source) : parseHcl(text, source)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch (error) {
    const hint = error instanceof HanseError ? (error.hint ?? '') : ''
    throw cliError('REQUEST_FAILED', { doing, reason: messageOf(error), hint }, error)
  }
  throw cliError('REQUEST_FAILED', { doing, reason: 'it is not an object', hint: '' })
}

/** A key of the object, spelt as JSON or as HCL has it: "Kind" or "kind"; empty where it is no text. */
export function wordOf(entry: EntryText, key: string): string {
  const spelt = [key, key.toLowerCase()].find((each) => Object.hasOwn(entry, each))
  const value = spelt === undefined ? undefined : entry[spelt]
  return typeof value === 'string' ? value : ''
}
