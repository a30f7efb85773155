/**
 * `hanse services register`: registers services with the agent, from files or from flags.
 */
import { parseHostPort } from '#base'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, Flags } from './command.ts'
import { cliError } from './errors.ts'

type Definition = Readonly<Record<string, unknown>>

/** @throws FLAG_VALUE */
function taggedAddresses(flags: Flags): Definition {
  const entries = flags.pairs('tagged-address').map(([tag, value]) => {
    const parsed = parseHostPort(value, 0)
    if (!parsed) throw cliError('FLAG_VALUE', { flag: 'tagged-address', value, wanted: 'tag=address:port' })
    return [tag, { Address: parsed.host, Port: parsed.port }] as const
  })
  return Object.fromEntries(entries)
}

/** @throws FLAG_VALUE, ARGUMENTS without a name */
function fromFlags(flags: Flags): Definition {
  const name = flags.string('name') ?? ''
  if (name === '') {
    throw cliError('ARGUMENTS', { message: 'Register a service: it has no name: -name=<name>, or a FILE' })
  }
  const port = flags.number('port')
  if (port !== undefined && (port < 0 || port > 65535)) {
    throw cliError('FLAG_VALUE', { flag: 'port', value: String(port), wanted: '0 to 65535' })
  }
  const definition: Definition = {
    Kind: flags.string('kind'),
    ID: flags.string('id'),
    Name: name,
    Tags: flags.has('tag') ? flags.list('tag') : undefined,
    Address: flags.string('address'),
    Port: port,
    SocketPath: flags.string('socket'),
    Meta: flags.has('meta') ? Object.fromEntries(flags.pairs('meta')) : undefined,
    TaggedAddresses: flags.has('tagged-address') ? taggedAddresses(flags) : undefined,
  }
  return definition
}

async function register(agent: AgentApi, definition: Definition, print: (line: string) => void): Promise<void> {
  const name = String(definition.Name)
  const query = { 'replace-existing-checks': true }
  await agent.send(`Error registering service "${name}"`, 'PUT', '/v1/agent/service/register', {
    query,
    body: definition,
  })
  print(`Registered service: ${name}`)
}

const OWN_FLAGS = ['name', 'id', 'port', 'address', 'tag', 'meta', 'kind', 'socket', 'tagged-address']

export const command: Command = {
  name: 'services register',
  summary: 'Registers services with the agent',
  usage: '[FILE...]',
  help: `Registers services with the agent: those of files (HCL or JSON, \`service { … }\` or \`services = [ … ]\`), or the one
that the flags describe. A service that the agent has under the same ID is replaced.`,
  args: [0, Number.POSITIVE_INFINITY],
  flags: {
    ...API_FLAGS,
    name: { kind: 'string', value: 'name', help: 'Name of the service' },
    id: { kind: 'string', value: 'id', help: 'ID of this instance, default the name' },
    port: { kind: 'number', value: 'port', help: 'Port of the service' },
    address: { kind: 'string', value: 'address', help: 'Address of the service, default that of the node' },
    tag: { kind: 'list', value: 'tag', help: 'A tag; may be given several times' },
    meta: { kind: 'list', value: 'key=value', help: 'Metadata; may be given several times' },
    kind: { kind: 'string', value: 'kind', help: 'connect-proxy, mesh-gateway, …; empty: an ordinary service' },
    socket: { kind: 'string', value: 'path', help: 'Unix socket of the service, instead of address and port' },
    'tagged-address': {
      kind: 'list',
      value: 'tag=address:port',
      help: 'Address for a purpose: lan, wan; may be given several times',
    },
  },
  async run(context) {
    const { flags, args, print, warn } = context
    let definitions: readonly Definition[]
    if (args.length > 0) {
      if (OWN_FLAGS.some((name) => flags.has(name))) {
        throw cliError('ARGUMENTS', { message: 'Register services: either files or flags: both are given' })
      }
      // The reader of an agent's own files, loaded where it is needed: there must not be two.
      const { readServiceFiles } = await import('#agent')
      const { services, warnings } = readServiceFiles(args)
      for (const warning of warnings) warn(warning)
      definitions = services
    } else definitions = [fromFlags(flags)]
    return withAgent(context, async (agent) => {
      for (const definition of definitions) await register(agent, definition, print)
      return 0
    })
  },
}
