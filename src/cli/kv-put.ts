/**
 * `hanse kv put`: sets an entry; on a condition (-cas), or together with a lock (-acquire, -release).
 */
import type { Query } from '#client'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'
import { kvPath, wasDone } from './kv-entries.ts'

const DOING = 'Error! Failed writing data'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const MAX_UINT64 = 2n ** 64n

/** @throws ARGUMENTS when it is no base64 */
async function readValue(context: CommandContext): Promise<Buffer> {
  const [key = '', word] = context.args
  if (word === undefined) return Buffer.alloc(0)
  const bytes = await readInput(word, context)
  if (!context.flags.bool('base64')) return bytes
  const text = bytes.toString('latin1').replace(/\s/g, '')
  if (!BASE64.test(text)) throw cliError('ARGUMENTS', { message: `Put "${key}": the value is not base64` })
  return Buffer.from(text, 'base64')
}

/** What makes the write conditional, and the words for both outcomes. */
interface Condition {
  readonly query: Query
  readonly done: string
  readonly refused: string
}

/** @throws ARGUMENTS for flags that exclude or need each other */
function conditionOf(flags: Flags, key: string): Condition {
  const given = ['cas', 'acquire', 'release'].filter((name) => flags.bool(name))
  if (given.length > 1) {
    throw cliError('ARGUMENTS', { message: `Put "${key}": only one of ${given.map((name) => `-${name}`).join(', ')}` })
  }
  const session = flags.string('session') ?? ''
  if ((flags.bool('acquire') || flags.bool('release')) && session === '') {
    throw cliError('ARGUMENTS', { message: `Put "${key}": -${given[0]} needs a session: -session=<ID>` })
  }
  const done = `Success! Data written to: ${key}`
  switch (given[0]) {
    case 'cas': {
      const query = { cas: flags.number('modify-index') ?? 0 }
      return { query, done, refused: `Error! Did not write to ${key}: CAS failed` }
    }
    case 'acquire':
      return {
        query: { acquire: session },
        done: `Success! Lock acquired on: ${key}`,
        refused: 'Error! Did not acquire lock',
      }
    case 'release':
      return {
        query: { release: session },
        done: `Success! Lock released on: ${key}`,
        refused: 'Error! Did not release lock',
      }
    default:
      return { query: {}, done, refused: `Error! Did not write to ${key}` }
  }
}

/** The 64 bits beside the value. @throws FLAG_VALUE */
function flagsOf(flags: Flags): string | undefined {
  const text = flags.string('flags')
  if (text === undefined) return undefined
  if (/^\d{1,20}$/.test(text) && BigInt(text) < MAX_UINT64) return text
  throw cliError('FLAG_VALUE', { flag: 'flags', value: text, wanted: 'a whole number below 2^64' })
}

export const command: Command = {
  name: 'kv put',
  summary: 'Sets an entry of the key/value store',
  usage: 'KEY [DATA]',
  help: 'Sets the value of a key. DATA is the value itself, @FILE for that of a file, or - for standard input.',
  args: [1, 2],
  flags: {
    ...API_FLAGS,
    acquire: { kind: 'bool', help: 'Take the lock of the key for -session; creates the key' },
    base64: { kind: 'bool', help: 'DATA is base64 and is decoded' },
    cas: { kind: 'bool', help: 'Write only if the entry has -modify-index still; 0: only if there is none' },
    flags: { kind: 'string', value: 'number', help: '64 bits that are kept beside the value, default 0' },
    'modify-index': { kind: 'number', value: 'index', help: 'For -cas' },
    release: { kind: 'bool', help: 'Give the lock of the key back, that -session has' },
    session: { kind: 'string', value: 'ID', help: 'For -acquire and -release' },
  },
  async run(context) {
    const { flags, args, print, warn } = context
    const key = args[0] ?? ''
    const reason = key === '' ? 'the key is empty' : `Invalid key. Key must not begin with a '/': ${key}`
    if (key === '' || key.startsWith('/')) throw cliError('REQUEST_FAILED', { doing: DOING, reason, hint: '' })
    const condition = conditionOf(flags, key)
    const query = { ...condition.query, flags: flagsOf(flags) }
    const body = await readValue(context)
    return withAgent(context, async (agent) => {
      const met = wasDone(await agent.send(DOING, 'PUT', kvPath(key), { query, body }))
      if (met) print(condition.done)
      else warn(condition.refused)
      return met ? 0 : 1
    })
  },
}
