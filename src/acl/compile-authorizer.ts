/**
 * The rules of all policies of one token → one authorizer.
 *
 * Rules on one name are merged over all policies: deny before write before list before read. What services' rules say
 * about intentions is merged on its own, and follows from the service where no rule says it.
 */
import { Authorizer, type DefaultPolicy, type NamedTables } from './authorizer.ts'
import { RuleTable, stronger, type TableEntry } from './rule-table.ts'
import type { Level, NamedResource, PolicyRules, ScalarResource } from './rules.ts'

export interface AuthorizerOptions {
  readonly defaultPolicy: DefaultPolicy
}

/** Compiles the rules of all policies of one token. Keep it with the set of policies: it is asked often. */
export function compileAuthorizer(policies: readonly PolicyRules[], options: AuthorizerOptions): Authorizer {
  const scalars = new Map<ScalarResource, Level>()
  for (const policy of policies) {
    for (const [resource, level] of policy.scalars) scalars.set(resource, stronger(scalars.get(resource), level))
  }
  return new Authorizer(scalars, tablesOf(policies), options.defaultPolicy === 'allow', false)
}

/**
 * What an agent's recovery token grants: this agent's own operations and seeing nodes, when no server can be asked.
 *
 * Source: the public reference of `acl.tokens.agent_recovery`.
 */
export function agentRecoveryAuthorizer(node: string): Authorizer {
  const named = [
    { resource: 'agent', name: node, prefix: false, policy: 'write' },
    { resource: 'node', name: '', prefix: true, policy: 'read' },
  ] as const
  return compileAuthorizer([{ scalars: new Map(), named }], { defaultPolicy: 'deny' })
}

/** Grants everything, ACLs included: for servers without ACLs and for what the server asks itself. */
export const manageAll = new Authorizer(new Map(), tablesOf([]), true, true)

function tablesOf(policies: readonly PolicyRules[]): NamedTables {
  const of = (resource: NamedResource) => new RuleTable(merged(policies, resource).map(({ entry }) => entry))
  return {
    agent: of('agent'),
    event: of('event'),
    identity: of('identity'),
    intention: new RuleTable(
      merged(policies, 'service').map(({ entry, intentions }) => ({ ...entry, level: intentions })),
    ),
    key: of('key'),
    node: of('node'),
    query: of('query'),
    service: of('service'),
    session: of('session'),
  }
}

interface Merged {
  readonly entry: TableEntry
  /** Where no rule on the name says it: reading follows from any right on the service. */
  readonly intentions: Level
}

function merged(policies: readonly PolicyRules[], resource: NamedResource): Merged[] {
  const byName = new Map<string, { entry: TableEntry; said: Level | undefined }>()
  for (const rule of policies.flatMap((policy) => policy.named)) {
    if (rule.resource !== resource) continue
    const { name, prefix } = rule
    const key = `${prefix ? 'p' : 'e'}${name}`
    const before = byName.get(key)
    const level = stronger(before?.entry.level, rule.policy)
    const said = rule.intentions === undefined ? before?.said : stronger(before?.said, rule.intentions)
    byName.set(key, { entry: { name, prefix, level }, said })
  }
  return [...byName.values()].map(({ entry, said }) => ({
    entry,
    intentions: said ?? (entry.level === 'deny' ? 'deny' : 'read'),
  }))
}
