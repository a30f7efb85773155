/**
 * `hanse acl auth-method …`: creates, changes, shows and removes auth methods.
 */
import { ACLAuthMethod, ACLAuthMethodListStub, list } from '#codec'
import { authMethodLines, authMethodListLines, FORMAT_FLAGS, show } from './acl-answers.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'

const stubs = list(ACLAuthMethodListStub)
const NAME: FlagSpecs = { name: { kind: 'string', value: 'name', help: 'Name of the auth method (required)' } }
const WRITTEN: FlagSpecs = {
  description: { kind: 'string', value: 'text', help: 'Description' },
  'display-name': { kind: 'string', value: 'text', help: 'Name for user interfaces' },
  'max-token-ttl': { kind: 'string', value: 'duration', help: 'How long its tokens are good' },
  'token-locality': { kind: 'string', value: 'local|global', help: 'Where its tokens are good' },
  config: { kind: 'string', value: 'json', help: 'Configuration of the type as JSON; @file, or - for standard input' },
  'kubernetes-host': { kind: 'string', value: 'url', help: 'Address of the Kubernetes API' },
  'kubernetes-ca-cert': { kind: 'string', value: 'pem', help: 'CA certificate of the Kubernetes API; @file' },
  'kubernetes-service-account-jwt': { kind: 'string', value: 'jwt', help: 'JWT that may make TokenReviews; @file' },
}

function nameOf(flags: Flags): string {
  const name = flags.string('name')
  if (name === undefined) throw cliError('ARGUMENTS', { message: "Missing required '-name' flag" })
  return name
}

const pathOf = (name: string) => `/v1/acl/auth-method/${encodeURIComponent(name)}`

async function send(agent: AgentApi, doing: string, path: string, body: object): Promise<ACLAuthMethod> {
  const answer = await agent.send(doing, 'PUT', path, { body })
  return ACLAuthMethod.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
}

const shown = (context: CommandContext, method: ACLAuthMethod) =>
  show(context, ACLAuthMethod.toJson(method), () => authMethodLines(method, context.flags))

/** What the flags say, beside the name. @throws ARGUMENTS for a configuration that is no JSON */
async function written(context: CommandContext): Promise<object> {
  const { flags } = context
  const text = (flag: string, field: string) => {
    const value = flags.string(flag)
    return value === undefined ? {} : { [field]: value }
  }
  const config = flags.string('config')
  const kubernetes = {
    ...text('kubernetes-host', 'Host'),
    ...(await fromFile(context, 'kubernetes-ca-cert', 'CACert')),
    ...(await fromFile(context, 'kubernetes-service-account-jwt', 'ServiceAccountJWT')),
  }
  return {
    ...text('description', 'Description'),
    ...text('display-name', 'DisplayName'),
    ...text('max-token-ttl', 'MaxTokenTTL'),
    ...text('token-locality', 'TokenLocality'),
    ...(config === undefined ? {} : { Config: parsed((await readInput(config, context)).toString('utf8')) }),
    ...(Object.keys(kubernetes).length === 0 ? {} : { Config: kubernetes }),
  }
}

async function fromFile(context: CommandContext, flag: string, field: string): Promise<object> {
  const value = context.flags.string(flag)
  return value === undefined ? {} : { [field]: (await readInput(value, context)).toString('utf8') }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw cliError('ARGUMENTS', { message: 'Error parsing JSON for auth method config: it is no JSON' }, error)
  }
}

export const create: Command = {
  name: 'acl auth-method create',
  summary: 'Creates an auth method',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...NAME,
    ...WRITTEN,
    type: { kind: 'string', value: 'type', help: 'kubernetes or jwt (required)' },
  },
  async run(context) {
    const { flags } = context
    const Type = flags.string('type')
    if (Type === undefined) throw cliError('ARGUMENTS', { message: "Missing required '-type' flag" })
    const body = { Name: nameOf(flags), Type, ...(await written(context)) }
    return withAgent(context, async (agent) =>
      shown(context, await send(agent, 'Failed to create new auth method', '/v1/acl/auth-method', body)),
    )
  },
}

export const update: Command = {
  name: 'acl auth-method update',
  summary: 'Changes an auth method',
  help: 'What is not given stays as it is, unless -no-merge is given.',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...NAME,
    ...WRITTEN,
    'no-merge': { kind: 'bool', help: 'What is not given is taken away' },
  },
  async run(context) {
    const { flags } = context
    const name = nameOf(flags)
    const given = await written(context)
    return withAgent(context, async (agent) => {
      const before = await agent.get(`Error reading auth method "${name}"`, ACLAuthMethod, pathOf(name))
      const { CreateIndex: _created, ModifyIndex: _modified, ...rest } = Object(ACLAuthMethod.toJson(before))
      const kept = flags.bool('no-merge') ? { Name: name, Type: before.Type } : rest
      const doing = `Error updating auth method "${name}"`
      return shown(context, await send(agent, doing, pathOf(name), { ...kept, ...given }))
    })
  },
}

export const read: Command = {
  name: 'acl auth-method read',
  summary: 'Shows an auth method',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...NAME },
  run: (context) =>
    withAgent(context, async (agent) => {
      const name = nameOf(context.flags)
      return shown(context, await agent.get(`Error reading auth method "${name}"`, ACLAuthMethod, pathOf(name)))
    }),
}

export const listAll: Command = {
  name: 'acl auth-method list',
  summary: 'Lists the auth methods',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS },
  run: (context) =>
    withAgent(context, async (agent) => {
      const methods = (await agent.get('Failed to retrieve the auth method list', stubs, '/v1/acl/auth-methods')) ?? []
      return show(context, stubs.toJson(methods), () => authMethodListLines(methods, context.flags))
    }),
}

export const remove: Command = {
  name: 'acl auth-method delete',
  summary: 'Removes an auth method, its binding rules and its tokens',
  flags: { ...API_FLAGS, ...NAME },
  run: (context) =>
    withAgent(context, async (agent) => {
      const name = nameOf(context.flags)
      await agent.send(`Error deleting auth method "${name}"`, 'DELETE', pathOf(name))
      context.print(`Auth method "${name}" deleted successfully`)
      return 0
    }),
}
