/**
 * `hanse login`: exchanges what an identity provider gave for a token, which is written to a file.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { messageOf } from '#base'
import { ACLToken } from '#codec'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'

const SECRET_FILE_MODE = 0o600

function required(flags: Flags, name: string): string {
  const value = flags.string(name)
  if (value === undefined) throw cliError('ARGUMENTS', { message: `Missing required '-${name}' flag` })
  return value
}

/** Whole or not at all. @throws FILE_UNWRITABLE */
function writeSecret(path: string, secret: string): void {
  try {
    writeFileSync(`${path}.new`, secret, { mode: SECRET_FILE_MODE })
    renameSync(`${path}.new`, path)
  } catch (error) {
    throw cliError('FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
}

export const command: Command = {
  name: 'login',
  summary: 'Gets a token for what an identity provider says',
  flags: {
    ...API_FLAGS,
    method: { kind: 'string', value: 'name', help: 'Auth method (required)' },
    'bearer-token-file': { kind: 'string', value: 'file', help: 'What the identity provider gave (required)' },
    'token-sink-file': { kind: 'string', value: 'file', help: 'Where the token is written, mode 0600 (required)' },
    meta: {
      kind: 'list',
      value: 'key=value',
      help: 'Shown in the description of the token; may be given several times',
    },
  },
  async run(context) {
    const { flags } = context
    const AuthMethod = required(flags, 'method')
    const sink = required(flags, 'token-sink-file')
    const bearer = await readInput(`@${required(flags, 'bearer-token-file')}`, context)
    const Meta = Object.fromEntries(flags.pairs('meta'))
    const body = { AuthMethod, BearerToken: bearer.toString('utf8').trim(), Meta }
    return withAgent(context, async (agent) => {
      const answer = await agent.send('Error logging in', 'POST', '/v1/acl/login', { body })
      const token = ACLToken.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
      writeSecret(sink, token.SecretID)
      return 0
    })
  },
}
