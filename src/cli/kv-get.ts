/**
 * `hanse kv get`: a value as it is, all entries below a prefix, or only their keys.
 */
import type { Query } from '#client'
import { type DirEntry, list, string } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command, CommandContext } from './command.ts'
import { findEntries, KV_DOING, keyOf, kvPath } from './kv-entries.ts'

const DETAIL_GUTTER = 6
const Keys = list(string)
const NO_BYTES = Buffer.alloc(0)
const NEWLINE = Buffer.of(10)

async function printKeys(agent: AgentApi, key: string, query: Query, context: CommandContext): Promise<number> {
  const keys = await agent.find(KV_DOING, Keys, kvPath(key), query)
  for (const each of keys ?? []) context.print(each)
  return 0
}

/** Bytes stay bytes: a value may be anything. */
function shownValue({ Value }: DirEntry, base64: boolean): Buffer {
  const bytes = Value ?? NO_BYTES
  return base64 ? Buffer.from(bytes.toString('base64')) : bytes
}

function detailed(entry: DirEntry, value: Buffer): Buffer {
  const rows = [
    ['CreateIndex', String(entry.CreateIndex)],
    ['Flags', String(entry.Flags)],
    ['Key', entry.Key],
    ['LockIndex', String(entry.LockIndex)],
    ['ModifyIndex', String(entry.ModifyIndex)],
    ['Session', entry.Session === '' ? '-' : entry.Session],
    ['Value', ''],
  ]
  return Buffer.concat([Buffer.from(columns(rows, DETAIL_GUTTER)), value, NEWLINE])
}

function lineOf(entry: DirEntry, context: CommandContext, prefix: string): Buffer {
  const value = shownValue(entry, context.flags.bool('base64'))
  if (context.flags.bool('detailed')) return detailed(entry, value)
  return Buffer.concat([Buffer.from(prefix), value, NEWLINE])
}

async function printTree(agent: AgentApi, key: string, query: Query, context: CommandContext): Promise<number> {
  const entries = await findEntries(agent, key, query)
  for (const [index, entry] of entries.entries()) {
    if (index > 0 && context.flags.bool('detailed')) context.print('')
    context.stdout.write(lineOf(entry, context, `${entry.Key}:`))
  }
  return 0
}

async function printOne(agent: AgentApi, key: string, query: Query, context: CommandContext): Promise<number> {
  if (key === '') {
    context.warn('Error! Missing KEY argument')
    return 1
  }
  const [entry] = await findEntries(agent, key, query)
  if (entry === undefined) {
    context.warn(`Error! No key exists at: ${key}`)
    return 1
  }
  context.stdout.write(lineOf(entry, context, ''))
  return 0
}

export const command: Command = {
  name: 'kv get',
  summary: 'Reads entries of the key/value store',
  usage: '[KEY or PREFIX]',
  help: 'Prints the value of a key; with -recurse all entries whose keys begin with a prefix, with -keys only their keys.',
  args: [0, 1],
  flags: {
    ...API_FLAGS,
    base64: { kind: 'bool', help: 'Print values in base64' },
    consistent: { kind: 'bool', help: 'Only the leader may answer' },
    detailed: { kind: 'bool', help: 'Show indexes, flags and session too' },
    keys: { kind: 'bool', help: 'Only the keys that begin with the prefix' },
    recurse: { kind: 'bool', help: 'All entries whose keys begin with the prefix' },
    separator: { kind: 'string', value: 'text', help: 'With -keys: end keys behind its first occurrence, default "/"' },
  },
  run(context) {
    const { flags, args } = context
    const key = keyOf(args[0] ?? '')
    const consistent = flags.bool('consistent')
    return withAgent(context, async (agent) => {
      if (flags.bool('keys')) {
        const query = { keys: true, separator: flags.string('separator') ?? '/', consistent }
        return printKeys(agent, key, query, context)
      }
      if (flags.bool('recurse')) return printTree(agent, key, { recurse: true, consistent }, context)
      return printOne(agent, key, { consistent }, context)
    })
  },
}
