/**
 * `hanse acl templated-policy …`: the builtin templates, and what they make of a name.
 */
import { ACLPolicy, jsonName, map, string, struct } from '#codec'
import { FORMAT_FLAGS, policyLines, show } from './acl-answers.ts'
import { variablesOf } from './acl-links.ts'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'

const Template = struct('TemplatedPolicy', {
  TemplateName: jsonName('TemplateName', string),
  Schema: string,
  Template: string,
  Description: string,
})
const templates = map(Template)
const NAME: FlagSpecs = { name: { kind: 'string', value: 'name', help: 'Name of the template (required)' } }

function nameOf(flags: Flags): string {
  const name = flags.string('name')
  if (name === undefined) throw cliError('ARGUMENTS', { message: 'Must specify the -name parameter' })
  return name
}

/** What the variable is of each template that has one. */
const VARIABLES: ReadonlyMap<string, { readonly help: string; readonly example: string }> = new Map([
  ['builtin/service', { help: 'The name of the service.', example: 'api' }],
  ['builtin/node', { help: 'The node name.', example: 'node-1' }],
  ['builtin/api-gateway', { help: 'The api gateway service name.', example: 'api-gateway' }],
])

export const listAll: Command = {
  name: 'acl templated-policy list',
  summary: 'Lists the templated policies',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS },
  run: (context) =>
    withAgent(context, async (agent) => {
      const doing = 'Failed to retrieve the templated policies list'
      const found = (await agent.get(doing, templates, '/v1/acl/templated-policies')) ?? {}
      return show(context, templates.toJson(found), () => [...Object.keys(found).sort(), ''])
    }),
}

export const read: Command = {
  name: 'acl templated-policy read',
  summary: 'Shows a templated policy',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...NAME },
  run: (context) =>
    withAgent(context, async (agent) => {
      const name = nameOf(context.flags)
      const doing = `Error reading templated policy "${name}"`
      const template = await agent.get(doing, Template, `/v1/acl/templated-policy/name/${name}`)
      const variable = VARIABLES.get(name)
      const use = `\tconsul acl token create -templated-policy ${name}`
      return show(context, Template.toJson(template), () => [
        `Name:            ${template.TemplateName}`,
        `Description:     ${template.Description}`,
        variable === undefined ? 'Input variables: None' : 'Input variables:',
        ...(variable === undefined ? [] : [`\tName: String - Required - ${variable.help}`]),
        'Example usage:',
        variable === undefined ? use : `${use} -var name:${variable.example}`,
        '',
      ])
    }),
}

export const preview: Command = {
  name: 'acl templated-policy preview',
  summary: 'Shows the policy that a template makes of a name',
  flags: { ...API_FLAGS, ...FORMAT_FLAGS, ...NAME, var: { kind: 'list', value: 'name:value', help: 'Variable' } },
  run: (context) =>
    withAgent(context, async (agent) => {
      const name = nameOf(context.flags)
      const body = { Name: variablesOf(context.flags)?.Name ?? '' }
      const path = `/v1/acl/templated-policy/preview/${name}`
      const answer = await agent.send(`Failed to generate the templated policy preview`, 'POST', path, { body })
      const policy = ACLPolicy.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
      return show(context, ACLPolicy.toJson(policy), () => policyLines(policy, context.flags))
    }),
}
