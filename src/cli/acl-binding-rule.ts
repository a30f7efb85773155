/**
 * `hanse acl binding-rule …`: creates, changes, shows and removes binding rules.
 */
import { ACLBindingRule, list } from '#codec'
import { bindingRuleLines, bindingRuleListLines, FORMAT_FLAGS, show } from './acl-answers.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'

const rules = list(ACLBindingRule)
const ID: FlagSpecs = { id: { kind: 'string', value: 'id', help: 'ID of the binding rule (required)' } }
const WRITTEN: FlagSpecs = {
  description: { kind: 'string', value: 'text', help: 'Description' },
  selector: { kind: 'string', value: 'expression', help: 'Which logins it is for; all when empty' },
  'bind-type': { kind: 'string', value: 'type', help: 'service, node, role, policy or templated-policy' },
  'bind-name': {
    kind: 'string',
    value: 'name',
    help: 'Name that tokens are bound to; may hold variables of the login',
  },
  'bind-vars': { kind: 'list', value: 'name=value', help: 'Variable of a templated policy' },
}

function idOf(flags: Flags): string {
  const id = flags.string('id')
  if (id === undefined) throw cliError('ARGUMENTS', { message: 'Must specify the -id parameter' })
  return id
}

const pathOf = (id: string) => `/v1/acl/binding-rule/${encodeURIComponent(id)}`

function written(flags: Flags, before: ACLBindingRule): ACLBindingRule {
  const vars = new Map(flags.pairs('bind-vars').map(([name, value]) => [name.toLowerCase(), value]))
  const name = vars.get('name')
  return {
    ...before,
    Description: flags.string('description') ?? before.Description,
    Selector: flags.string('selector') ?? before.Selector,
    BindType: flags.string('bind-type') ?? before.BindType,
    BindName: flags.string('bind-name') ?? before.BindName,
    BindVars: name === undefined ? before.BindVars : { Name: name },
  }
}

async function send(agent: AgentApi, doing: string, path: string, rule: ACLBindingRule): Promise<ACLBindingRule> {
  const { CreateIndex: _created, ModifyIndex: _modified, ...body } = Object(ACLBindingRule.toJson(rule))
  const answer = await agent.send(doing, 'PUT', path, { body })
  return ACLBindingRule.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
}

const shown = (context: CommandContext, rule: ACLBindingRule) =>
  show(context, ACLBindingRule.toJson(rule), () => bindingRuleLines(rule, context.flags))

export const create: Command = {
  name: 'acl binding-rule create',
  summary: 'Creates a binding rule',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...WRITTEN,
    method: { kind: 'string', value: 'name', help: 'Auth method that it belongs to (required)' },
  },
  run(context) {
    const { flags } = context
    const AuthMethod = flags.string('method')
    if (AuthMethod === undefined) throw cliError('ARGUMENTS', { message: "Missing required '-method' flag" })
    const rule = written(flags, ACLBindingRule.of({ AuthMethod, BindType: 'service' }))
    return withAgent(context, async (agent) =>
      shown(context, await send(agent, 'Failed to create new binding rule', '/v1/acl/binding-rule', rule)),
    )
  },
}

export const update: Command = {
  name: 'acl binding-rule update',
  summary: 'Changes a binding rule',
  help: 'What is not given stays as it is, unless -no-merge is given.',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    ...ID,
    ...WRITTEN,
    'no-merge': { kind: 'bool', help: 'What is not given is taken away' },
  },
  run: (context) =>
    withAgent(context, async (agent) => {
      const { flags } = context
      const id = idOf(flags)
      const before = await agent.get(`Error reading binding rule "${id}"`, ACLBindingRule, pathOf(id))
      const { ID: known, AuthMethod } = before
      const base = flags.bool('no-merge') ? ACLBindingRule.of({ ID: known, AuthMethod }) : before
      return shown(context, await send(agent, `Error updating binding rule "${id}"`, pathOf(id), written(flags, base)))
    }),
}

export const read: Command = {
  name: 'acl binding-rule read',
  summary: 'Shows a binding rule',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...ID },
  run: (context) =>
    withAgent(context, async (agent) => {
      const id = idOf(context.flags)
      return shown(context, await agent.get(`Error reading binding rule "${id}"`, ACLBindingRule, pathOf(id)))
    }),
}

export const listAll: Command = {
  name: 'acl binding-rule list',
  summary: 'Lists the binding rules',
  flags: {
    ...API_FLAGS,
    ...FORMAT_FLAGS,
    method: { kind: 'string', value: 'name', help: 'Those of one auth method' },
  },
  run: (context) =>
    withAgent(context, async (agent) => {
      const method = context.flags.string('method')
      const query = method === undefined ? {} : { authmethod: method }
      const doing = 'Failed to retrieve the binding rule list'
      const found = (await agent.get(doing, rules, '/v1/acl/binding-rules', query)) ?? []
      return show(context, rules.toJson(found), () => bindingRuleListLines(found, context.flags))
    }),
}

export const remove: Command = {
  name: 'acl binding-rule delete',
  summary: 'Removes a binding rule',
  flags: { ...API_FLAGS, ...ID },
  run: (context) =>
    withAgent(context, async (agent) => {
      const id = idOf(context.flags)
      await agent.send(`Error deleting binding rule "${id}"`, 'DELETE', pathOf(id))
      context.print(`Binding rule "${id}" deleted successfully`)
      return 0
    }),
}
