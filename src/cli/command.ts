/**
 * What a command is, and how its flags are read: Go's way, as Consul's users type them.
 *
 * `-flag value`, `-flag=value` and the same with two dashes; a boolean flag takes no separate value; the first word that
 * is no flag, or `--`, ends the flags.
 */
import type { Readable, Writable } from 'node:stream'
import { cliError } from './errors.ts'

export interface FlagSpec {
  readonly kind: 'string' | 'bool' | 'number' | 'list'
  readonly help: string
  /** Shown in the help: `-name=<value>`. */
  readonly value?: string
}

export type FlagSpecs = Readonly<Record<string, FlagSpec>>

/** Values of the flags that were given. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** The last value given. */
  string(name: string): string | undefined {
    return this.#values.get(name)?.at(-1)
  }

  bool(name: string): boolean {
    const text = this.string(name)
    return text !== undefined && text !== 'false' && text !== '0'
  }

  /** @throws FLAG_VALUE when it is no whole number */
  number(name: string): number | undefined {
    const text = this.string(name)
    if (text === undefined) return undefined
    if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
      throw cliError('FLAG_VALUE', { flag: name, value: text, wanted: 'a whole number' })
    return Number(text)
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** Values of a list flag that are `key=value`, in order. @throws FLAG_VALUE for one without "=" or key */
  pairs(name: string): readonly (readonly [key: string, value: string])[] {
    return this.list(name).map((text) => {
      const equals = text.indexOf('=')
      if (equals < 1) throw cliError('FLAG_VALUE', { flag: name, value: text, wanted: 'key=value' })
      return [text.slice(0, equals), text.slice(equals + 1)]
    })
  }

  /** One of the given words, or the first of them. @throws FLAG_VALUE */
  choice<const T extends string>(name: string, words: readonly [T, ...T[]]): T {
    const text = this.string(name)
    if (text === undefined) return words[0]
    const word = words.find((each) => each === text)
    if (word === undefined) throw cliError('FLAG_VALUE', { flag: name, value: text, wanted: words.join(' or ') })
    return word
  }
}

/** Where a command reads and writes, and what surrounds it. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Aborted by Ctrl-C and SIGTERM; a second signal ends the process at once. */
  readonly signal: AbortSignal
}

export interface CommandContext extends CommandIo {
  readonly flags: Flags
  /** The words after the flags. */
  readonly args: readonly string[]
  /** One line to standard output. */
  print(line: string): void
  /** One line to standard error. */
  warn(line: string): void
}

export interface Command {
  /** Words after `hanse`: "catalog services". */
  readonly name: string
  readonly summary: string
  /** What stands after the flags in the usage line. */
  readonly usage?: string
  /** Longer help, below the usage line. */
  readonly help?: string
  readonly flags: FlagSpecs
  /** Flags are left to the command: it gets all words as args. */
  readonly rawArgs?: boolean
  /** Least and most words after the flags; none when missing. */
  readonly args?: readonly [least: number, most: number]
  /** Exit statuses beside 0 (done) and 1 (failed), and what they say. */
  readonly exits?: Readonly<Record<number, string>>
  /** @returns the exit status */
  run(context: CommandContext): Promise<number>
}

/**
 * Splits words into flags and arguments.
 *
 * @throws FLAG_UNKNOWN naming the nearest flag, FLAG_VALUE where a value is missing
 */
export function parseFlags(words: readonly string[], specs: FlagSpecs): { flags: Flags; args: readonly string[] } {
  const values = new Map<string, string[]>()
  let at = 0
  for (; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--') {
      at++
      break
    }
    if (!word.startsWith('-') || word === '-') break
    const body = word.replace(/^--?/, '')
    const equals = body.indexOf('=')
    const name = equals < 0 ? body : body.slice(0, equals)
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    if (!spec) throw cliError('FLAG_UNKNOWN', { flag: name, nearest: nearest(name, Object.keys(specs)) })
    let value = equals < 0 ? undefined : body.slice(equals + 1)
    if (value === undefined) {
      if (spec.kind === 'bool') value = 'true'
      else {
        at++
        value = words[at]
      }
    }
    if (value === undefined) throw cliError('FLAG_VALUE', { flag: name, value: '', wanted: 'a value' })
    if (spec.kind === 'bool' && !/^(true|false|1|0|t|f)$/i.test(value)) {
      throw cliError('FLAG_VALUE', { flag: name, value, wanted: 'true or false' })
    }
    values.set(name, [...(values.get(name) ?? []), spec.kind === 'bool' ? boolText(value) : value])
  }
  return { flags: new Flags(values), args: words.slice(at) }
}

const boolText = (value: string): string => (/^(true|1|t)$/i.test(value) ? 'true' : 'false')

/** @throws ARGUMENT_COUNT when there are fewer or more words than the command takes */
export function checkArgs(command: Command, args: readonly string[]): void {
  const [least, most] = command.args ?? [0, 0]
  if (args.length >= least && args.length <= most) return
  const wanted = most === Number.POSITIVE_INFINITY ? `${least} or more` : least === most ? least : `${least} to ${most}`
  const usage = `hanse ${command.name} [options]${command.usage ? ` ${command.usage}` : ''}`
  throw cliError('ARGUMENT_COUNT', { name: command.name, wanted: String(wanted), given: args.length, usage })
}

/** From here on, the beginning of a word says which one is meant. */
const MIN_PREFIX_CHARACTERS = 3

/** The known word with the fewest edits, if that is near enough to be a slip; else one that begins so. */
export function nearest(word: string, known: readonly string[]): string {
  const begins = word.length < MIN_PREFIX_CHARACTERS ? undefined : known.find((each) => each.startsWith(word))
  let best = begins ?? ''
  // A slip leaves most of the word as it was.
  let bestDistance = Math.min(Math.max(2, Math.floor(word.length / 3)) + 1, word.length)
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(word, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
