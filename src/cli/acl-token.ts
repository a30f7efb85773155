/**
 * `hanse acl token …` and `hanse acl bootstrap`: creates, changes, copies, shows and removes tokens.
 */
import { ACLToken, ACLTokenExpanded, ACLTokenListStub, list } from '#codec'
import { expandedLines, FORMAT_FLAGS, show, tokenLines } from './acl-answers.ts'
import { joined, LINK_FLAGS, linksOf, ROLE_LINK_FLAGS, replaced, rolesOf } from './acl-links.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'

const stubs = list(ACLTokenListStub)
const DESCRIPTION: FlagSpecs = { description: { kind: 'string', value: 'text', help: 'Description' } }
const ACCESSOR: FlagSpecs = {
  'accessor-id': { kind: 'string', value: 'id', help: 'AccessorID of the token' },
  id: { kind: 'string', value: 'id', help: 'The same (older name)' },
}
const LINKS: FlagSpecs = { ...LINK_FLAGS, ...ROLE_LINK_FLAGS }
/** The same flags with words before their names. */
const prefixed = (prefix: string, specs: FlagSpecs): FlagSpecs =>
  Object.fromEntries(Object.entries(specs).map(([name, spec]) => [`${prefix}${name}`, spec]))

function accessorOf(flags: Flags): string {
  const accessor = flags.string('accessor-id') ?? flags.string('id')
  if (accessor === undefined) throw cliError('ARGUMENTS', { message: 'Must specify the -accessor-id parameter' })
  return accessor
}

const pathOf = (accessor: string) => `/v1/acl/token/${encodeURIComponent(accessor)}`

async function send(agent: AgentApi, doing: string, path: string, body: object): Promise<ACLToken> {
  const answer = await agent.send(doing, 'PUT', path, { body })
  return ACLToken.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
}

const shown = (context: CommandContext, token: ACLToken) =>
  show(context, ACLToken.toJson(token), () => tokenLines(token, context.flags))

export const bootstrap: Command = {
  name: 'acl bootstrap',
  summary: 'Makes the first token, once',
  usage: '[FILE]',
  help: 'FILE, or - for standard input, may hold the secret that the token is to have.',
  args: [0, 1],
  flags: { ...API_FLAGS, ...FORMAT_FLAGS },
  async run(context) {
    const [file] = context.args
    const given =
      file === undefined ? '' : (await readInput(file === '-' ? file : `@${file}`, context)).toString('utf8')
    const body = given.trim() === '' ? {} : { body: { BootstrapSecret: given.trim() } }
    return withAgent(context, async (agent) => {
      const answer = await agent.send('Failed ACL bootstrapping', 'PUT', '/v1/acl/bootstrap', body)
      return shown(context, ACLToken.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' }))
    })
  },
}

export const create: Command = {
  name: 'acl token create',
  summary: 'Creates a token',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...LINKS,
    ...DESCRIPTION,
    accessor: { kind: 'string', value: 'id', help: 'AccessorID that it is to have' },
    secret: { kind: 'string', value: 'id', help: 'SecretID that it is to have' },
    local: { kind: 'bool', help: 'Good in this datacenter only' },
    'expires-ttl': { kind: 'string', value: 'duration', help: 'How long it is good' },
  },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags } = context
      const token = ACLToken.of({
        ...linksOf(flags),
        Roles: rolesOf(flags),
        AccessorID: flags.string('accessor') ?? '',
        SecretID: flags.string('secret') ?? '',
        Description: flags.string('description') ?? '',
        Local: flags.bool('local'),
      })
      const ttl = flags.string('expires-ttl')
      const body = { ...Object(bodyOf(token)), ...(ttl === undefined ? {} : { ExpirationTTL: ttl }) }
      return shown(context, await send(agent, 'Failed to create new token', '/v1/acl/token', body))
    }),
}

/** Without what the server decides. */
function bodyOf(token: ACLToken): object {
  const {
    CreateTime: _time,
    Hash: _hash,
    CreateIndex: _created,
    ModifyIndex: _modified,
    ...body
  } = Object(ACLToken.toJson(token))
  return body
}

export const update: Command = {
  name: 'acl token update',
  summary: 'Changes a token',
  help: 'Links that are given replace those of their kind; with -append-… they are added.',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...ACCESSOR,
    ...LINKS,
    ...prefixed('append-', LINKS),
    ...DESCRIPTION,
  },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags } = context
      const accessor = accessorOf(flags)
      const before = await agent.get(`Error reading token "${accessor}"`, ACLToken, pathOf(accessor))
      const roles = rolesOf(flags) ?? []
      const token = {
        ...before,
        ...joined(replaced(before, linksOf(flags)), linksOf(flags, 'append-')),
        Roles: [...(roles.length === 0 ? (before.Roles ?? []) : roles), ...(rolesOf(flags, 'append-') ?? [])],
        Description: flags.string('description') ?? before.Description,
      }
      return shown(context, await send(agent, `Failed to update token ${accessor}`, pathOf(accessor), bodyOf(token)))
    }),
}

export const clone: Command = {
  name: 'acl token clone',
  summary: 'Creates a token with the rights of another one',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...ACCESSOR, ...DESCRIPTION },
  run: (context) =>
    withAgent(context, async (agent) => {
      const accessor = accessorOf(context.flags)
      const body = { Description: context.flags.string('description') ?? '' }
      return shown(context, await send(agent, 'Error cloning token', `${pathOf(accessor)}/clone`, body))
    }),
}

export const read: Command = {
  name: 'acl token read',
  summary: 'Shows a token',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...ACCESSOR,
    self: { kind: 'bool', help: 'The token that the command is run with' },
    expanded: { kind: 'bool', help: 'Show every policy that it comes to' },
  },
  run(context) {
    const { flags } = context
    if (flags.bool('self') && flags.bool('expanded')) {
      const message = 'Cannot use both -expanded and -self. Instead, use -expanded and -accessor-id=<accessor id>.'
      throw cliError('ARGUMENTS', { message })
    }
    return withAgent(context, async (agent) => {
      if (flags.bool('self')) {
        return shown(context, await agent.get('Error reading token', ACLToken, '/v1/acl/token/self'))
      }
      const accessor = accessorOf(flags)
      const doing = `Error reading token "${accessor}"`
      if (!flags.bool('expanded')) return shown(context, await agent.get(doing, ACLToken, pathOf(accessor)))
      const token = await agent.get(doing, ACLTokenExpanded, pathOf(accessor), { expanded: true })
      return show(context, ACLTokenExpanded.toJson(token), () => expandedLines(token, flags))
    })
  },
}

export const listAll: Command = {
  name: 'acl token list',
  summary: 'Lists the tokens',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS },
  run: (context) =>
    withAgent(context, async (agent) => {
      const tokens = (await agent.get('Failed to retrieve the token list', stubs, '/v1/acl/tokens')) ?? []
      return show(context, stubs.toJson(tokens), () => tokens.flatMap((token) => tokenLines(token, context.flags)))
    }),
}

export const remove: Command = {
  name: 'acl token delete',
  summary: 'Removes a token',
  flags: { ...API_FLAGS, ...ACCESSOR },
  run: (context) =>
    withAgent(context, async (agent) => {
      const accessor = accessorOf(context.flags)
      await agent.send(`Error deleting token "${accessor}"`, 'DELETE', pathOf(accessor))
      context.print(`Token "${accessor}" deleted successfully`)
      return 0
    }),
}
