/**
 * `hanse lock`: runs a command while it holds a lock, or one of n slots, and ends it when that is lost.
 */
import { aborted, HanseError, messageOf, parseDuration } from '#base'
import type { HttpClient } from '#client'
import { API_FLAGS, apiClient } from './api-flags.ts'
import type { Command, CommandContext, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { keyOf } from './kv-entries.ts'
import { type Ended, LockedChild } from './lock-child.ts'
import { LockKv, LockSession } from './lock-kv.ts'
import { type Held, Mutex } from './lock-mutex.ts'
import { MAX_HOLDERS, Semaphore } from './lock-semaphore.ts'

const DEFAULT_RETRIES = 3
const CHILD_FAILED = 2
const NS_PER_MS = 1e6

interface Wanted {
  readonly prefix: string
  readonly words: readonly string[]
  readonly holders: number
  readonly retries: number
  readonly timeoutMs: number
  readonly name: string
}

/** @throws ARGUMENTS, FLAG_VALUE */
function wantedOf({ flags, args: [prefix = '', ...words] }: CommandContext): Wanted {
  const key = keyOf(prefix).replace(/\/+$/, '')
  if (key === '') throw cliError('ARGUMENTS', { message: 'Lock: the prefix is empty' })
  const holders = flags.number('n') ?? 1
  if (holders < 1 || holders > MAX_HOLDERS) {
    throw cliError('FLAG_VALUE', { flag: 'n', value: String(holders), wanted: `a number from 1 to ${MAX_HOLDERS}` })
  }
  const retries = flags.number('monitor-retry') ?? DEFAULT_RETRIES
  if (retries < 0) {
    throw cliError('FLAG_VALUE', { flag: 'monitor-retry', value: String(retries), wanted: 'a number from 0 on' })
  }
  const timeoutMs = durationMs(flags, 'timeout') ?? durationMs(flags, 'try') ?? 0
  const name = flags.string('name') ?? `Consul lock for '${words.join(' ')}' at '${key}'`
  return { prefix: key, words, holders, retries, timeoutMs, name }
}

function durationMs(flags: Flags, name: string): number | undefined {
  const text = flags.string(name)
  if (text === undefined) return undefined
  const ns = parseDuration(text)
  if (ns !== undefined && ns >= 0) return ns / NS_PER_MS
  throw cliError('FLAG_VALUE', { flag: name, value: text, wanted: 'a duration such as "15s"' })
}

export const command: Command = {
  name: 'lock',
  summary: 'Runs a command while it holds a lock',
  usage: 'PREFIX COMMAND...',
  help: `Takes a lock at PREFIX in the key/value store, or with -n one of so many slots, and runs COMMAND only while it
holds it, with CONSUL_LOCK_HELD=true in its environment. When the lock is lost, nobody answers or this command is
stopped, COMMAND gets SIGTERM, and SIGKILL five seconds later. All who use a prefix must agree on -n.`,
  args: [2, Number.POSITIVE_INFINITY],
  flags: {
    ...API_FLAGS,
    'child-exit-code': {
      kind: 'bool',
      help: `Exit with ${CHILD_FAILED} when COMMAND fails; otherwise that is not told`,
    },
    'monitor-retry': {
      kind: 'number',
      value: 'count',
      help: `Errors of the agent in a row that do not count as a lost lock, a second apart; default ${DEFAULT_RETRIES}`,
    },
    n: { kind: 'number', value: 'holders', help: 'How many may hold it at a time, default 1' },
    name: { kind: 'string', value: 'text', help: 'Of the session; by default it names COMMAND and PREFIX' },
    'pass-stdin': { kind: 'bool', help: 'Give standard input to COMMAND' },
    shell: { kind: 'bool', help: 'Run COMMAND in $SHELL, or /bin/sh; default true' },
    timeout: { kind: 'string', value: 'duration', help: 'Give up when it is not held by then; default: wait for ever' },
    try: { kind: 'string', value: 'duration', help: 'The old name of -timeout' },
    verbose: { kind: 'bool', help: 'Say what is done' },
  },
  exits: { [CHILD_FAILED]: 'COMMAND failed, with -child-exit-code' },
  async run(context) {
    const wanted = wantedOf(context)
    const client = apiClient(context)
    try {
      return await runLocked(context, client, wanted)
    } finally {
      client.close()
    }
  },
}

async function runLocked(context: CommandContext, client: HttpClient, wanted: Wanted): Promise<number> {
  const { signal } = context
  const { prefix, holders, name } = wanted
  const Behavior = holders === 1 ? 'release' : 'delete'
  const session = await framed('Lock setup failed', LockSession.create(client, { Name: name, Behavior }, signal))
  const kv = new LockKv(client)
  const held = holders === 1 ? new Mutex(kv, prefix, session.id) : new Semaphore(kv, prefix, session.id, holders)
  try {
    if (!(await acquired(context, held, session, wanted))) return 1
    return await runChild(context, held, session, wanted)
  } finally {
    // What it held is free at once: it has been given back.
    await session.destroy().catch((error: unknown) => context.warn(`Error destroying session: ${messageOf(error)}`))
  }
}

async function framed<T>(doing: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const hint = error instanceof HanseError ? (error.hint ?? '') : ''
    throw cliError('REQUEST_FAILED', { doing, reason: messageOf(error), hint }, error)
  }
}

async function acquired(
  { signal, flags, print, warn }: CommandContext,
  held: Held,
  session: LockSession,
  { timeoutMs }: Wanted,
): Promise<boolean> {
  const limits = [signal, session.gone, ...(timeoutMs > 0 ? [AbortSignal.timeout(timeoutMs)] : [])]
  const given = AbortSignal.any(limits)
  if (flags.bool('verbose')) print('Attempting lock acquisition')
  try {
    await held.acquire(given)
    return true
  } catch (error) {
    await held.release().catch(() => undefined)
    if (!given.aborted) return framed('Lock acquisition failed', Promise.reject(error))
    warn(
      session.gone.aborted
        ? 'Lock acquisition failed: the session has ended'
        : 'Shutdown triggered or timeout during lock acquisition',
    )
    return false
  }
}

async function runChild(
  context: CommandContext,
  held: Held,
  session: LockSession,
  { words, retries }: Wanted,
): Promise<number> {
  const { flags, signal, print, warn } = context
  const watching = new AbortController()
  const lost = held.lost({ retries, signal: watching.signal })
  const shell = !flags.has('shell') || flags.bool('shell')
  const child = new LockedChild({ words, shell, passStdin: flags.bool('pass-stdin') }, context)
  const why = await Promise.race([
    child.ended,
    lost.then((reason) => `Lock lost, killing child: ${reason}`),
    aborted(session.gone).then(() => `Lock lost, killing child: ${messageOf(session.gone.reason)}`),
    aborted(signal).then(() => 'Shutdown triggered, killing child'),
  ])
  if (typeof why === 'string') {
    warn(why)
    await child.stop()
  }
  watching.abort(new Error('the child has ended'))
  if (flags.bool('verbose')) print('Cleanup')
  await held.release().catch((error: unknown) => warn(`Lock release failed: ${messageOf(error)}`))
  return typeof why === 'string' ? 1 : statusOf(why, context)
}

function statusOf({ ok, how }: Ended, { flags, warn }: CommandContext): number {
  if (ok) return 0
  warn(`Error running handler: ${how}`)
  return flags.bool('child-exit-code') ? CHILD_FAILED : 0
}
