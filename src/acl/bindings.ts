/**
 * Binding rules: what a login is worth.
 *
 * An auth method says who someone is; each rule of the method whose selector matches adds a link to the new token. No
 * match, no token.
 *
 * Source: federation wire notes §11; the public binding rule reference.
 */
import { HanseError, type Random } from '#base'
import { type ACLBindingRule, type ACLRole, type ACLToken, compileFilter, type FilterFields } from '#codec'
import { fillTemplate, TemplateProblem } from './bind-template.ts'
import { aclError } from './errors.ts'
import { isIdentityName } from './names.ts'
import { freshId } from './prepare-policy.ts'
import type { StoredObjects } from './stored-objects.ts'
import { checkTemplatedPolicy } from './templated-policies.ts'

export const BIND_TYPES = ['service', 'node', 'role', 'policy', 'templated-policy'] as const
export type BindType = (typeof BIND_TYPES)[number]

/** Which variables an auth method's identities have: what selectors and names may refer to. */
export interface IdentityShape {
  readonly fields: FilterFields
  readonly variables: readonly string[]
}

/** Who an auth method says that someone is. */
export interface LoginIdentity {
  /** What selectors are matched against; has the shape's fields. */
  readonly selectable: Readonly<Record<string, unknown>>
  /** What names are filled with; a variable without a value is missing. */
  readonly variables: ReadonlyMap<string, string>
}

/** The links that a login's token gets. */
export type LoginLinks = Pick<
  ACLToken,
  'Policies' | 'Roles' | 'ServiceIdentities' | 'NodeIdentities' | 'TemplatedPolicies'
>

/**
 * A binding rule that someone writes → what is stored.
 *
 * @param shape - of its auth method
 * @throws HanseError BINDING_RULE_INVALID, BINDING_RULE_NO_METHOD, ACL_UPDATE_NOT_FOUND
 */
export function prepareBindingRule(
  given: ACLBindingRule,
  shapeOf: (authMethod: string) => IdentityShape | undefined,
  stored: Pick<StoredObjects, 'bindingRuleById'>,
  random: Random,
): ACLBindingRule {
  const before = given.ID === '' ? undefined : stored.bindingRuleById(given.ID)
  if (given.ID !== '' && before === undefined) {
    throw aclError('ACL_UPDATE_NOT_FOUND', { kind: 'binding rule', id: given.ID })
  }
  if (before !== undefined && given.AuthMethod !== '' && given.AuthMethod !== before.AuthMethod) {
    throw invalid('the AuthMethod of a binding rule cannot be changed')
  }
  const authMethod = before?.AuthMethod ?? given.AuthMethod
  if (authMethod === '') throw invalid('no AuthMethod is set')
  const shape = shapeOf(authMethod)
  if (shape === undefined) throw aclError('BINDING_RULE_NO_METHOD', { name: authMethod })
  checkSelector(given.Selector, shape)
  checkBindName(given, shape)
  return { ...given, ID: before?.ID ?? freshId(random, (id) => stored.bindingRuleById(id)), AuthMethod: authMethod }
}

function checkSelector(selector: string, shape: IdentityShape): void {
  try {
    compileFilter(selector, shape.fields)
  } catch (thrown) {
    if (!(thrown instanceof HanseError)) throw thrown
    throw invalid(`invalid Selector: ${String(thrown.facts['problem'])}`)
  }
}

/** A value that any variable could have. */
const SAMPLE = 'x'

function checkBindName(rule: ACLBindingRule, shape: IdentityShape): void {
  const bindType = bindTypeOf(rule)
  if (rule.BindName === '') throw invalid('no BindName is set')
  if (bindType !== 'templated-policy' && rule.BindVars !== null && rule.BindVars.Name !== '') {
    throw invalid(`BindVars are for the bind type "templated-policy": bind type is "${bindType}"`)
  }
  const variables = new Map(shape.variables.map((name) => [name, SAMPLE]))
  try {
    targetOf(rule, bindType, variables)
  } catch (thrown) {
    if (!(thrown instanceof TemplateProblem) && !(thrown instanceof HanseError)) throw thrown
    const why = thrown instanceof TemplateProblem ? `error interpreting template: ${thrown.message}` : thrown.message
    throw invalid(`invalid BindName or BindVars: failed to validate bindType "${bindType}": ${why}`)
  }
}

/**
 * The links of a login.
 *
 * @param rules - of the auth method; those whose selector does not match are passed over
 * @param datacenter - where the login happens; node identities count there
 * @returns undefined when no rule gives anything: the login is refused
 * @throws HanseError BIND_NAME_INVALID when a matching rule makes a name that cannot be one
 */
export function bindIdentity(
  rules: readonly ACLBindingRule[],
  identity: LoginIdentity,
  shape: IdentityShape,
  stored: Pick<StoredObjects, 'roleByName' | 'policyByName'>,
  datacenter: string,
): LoginLinks | undefined {
  const matching = rules.filter((rule) => compileFilter(rule.Selector, shape.fields)(identity.selectable))
  const targets = matching.map((rule) => loginTarget(rule, identity))
  const named = (type: BindType) => [
    ...new Set(targets.filter((target) => target.type === type).map(({ name }) => name)),
  ]
  const links: LoginLinks = {
    Policies: some(
      named('policy')
        .flatMap((name) => stored.policyByName(name) ?? [])
        .map(link),
    ),
    Roles: some(
      named('role')
        .flatMap((name) => stored.roleByName(name) ?? [])
        .map(link),
    ),
    ServiceIdentities: some(named('service').map((name) => ({ ServiceName: name, Datacenters: null }))),
    NodeIdentities: some(named('node').map((name) => ({ NodeName: name, Datacenter: datacenter }))),
    TemplatedPolicies: some(targets.flatMap(({ templated }) => templated ?? [])),
  }
  return Object.values(links).every((list) => list === null) ? undefined : links
}

interface Target {
  readonly type: BindType
  readonly name: string
  readonly templated: NonNullable<ACLRole['TemplatedPolicies']>[number] | undefined
}

function loginTarget(rule: ACLBindingRule, identity: LoginIdentity): Target {
  const bindType = bindTypeOf(rule)
  try {
    return targetOf(rule, bindType, identity.variables)
  } catch (thrown) {
    if (!(thrown instanceof TemplateProblem)) throw thrown
    throw aclError('BIND_NAME_INVALID', { bindType, name: `${rule.BindName}: ${thrown.message}` })
  }
}

/** @throws TemplateProblem, HanseError BIND_NAME_INVALID or IDENTITY_INVALID */
function targetOf(rule: ACLBindingRule, bindType: BindType, variables: ReadonlyMap<string, string>): Target {
  if (bindType === 'templated-policy') {
    const vars = rule.BindVars === null ? null : { Name: fillTemplate(rule.BindVars.Name, variables) }
    const given = { TemplateID: '', TemplateName: rule.BindName, TemplateVariables: vars, Datacenters: null }
    return { type: bindType, name: rule.BindName, templated: checkTemplatedPolicy(given, 'token') }
  }
  const name = fillTemplate(rule.BindName, variables)
  const isIdentity = bindType === 'service' || bindType === 'node'
  if (name === '' || (isIdentity && !isIdentityName(name))) throw aclError('BIND_NAME_INVALID', { bindType, name })
  return { type: bindType, name, templated: undefined }
}

function bindTypeOf(rule: ACLBindingRule): BindType {
  const bindType = BIND_TYPES.find((type) => type === rule.BindType)
  if (bindType === undefined) {
    throw invalid(`unknown BindType "${rule.BindType}": it should be one of ${BIND_TYPES.join(', ')}`)
  }
  return bindType
}

function link({ ID, Name }: { ID: string; Name: string }) {
  return { ID, Name }
}

function some<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list
}

function invalid(problem: string): HanseError {
  return aclError('BINDING_RULE_INVALID', { problem })
}
