/**
 * One authorizer: the rules of all policies of a token, compiled; what every operation asks.
 *
 * Rules on one name are merged over all policies (deny before write before list before read); then an exact name beats
 * every prefix and the longest prefix wins; what no rule speaks about is decided by the default policy, except for
 * ACLs and snapshots, which hold every secret and are never granted by default. `mesh` and `peering` follow `operator`
 * where no rule names them.
 *
 * Source: the public ACL rules reference; HTTP recordings.
 */
import { aclError } from './errors.ts'
import { RuleTable, stronger, type TableEntry } from './rule-table.ts'
import { type Level, NAMED_RESOURCES, type NamedResource, type PolicyRules, type ScalarResource } from './rules.ts'

export type DefaultPolicy = 'allow' | 'deny'
export type Access = 'read' | 'list' | 'write'

export interface AuthorizerOptions {
  readonly defaultPolicy: DefaultPolicy
}

type NamedTables = Readonly<Record<NamedResource | 'intention', RuleTable>>

const READS = (level: Level) => level !== 'deny'
const LISTS = (level: Level) => level === 'list' || level === 'write'
const WRITES = (level: Level) => level === 'write'
const GRANTS: Readonly<Record<Access, (level: Level) => boolean>> = { read: READS, list: LISTS, write: WRITES }

/** Every name, as the source or destination of an intention. */
export const WILDCARD = '*'

export class Authorizer {
  readonly #scalars: ReadonlyMap<ScalarResource, Level>
  readonly #tables: NamedTables
  readonly #byDefault: boolean
  readonly #aclByDefault: boolean

  /** @param manages - grants ACLs by default too: for a server without ACLs and for the server itself */
  constructor(scalars: ReadonlyMap<ScalarResource, Level>, tables: NamedTables, byDefault: boolean, manages: boolean) {
    this.#scalars = scalars
    this.#tables = tables
    this.#byDefault = byDefault
    this.#aclByDefault = manages
  }

  aclRead = (): boolean => this.#scalar('acl', READS, this.#aclByDefault)
  aclWrite = (): boolean => this.#scalar('acl', WRITES, this.#aclByDefault)
  /** A snapshot holds every secret: it needs what managing ACLs needs. */
  snapshot = (): boolean => this.aclWrite()
  keyringRead = (): boolean => this.#scalar('keyring', READS, this.#byDefault)
  keyringWrite = (): boolean => this.#scalar('keyring', WRITES, this.#byDefault)
  operatorRead = (): boolean => this.#scalar('operator', READS, this.#byDefault)
  operatorWrite = (): boolean => this.#scalar('operator', WRITES, this.#byDefault)
  meshRead = (): boolean => this.#scalar('mesh', READS, this.operatorRead())
  meshWrite = (): boolean => this.#scalar('mesh', WRITES, this.operatorWrite())
  peeringRead = (): boolean => this.#scalar('peering', READS, this.operatorRead())
  peeringWrite = (): boolean => this.#scalar('peering', WRITES, this.operatorWrite())

  agentRead = (node: string): boolean => this.#named('agent', node, READS)
  agentWrite = (node: string): boolean => this.#named('agent', node, WRITES)
  eventRead = (name: string): boolean => this.#named('event', name, READS)
  eventWrite = (name: string): boolean => this.#named('event', name, WRITES)
  identityRead = (name: string): boolean => this.#named('identity', name, READS)
  identityWrite = (name: string): boolean => this.#named('identity', name, WRITES)
  nodeRead = (name: string): boolean => this.#named('node', name, READS)
  nodeWrite = (name: string): boolean => this.#named('node', name, WRITES)
  nodeReadAll = (): boolean => this.#all('node', '', READS)
  queryRead = (name: string): boolean => this.#named('query', name, READS)
  queryWrite = (name: string): boolean => this.#named('query', name, WRITES)
  serviceRead = (name: string): boolean => this.#named('service', name, READS)
  serviceWrite = (name: string): boolean => this.#named('service', name, WRITES)
  serviceReadAll = (): boolean => this.#all('service', '', READS)
  serviceReadPrefix = (prefix: string): boolean => this.#all('service', prefix, READS)
  /** Whether there is any service that may be written: for what every service in the mesh may see. */
  serviceWriteAny = (): boolean => this.#byDefault || this.#tables.service.some(WRITES)
  sessionRead = (node: string): boolean => this.#named('session', node, READS)
  sessionWrite = (node: string): boolean => this.#named('session', node, WRITES)

  keyRead = (key: string): boolean => this.#named('key', key, READS)
  /** Listing below a prefix, where key lists need a right of their own. */
  keyList = (prefix: string): boolean => this.#named('key', prefix, LISTS)
  keyWrite = (key: string): boolean => this.#named('key', key, WRITES)
  /** Writing or deleting everything below a prefix: no rule below it may say less. */
  keyWritePrefix = (prefix: string): boolean => this.#all('key', prefix, WRITES)

  /** The wildcard is readable where any service's intentions are. */
  intentionRead = (name: string): boolean =>
    name === WILDCARD ? this.#byDefault || this.#tables.intention.some(READS) : this.#named('intention', name, READS)
  /** The wildcard is writable where every service's intentions are. */
  intentionWrite = (name: string): boolean =>
    name === WILDCARD ? this.#all('intention', '', WRITES) : this.#named('intention', name, WRITES)
  /** What happens between two services without an intention. */
  intentionDefaultAllow = (): boolean => this.#byDefault

  /**
   * The same by names of resource and access, for callers that ask on behalf of someone (`/v1/internal/acl/authorize`).
   *
   * @throws HanseError RESOURCE_UNKNOWN, ACCESS_UNKNOWN
   */
  allows(resource: string, access: string, segment: string): boolean {
    const grants = access === 'read' || access === 'write' || access === 'list' ? GRANTS[access] : undefined
    const scalar = this.#scalarAccess(resource, access)
    if (scalar !== undefined) return scalar()
    const named = NAMED_RESOURCES.find((name) => name === resource)
    if (named === undefined && resource !== 'intention') throw aclError('RESOURCE_UNKNOWN', { resource })
    if (grants === undefined || (access === 'list' && named !== 'key')) {
      throw aclError('ACCESS_UNKNOWN', { resource, access })
    }
    if (named !== undefined) return this.#named(named, segment, grants)
    return access === 'write' ? this.intentionWrite(segment) : this.intentionRead(segment)
  }

  #scalarAccess(resource: string, access: string): (() => boolean) | undefined {
    const checks: Readonly<Record<string, readonly [read: () => boolean, write: () => boolean]>> = {
      acl: [this.aclRead, this.aclWrite],
      keyring: [this.keyringRead, this.keyringWrite],
      mesh: [this.meshRead, this.meshWrite],
      operator: [this.operatorRead, this.operatorWrite],
      peering: [this.peeringRead, this.peeringWrite],
    }
    const found = Object.hasOwn(checks, resource) ? checks[resource] : undefined
    if (found === undefined) return undefined
    if (access === 'read') return found[0]
    if (access === 'write') return found[1]
    throw aclError('ACCESS_UNKNOWN', { resource, access })
  }

  #scalar(resource: ScalarResource, grants: (level: Level) => boolean, otherwise: boolean): boolean {
    const level = this.#scalars.get(resource)
    return level === undefined ? otherwise : grants(level)
  }

  #named(resource: keyof NamedTables, name: string, grants: (level: Level) => boolean): boolean {
    const level = this.#tables[resource].level(name)
    return level === undefined ? this.#byDefault : grants(level)
  }

  /** Whether everything that begins with `prefix` is granted. */
  #all(resource: keyof NamedTables, prefix: string, grants: (level: Level) => boolean): boolean {
    const table = this.#tables[resource]
    const level = table.prefixLevel(prefix)
    const base = level === undefined ? this.#byDefault : grants(level)
    return base && table.everyBelow(prefix, grants)
  }
}

/** Compiles the rules of all policies of one token. Keep it with the set of policies: it is asked often. */
export function compileAuthorizer(policies: readonly PolicyRules[], options: AuthorizerOptions): Authorizer {
  const scalars = new Map<ScalarResource, Level>()
  for (const policy of policies) {
    for (const [resource, level] of policy.scalars) scalars.set(resource, stronger(scalars.get(resource), level))
  }
  return new Authorizer(scalars, tablesOf(policies), options.defaultPolicy === 'allow', false)
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
