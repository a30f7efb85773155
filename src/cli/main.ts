/**
 * The program: finds the command, reads its flags, runs it, turns what it throws into a message and an exit status.
 *
 * Commands are loaded when they are called, so that `hanse members` does not pay for the server.
 */
import { enableCompileCache } from 'node:module'
import { HanseError, messageOf } from '#base'
import { type Command, type CommandIo, nearest, parseFlags } from './command.ts'
import { COMMANDS } from './commands.ts'
import { cliError } from './errors.ts'
import { commandHelp, overview } from './help.ts'

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
  if (words.length === 0 || ['help', '-h', '--help', '-help'].includes(first)) {
    const asked = words.slice(1).filter((word) => !word.startsWith('-'))
    const named = asked.length > 0 ? find(asked) : undefined
    print(named ? commandHelp(await load(named.name)) : overview(asked.join(' ')))
    return words.length === 0 ? 127 : 0
  }
  if (['-v', '-version', '--version'].includes(first)) return dispatch(['version'], io)
  const found = find(words)
  if (!found) {
    const group = Object.keys(COMMANDS).filter((name) => name.startsWith(`${first} `))
    if (group.length > 0) {
      print(overview(first))
      return words.some((word) => /^--?h(elp)?$/.test(word)) ? 0 : 1
    }
    throw cliError('COMMAND_UNKNOWN', { name: words.join(' '), nearest: nearest(first, Object.keys(COMMANDS)) })
  }
  const command = await load(found.name)
  if (found.rest.some((word) => /^--?h(elp)?$/.test(word))) {
    print(commandHelp(command))
    return 0
  }
  const { flags, args } = command.rawArgs
    ? { ...parseFlags([], {}), args: found.rest }
    : parseFlags(found.rest, command.flags)
  return command.run({ ...io, flags, args, print, warn: (line) => io.stderr.write(`${line}\n`) })
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
    io.stderr.write(`${messageOf(error)}\n`)
    if (error instanceof HanseError && error.hint !== undefined) io.stderr.write(`hint: ${error.hint}\n`)
    return 1
  }
}

/** A signal ends the command; a second one, a second later or more, ends the process. */
function interruptible(): AbortSignal {
  const abort = new AbortController()
  const stop = (signal: string) => {
    if (abort.signal.aborted) process.exit(130)
    abort.abort(new Error(`stopped by ${signal}`))
  }
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  if (process.env.HANSE_STOP_WITH_STDIN === '1') {
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
