/**
 * `hanse kv import`: writes the entries of an export into the key/value store.
 */

import { messageOf } from '#base'
import { bytes, list, parseGoJson, string, struct, uint64 } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'
import { keyOf, kvPath } from './kv-entries.ts'

const Exported = struct('entry', { key: string, flags: uint64, value: bytes })
const Entries = list(Exported)

/** @throws REQUEST_FAILED when the text is not what `kv export` writes */
function parse(text: string): readonly ReturnType<typeof Exported.of>[] {
  try {
    return Entries.fromJson(parseGoJson(text), '', { unknownKeys: 'skip' }) ?? []
  } catch (error) {
    const hint = 'a list as `hanse kv export` writes it: [{"key": …, "flags": 0, "value": base64}]'
    throw cliError('REQUEST_FAILED', { doing: 'Cannot unmarshal data', reason: messageOf(error), hint }, error)
  }
}

function below(prefix: string, key: string): string {
  const path = keyOf(key)
  return prefix === '' || prefix.endsWith('/') ? `${prefix}${path}` : `${prefix}/${path}`
}

export const command: Command = {
  name: 'kv import',
  summary: 'Reads entries from JSON into the key/value store',
  usage: 'DATA',
  help: 'Writes the entries of an export. DATA is the JSON itself, @FILE for that of a file, or - for standard input.',
  args: [1, 1],
  flags: {
    ...API_FLAGS,
    prefix: { kind: 'string', value: 'prefix', help: 'Put the keys below this one' },
  },
  async run(context) {
    const { flags, args, print } = context
    const entries = parse((await readInput(args[0] ?? '', context)).toString('utf8'))
    const prefix = keyOf(flags.string('prefix') ?? '')
    return withAgent(context, async (agent) => {
      for (const { key: exported, flags: bits, value } of entries) {
        const key = below(prefix, exported)
        await agent.send(`Error! Failed writing data for key ${key}`, 'PUT', kvPath(key), {
          query: { flags: String(bits) },
          body: value ?? Buffer.alloc(0),
        })
        print(`Imported: ${key}`)
      }
      return 0
    })
  },
}
