/**
 * Templated policies: six builtin templates that make a policy from a name.
 *
 * Service and node identities are the first two under another name.
 *
 * Source: HTTP recordings "acl templated policies"; identities.json.
 */
import type { ACLTemplatedPolicy } from '#codec'
import { aclError } from './errors.ts'
import { isIdentityName } from './names.ts'

/** As `/v1/acl/templated-policy/name/…` shows it. */
export interface TemplatedPolicyDefinition {
  readonly TemplateName: string
  /** JSON schema of the variables; empty when there are none. */
  readonly Schema: string
  readonly Template: string
  readonly Description: string
}

interface Builtin extends TemplatedPolicyDefinition {
  readonly id: string
  /** What the name names, in refusals; undefined when the template takes none. */
  readonly named: string | undefined
}

const NAME_SCHEMA =
  '{\n\t"type": "object",\n\t"properties": {\n\t\t"name": { "type": "string", "$ref": "#/definitions/min-length-one" }\n\t},\n\t"required": ["name"],\n\t"definitions": {\n\t\t"min-length-one": {\n\t\t\t\t"type": "string",\n\t\t\t\t"minLength": 1\n\t\t}\n\t}\n}'
const NAME_VARIABLE = '{{.Name}}'

const grant = (resource: string, policy: string, indent = '\t') => `${resource} {\n${indent}policy = "${policy}"\n}`
const onName = (suffix = '') => `"${NAME_VARIABLE}${suffix}"`

export const SERVICE_TEMPLATE = 'builtin/service'
export const NODE_TEMPLATE = 'builtin/node'

const BUILTINS: readonly Builtin[] = [
  {
    id: '00000000-0000-0000-0000-000000000008',
    TemplateName: 'builtin/api-gateway',
    named: 'api gateway',
    Schema: NAME_SCHEMA,
    Template: [
      'mesh = "read"',
      grant('node_prefix ""', 'read'),
      grant('service_prefix ""', 'read'),
      grant(`service ${onName()}`, 'write'),
    ].join('\n'),
    Description: 'Gives the token or role permissions for a Consul api gateway',
  },
  {
    id: '00000000-0000-0000-0000-000000000005',
    TemplateName: 'builtin/dns',
    named: undefined,
    Schema: '',
    Template: ['', ...['node_prefix ""', 'service_prefix ""', 'query_prefix ""'].map((on) => grant(on, 'read'))].join(
      '\n',
    ),
    Description: 'Gives the token or role permissions for the Consul DNS to query services in the network.',
  },
  {
    id: '00000000-0000-0000-0000-000000000004',
    TemplateName: NODE_TEMPLATE,
    named: 'node identity',
    Schema: NAME_SCHEMA,
    Template: ['', grant(`node ${onName()}`, 'write'), grant('service_prefix ""', 'read')].join('\n'),
    Description:
      'Gives the token or role permissions for a register an agent/node into the catalog. A node is typically a consul agent but can also be a physical server, cloud instance or a container.',
  },
  {
    id: '00000000-0000-0000-0000-000000000009',
    TemplateName: 'builtin/nomad-client',
    named: undefined,
    Schema: '',
    Template: [
      grant('agent_prefix ""', 'read', '  '),
      grant('node_prefix ""', 'read', '  '),
      grant('service_prefix ""', 'write', '  '),
      grant('key_prefix ""', 'read', '  '),
    ].join('\n'),
    Description: 'Gives the token or role permissions required for integration with a nomad client.',
  },
  {
    id: '00000000-0000-0000-0000-000000000006',
    TemplateName: 'builtin/nomad-server',
    named: undefined,
    Schema: '',
    Template: [
      '',
      'acl = "write"',
      grant('agent_prefix ""', 'read', '  '),
      grant('node_prefix ""', 'read', '  '),
      grant('service_prefix ""', 'write', '  '),
    ].join('\n'),
    Description: 'Gives the token or role permissions required for integration with a nomad server.',
  },
  {
    id: '00000000-0000-0000-0000-000000000003',
    TemplateName: SERVICE_TEMPLATE,
    named: 'service identity',
    Schema: NAME_SCHEMA,
    Template: [
      '',
      grant(`service ${onName()}`, 'write'),
      grant(`service ${onName('-sidecar-proxy')}`, 'write'),
      grant('service_prefix ""', 'read'),
      grant('node_prefix ""', 'read'),
    ].join('\n'),
    Description:
      "Gives the token or role permissions to register a service and discover services in the Consul catalog. It also gives the specified service's sidecar proxy the permission to discover and route traffic to other services.",
  },
]

function definition({ TemplateName, Schema, Template, Description }: Builtin): TemplatedPolicyDefinition {
  return { TemplateName, Schema, Template, Description }
}

/** All, by name. */
export function templatedPolicies(): Record<string, TemplatedPolicyDefinition> {
  return Object.fromEntries(BUILTINS.map((builtin) => [builtin.TemplateName, definition(builtin)]))
}

/** @throws HanseError TEMPLATED_POLICY_UNKNOWN */
export function templatedPolicy(name: string): TemplatedPolicyDefinition {
  const builtin = builtinOf(name)
  if (builtin) return definition(builtin)
  throw aclError('TEMPLATED_POLICY_UNKNOWN', { text: `Invalid templated policy Name: ${name}` })
}

/** The rules that a template makes of a name that has been checked. */
export function renderTemplate(templateName: string, name: string): string {
  const builtin = builtinOf(templateName)
  if (!builtin) throw unknownTemplate(templateName)
  return builtin.Template.replaceAll(NAME_VARIABLE, () => name)
}

/**
 * The rules of a preview.
 *
 * @throws HanseError TEMPLATED_POLICY_UNKNOWN, TEMPLATED_POLICY_INVALID
 */
export function checkTemplateVariables(templateName: string, name: string): void {
  const builtin = builtinOf(templateName)
  if (!builtin) throw unknownTemplate(templateName)
  if (builtin.named === undefined || isIdentityName(name)) return
  throw aclError('TEMPLATED_POLICY_INVALID', {
    name: templateName,
    problem: `${builtin.named} "${name}" has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed`,
  })
}

function unknownTemplate(templateName: string) {
  return aclError('TEMPLATED_POLICY_UNKNOWN', { text: `templated policy "${templateName}" does not exist` })
}

/**
 * Checks one templated policy of a token or role and completes its ID and name.
 *
 * @param holder - `token` or `role`, as refusals name it
 * @throws HanseError IDENTITY_INVALID
 */
export function checkTemplatedPolicy(given: ACLTemplatedPolicy, holder: string): ACLTemplatedPolicy {
  if (given.TemplateName === '' && given.TemplateID === '') {
    throw identityInvalid(`templated policy is missing the template name field on this ${holder}`)
  }
  const builtin =
    given.TemplateName === '' ? BUILTINS.find(({ id }) => id === given.TemplateID) : builtinOf(given.TemplateName)
  if (!builtin || (given.TemplateID !== '' && given.TemplateID !== builtin.id)) {
    const name = given.TemplateName === '' ? given.TemplateID : given.TemplateName
    throw identityInvalid(`templated policy with an invalid templated name: ${name} for this ${holder}`)
  }
  const linked = { ...given, TemplateID: builtin.id, TemplateName: builtin.TemplateName }
  if (builtin.named === undefined) return { ...linked, TemplateVariables: null }
  const problem = variablesProblem(builtin, given)
  if (problem === undefined) return linked
  throw identityInvalid(`encountered ${holder} with invalid templated policy: ${problem}`)
}

function variablesProblem(builtin: Builtin, { TemplateVariables }: ACLTemplatedPolicy): string | undefined {
  if (TemplateVariables === null) return '1 error occurred:\n\t* Invalid type. Expected: object, given: null\n\n'
  if (isIdentityName(TemplateVariables.Name)) return undefined
  return `${builtin.named} "${TemplateVariables.Name}" has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed`
}

function identityInvalid(text: string) {
  return aclError('IDENTITY_INVALID', { text })
}

function builtinOf(name: string): Builtin | undefined {
  return BUILTINS.find(({ TemplateName }) => TemplateName === name)
}
