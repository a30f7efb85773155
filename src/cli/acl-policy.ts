/**
 * `hanse acl policy …`: creates, changes, shows and removes policies.
 */
import { ACLPolicy, ACLPolicyListStub, list } from '#codec'
import { FORMAT_FLAGS, policyLines, policyListLines, show } from './acl-answers.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, FlagSpecs } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'

const stubs = list(ACLPolicyListStub)
const WHICH: FlagSpecs = {
  id: { kind: 'string', value: 'id', help: 'ID of the policy' },
  name: { kind: 'string', value: 'name', help: 'Name of the policy' },
}
const WRITTEN: FlagSpecs = {
  description: { kind: 'string', value: 'text', help: 'Description' },
  rules: { kind: 'string', value: 'rules', help: 'Rules (HCL or JSON); @file, or - for standard input' },
  'valid-datacenter': {
    kind: 'list',
    value: 'dc',
    help: 'Datacenter where it is in force; may be given several times',
  },
}

async function rulesOf(context: CommandContext): Promise<string> {
  return (await readInput(context.flags.string('rules') ?? '', context)).toString('utf8')
}

/** The policy that -id or -name names. @throws ARGUMENTS, REQUEST_FAILED */
async function find(agent: AgentApi, { flags }: CommandContext, doing: string): Promise<ACLPolicy> {
  const id = flags.string('id')
  const name = flags.string('name')
  if (id !== undefined) return agent.get(`${doing} "${id}"`, ACLPolicy, `/v1/acl/policy/${encodeURIComponent(id)}`)
  if (name === undefined) throw cliError('ARGUMENTS', { message: 'Must specify either the -id or -name parameters' })
  return agent.get(`${doing} "${name}"`, ACLPolicy, `/v1/acl/policy/name/${encodeURIComponent(name)}`)
}

async function send(agent: AgentApi, doing: string, path: string, policy: ACLPolicy): Promise<ACLPolicy> {
  const { ID, Name, Description, Rules, Datacenters } = policy
  const body = { ...(ID === '' ? {} : { ID }), Name, Description, Rules, ...(Datacenters ? { Datacenters } : {}) }
  const answer = await agent.send(doing, 'PUT', path, { body })
  return ACLPolicy.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
}

const shown = (context: CommandContext, policy: ACLPolicy) =>
  show(context, ACLPolicy.toJson(policy), () => policyLines(policy, context.flags))

export const create: Command = {
  name: 'acl policy create',
  summary: 'Creates a policy',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...WRITTEN,
    name: { kind: 'string', value: 'name', help: 'Name (required)' },
  },
  async run(context) {
    const { flags } = context
    const Name = flags.string('name')
    if (Name === undefined) throw cliError('ARGUMENTS', { message: "Missing require '-name' flag" })
    const datacenters = flags.list('valid-datacenter')
    const policy = ACLPolicy.of({
      Name,
      Description: flags.string('description') ?? '',
      Rules: await rulesOf(context),
      Datacenters: datacenters.length === 0 ? null : datacenters,
    })
    return withAgent(context, async (agent) =>
      shown(context, await send(agent, 'Failed to create new policy', '/v1/acl/policy', policy)),
    )
  },
}

export const update: Command = {
  name: 'acl policy update',
  summary: 'Changes a policy',
  help: 'What is not given stays as it is, unless -no-merge is given.',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...WRITTEN,
    ...WHICH,
    'no-merge': { kind: 'bool', help: 'What is not given is taken away' },
  },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags } = context
      const before = await find(agent, context, 'Error reading policy')
      const base = flags.bool('no-merge') ? ACLPolicy.of({ ID: before.ID, Name: before.Name }) : before
      const datacenters = flags.list('valid-datacenter')
      const policy = {
        ...base,
        Name: flags.has('id') ? (flags.string('name') ?? base.Name) : base.Name,
        Description: flags.string('description') ?? base.Description,
        Rules: flags.has('rules') ? await rulesOf(context) : base.Rules,
        Datacenters: datacenters.length === 0 ? base.Datacenters : datacenters,
      }
      const written = await send(agent, `Error updating policy "${before.ID}"`, `/v1/acl/policy/${before.ID}`, policy)
      return shown(context, written)
    }),
}

export const read: Command = {
  name: 'acl policy read',
  summary: 'Shows a policy',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...WHICH },
  run: (context) =>
    withAgent(context, async (agent) => shown(context, await find(agent, context, 'Error reading policy'))),
}

export const listAll: Command = {
  name: 'acl policy list',
  summary: 'Lists the policies',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS },
  run: (context) =>
    withAgent(context, async (agent) => {
      const policies = (await agent.get('Failed to retrieve the policy list', stubs, '/v1/acl/policies')) ?? []
      return show(context, stubs.toJson(policies), () => policyListLines(policies, context.flags))
    }),
}

export const remove: Command = {
  name: 'acl policy delete',
  summary: 'Removes a policy',
  flags: { ...API_FLAGS, ...WHICH },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags, print } = context
      const id = flags.string('id') ?? (await find(agent, context, 'Error reading policy')).ID
      await agent.send(`Error deleting policy "${id}"`, 'DELETE', `/v1/acl/policy/${encodeURIComponent(id)}`)
      print(`Policy "${id}" deleted successfully`)
      return 0
    }),
}
