/**
 * `hanse acl role …`: creates, changes, shows and removes roles.
 */
import { ACLRole, list } from '#codec'
import { FORMAT_FLAGS, roleLines, roleListLines, show } from './acl-answers.ts'
import { joined, LINK_FLAGS, linksOf } from './acl-links.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, FlagSpecs } from './command.ts'
import { cliError } from './errors.ts'

const roles = list(ACLRole)
const WHICH: FlagSpecs = {
  id: { kind: 'string', value: 'id', help: 'ID of the role' },
  name: { kind: 'string', value: 'name', help: 'Name of the role' },
}
const DESCRIPTION: FlagSpecs = { description: { kind: 'string', value: 'text', help: 'Description' } }

/** The role that -id or -name names. @throws ARGUMENTS, REQUEST_FAILED */
async function find(agent: AgentApi, { flags }: CommandContext, doing: string): Promise<ACLRole> {
  const id = flags.string('id')
  const name = flags.string('name')
  if (id !== undefined) return agent.get(`${doing} "${id}"`, ACLRole, `/v1/acl/role/${encodeURIComponent(id)}`)
  if (name === undefined) throw cliError('ARGUMENTS', { message: 'Must specify either the -id or -name parameters' })
  return agent.get(`${doing} "${name}"`, ACLRole, `/v1/acl/role/name/${encodeURIComponent(name)}`)
}

async function send(agent: AgentApi, doing: string, path: string, role: ACLRole): Promise<ACLRole> {
  const { Hash: _hash, CreateIndex: _created, ModifyIndex: _modified, ID, ...rest } = role
  const body = ACLRole.toJson(ACLRole.of({ ...rest, ID }))
  const answer = await agent.send(doing, 'PUT', path, { body: Object(body) })
  return ACLRole.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
}

const shown = (context: CommandContext, role: ACLRole) =>
  show(context, ACLRole.toJson(role), () => roleLines(role, context.flags))

export const create: Command = {
  name: 'acl role create',
  summary: 'Creates a role',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...LINK_FLAGS,
    ...DESCRIPTION,
    name: { kind: 'string', value: 'name', help: 'Name (required)' },
  },
  run(context) {
    const { flags } = context
    const Name = flags.string('name')
    if (Name === undefined) throw cliError('ARGUMENTS', { message: "Missing require '-name' flag" })
    const role = ACLRole.of({ ...linksOf(flags), Name, Description: flags.string('description') ?? '' })
    return withAgent(context, async (agent) =>
      shown(context, await send(agent, 'Failed to create new role', '/v1/acl/role', role)),
    )
  },
}

export const update: Command = {
  name: 'acl role update',
  summary: 'Changes a role',
  help: 'Links that are given are added to those that are there; with -no-merge they replace them.',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...LINK_FLAGS,
    ...DESCRIPTION,
    ...WHICH,
    'no-merge': { kind: 'bool', help: 'What is not given is taken away' },
  },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags } = context
      const before = await find(agent, context, 'Error reading role')
      const Name = flags.has('id') ? (flags.string('name') ?? before.Name) : before.Name
      const more = linksOf(flags)
      const links = flags.bool('no-merge') ? more : joined(before, more)
      const Description = flags.string('description') ?? (flags.bool('no-merge') ? '' : before.Description)
      const role = ACLRole.of({ ID: before.ID, ...links, Name, Description })
      return shown(context, await send(agent, `Error updating role "${before.ID}"`, `/v1/acl/role/${before.ID}`, role))
    }),
}

export const read: Command = {
  name: 'acl role read',
  summary: 'Shows a role',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...WHICH },
  run: (context) =>
    withAgent(context, async (agent) => shown(context, await find(agent, context, 'Error reading role'))),
}

export const listAll: Command = {
  name: 'acl role list',
  summary: 'Lists the roles',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS },
  run: (context) =>
    withAgent(context, async (agent) => {
      const found = (await agent.get('Failed to retrieve the role list', roles, '/v1/acl/roles')) ?? []
      return show(context, roles.toJson(found), () => roleListLines(found, context.flags))
    }),
}

export const remove: Command = {
  name: 'acl role delete',
  summary: 'Removes a role',
  flags: { ...API_FLAGS, ...WHICH },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags, print } = context
      const id = flags.string('id') ?? (await find(agent, context, 'Error reading role')).ID
      await agent.send(`Error deleting role "${id}"`, 'DELETE', `/v1/acl/role/${encodeURIComponent(id)}`)
      print(`Role "${id}" deleted successfully`)
      return 0
    }),
}
