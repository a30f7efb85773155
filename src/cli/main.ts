/**
 * The program: finds the command, reads its flags, runs it, turns what it throws into a message and an exit status.
 *
 * Commands are loaded when they are called, so that `hanse members` does not pay for the server.
 */
import { enableCompileCache } from 'node:module'
import { HanseError, messageOf } from '#base'
import { type Command, type CommandIo, checkArgs, nearest, parseFlags } from './command.ts'
import { COMMANDS } from './commands.ts'
import { cliError } from './errors.ts'
import { commandHelp, overview } from './help.ts'

/** Exit statuses that no command chooses: a word that is no command, as shells say it; and a signal. */
const STATUS_UNKNOWN = 127
const STATUS_INTERRUPTED = 130

/** The command of the longest name that the words begin with. */
function find(words: readonly string[]): { name: string; rest: readonly string[] } | undefined {
  for (let length = Math.min(3, words.length); length > 0; length--) {
    const name = words.slice(0, length).join(' ')
    if (Object.hasOwn(COMMANDS, name)) return { name, rest: words.slice(length) }
  }
  return undefined
}

async function dispatch(words: readonly string[], io: CommandIo): Promise<number> {
  const print = (line: string) => io.stdout.write(`${line}\n`)
  const first = words[0] ?? ''
  if (words.length === 0) {
    print(overview(''))
    return STATUS_UNKNOWN
  }
  if (first === 'help' || isHelp(first)) return help(words.slice(1), print)
  if (['-v', '-version', '--version'].includes(first)) return dispatch(['version', ...words.slice(1)], io)
  const found = find(words)
  if (!found) return withoutCommand(words, print)
  const command = await load(found.name)
  const end = found.rest.indexOf('--')
  if (found.rest.slice(0, end === -1 ? undefined : end).some(isHelp)) {
    print(commandHelp(command))
    return 0
  }
  const { flags, args } = command.rawArgs
    ? { ...parseFlags([], {}), args: found.rest }
    : parseFlags(found.rest, command.flags)
  if (!command.rawArgs) checkArgs(command, args)
  return command.run({ ...io, flags, args, print, warn: (line) => io.stderr.write(`${line}\n`) })
}

const isHelp = (word: string): boolean => /^--?h(elp)?$/.test(word)

/** Of a command, of a group, or of all there is. @throws COMMAND_UNKNOWN */
async function help(words: readonly string[], print: (line: string) => void): Promise<number> {
  const asked = words.filter((word) => !word.startsWith('-'))
  const found = find(asked)
  if (found) print(commandHelp(await load(found.name)))
  else if (asked.length === 0) print(overview(''))
  else return withoutCommand([...asked, '-h'], print)
  return 0
}

/** The first word of a group alone shows the group. @throws COMMAND_UNKNOWN */
function withoutCommand(words: readonly string[], print: (line: string) => void): number {
  const names = Object.keys(COMMANDS)
  const [first = '', second = '-'] = words
  const group = names.filter((name) => name.startsWith(`${first} `))
  if (group.length === 0) {
    const firsts = [...new Set(names.flatMap((name) => [name, name.split(' ')[0] ?? name]))]
    throw cliError('COMMAND_UNKNOWN', { name: first, nearest: nearest(first, firsts) })
  }
  if (second.startsWith('-')) {
    print(overview(first))
    return words.some(isHelp) ? 0 : 1
  }
  const name = `${first} ${second}`
  const seconds = group.map((known) => known.slice(first.length + 1))
  const slip = nearest(second, seconds)
  throw cliError('COMMAND_UNKNOWN', { name, nearest: slip === '' ? '' : `${first} ${slip}` })
}

async function load(name: string): Promise<Command> {
  const entry = COMMANDS[name]
  if (!entry) throw cliError('COMMAND_UNKNOWN', { name, nearest: '' })
  return (await entry.load()).command
}

/** Runs one command line. @returns the exit status */
export async function run(words: readonly string[], io: CommandIo): Promise<number> {
  try {
    return await dispatch(words, io)
  } catch (error) {
    if (io.signal.aborted) return STATUS_INTERRUPTED
    io.stderr.write(`${messageOf(error)}\n`)
    if (!(error instanceof HanseError)) return 1
    if (error.hint !== undefined && error.hint !== '') io.stderr.write(`hint: ${error.hint}\n`)
    return error.code === 'COMMAND_UNKNOWN' ? STATUS_UNKNOWN : 1
  }
}

/** A signal ends the command; a second one, a second later or more, ends the process. */
function interruptible(): AbortSignal {
  const abort = new AbortController()
  /** By `hanse up`, which ends us in its own time. */
  const started = process.env.HANSE_STOP_WITH_STDIN === '1'
  const stop = (signal: string) => {
    // Ctrl-C reaches the whole group, and who started us then tells us as well: that is no second wish to end at once.
    if (abort.signal.aborted && !started) process.exit(130)
    abort.abort(new Error(`stopped by ${signal}`))
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  if (started) {
    process.stdin.on('close', () => stop('the end of standard input'))
    process.stdin.resume()
  }
  return abort.signal
}

if (import.meta.main) {
  enableCompileCache()
  const { env, stdin, stdout, stderr } = process
  // A reader that has seen enough (`hanse members | head -1`) is no failure.
  stdout.on('error', () => process.exit(0))
  process.exitCode = await run(process.argv.slice(2), { env, stdin, stdout, stderr, signal: interruptible() })
  // Keep-alive sockets and signal handlers would hold the process; all output has been handed over by now.
  stdout.write('', () => process.exit())
}
