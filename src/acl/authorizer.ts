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
import type { RuleTable } from './rule-table.ts'
import { type Level, NAMED_RESOURCES, type NamedResource, SCALAR_RESOURCES, type ScalarResource } from './rules.ts'

export type DefaultPolicy = 'allow' | 'deny'
export type Access = 'read' | 'list' | 'write'

export type NamedTables = Readonly<Record<NamedResource | 'intention', RuleTable>>

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

  aclRead(): boolean {
    return this.#scalar('acl', READS, this.#aclByDefault)
  }

  aclWrite(): boolean {
    return this.#scalar('acl', WRITES, this.#aclByDefault)
  }

  /** A snapshot holds every secret: it needs what managing ACLs needs. */
  snapshot(): boolean {
    return this.aclWrite()
  }

  keyringRead(): boolean {
    return this.#scalar('keyring', READS, this.#byDefault)
  }

  keyringWrite(): boolean {
    return this.#scalar('keyring', WRITES, this.#byDefault)
  }

  operatorRead(): boolean {
    return this.#scalar('operator', READS, this.#byDefault)
  }

  operatorWrite(): boolean {
    return this.#scalar('operator', WRITES, this.#byDefault)
  }

  meshRead(): boolean {
    return this.#scalar('mesh', READS, this.operatorRead())
  }

  meshWrite(): boolean {
    return this.#scalar('mesh', WRITES, this.operatorWrite())
  }

  peeringRead(): boolean {
    return this.#scalar('peering', READS, this.operatorRead())
  }

  peeringWrite(): boolean {
    return this.#scalar('peering', WRITES, this.operatorWrite())
  }

  agentRead(node: string): boolean {
    return this.#named('agent', node, READS)
  }

  agentWrite(node: string): boolean {
    return this.#named('agent', node, WRITES)
  }

  eventRead(name: string): boolean {
    return this.#named('event', name, READS)
  }

  eventWrite(name: string): boolean {
    return this.#named('event', name, WRITES)
  }

  identityRead(name: string): boolean {
    return this.#named('identity', name, READS)
  }

  identityWrite(name: string): boolean {
    return this.#named('identity', name, WRITES)
  }

  nodeRead(name: string): boolean {
    return this.#named('node', name, READS)
  }

  nodeWrite(name: string): boolean {
    return this.#named('node', name, WRITES)
  }

  nodeReadAll(): boolean {
    return this.#all('node', '', READS)
  }

  queryRead(name: string): boolean {
    return this.#named('query', name, READS)
  }

  queryWrite(name: string): boolean {
    return this.#named('query', name, WRITES)
  }

  serviceRead(name: string): boolean {
    return this.#named('service', name, READS)
  }

  serviceWrite(name: string): boolean {
    return this.#named('service', name, WRITES)
  }

  serviceReadAll(): boolean {
    return this.#all('service', '', READS)
  }

  serviceReadPrefix(prefix: string): boolean {
    return this.#all('service', prefix, READS)
  }

  /** Whether there is any service that may be written: for what every service in the mesh may see. */
  serviceWriteAny(): boolean {
    return this.#byDefault || this.#tables.service.some(WRITES)
  }

  sessionRead(node: string): boolean {
    return this.#named('session', node, READS)
  }

  sessionWrite(node: string): boolean {
    return this.#named('session', node, WRITES)
  }

  keyRead(key: string): boolean {
    return this.#named('key', key, READS)
  }

  /** Listing below a prefix, where key lists need a right of their own. */
  keyList(prefix: string): boolean {
    return this.#named('key', prefix, LISTS)
  }

  keyWrite(key: string): boolean {
    return this.#named('key', key, WRITES)
  }

  /** Writing or deleting everything below a prefix: no rule below it may say less. */
  keyWritePrefix(prefix: string): boolean {
    return this.#all('key', prefix, WRITES)
  }

  /** The wildcard is readable where any service's intentions are. */
  intentionRead(name: string): boolean {
    return name === WILDCARD
      ? this.#byDefault || this.#tables.intention.some(READS)
      : this.#named('intention', name, READS)
  }

  /** The wildcard is writable where every service's intentions are. */
  intentionWrite(name: string): boolean {
    return name === WILDCARD ? this.#all('intention', '', WRITES) : this.#named('intention', name, WRITES)
  }

  /** What happens between two services without an intention. */
  intentionDefaultAllow(): boolean {
    return this.#byDefault
  }

  /**
   * The same by names of resource and access, for callers that ask on behalf of someone (`/v1/internal/acl/authorize`).
   *
   * @throws HanseError RESOURCE_UNKNOWN, ACCESS_UNKNOWN
   */
  allows(resource: string, access: string, segment: string): boolean {
    const grants = access === 'read' || access === 'write' || access === 'list' ? GRANTS[access] : undefined
    const scalar = this.#scalarAllows(resource, access)
    if (scalar !== undefined) return scalar
    const named = NAMED_RESOURCES.find((name) => name === resource)
    if (named === undefined && resource !== 'intention') throw aclError('RESOURCE_UNKNOWN', { resource })
    if (grants === undefined || (access === 'list' && named !== 'key')) {
      throw aclError('ACCESS_UNKNOWN', { resource, access })
    }
    if (named !== undefined) return this.#named(named, segment, grants)
    return access === 'write' ? this.intentionWrite(segment) : this.intentionRead(segment)
  }

  /** Of resources without names; undefined for the others. */
  #scalarAllows(resource: string, access: string): boolean | undefined {
    if (!SCALAR_RESOURCES.some((name) => name === resource)) return undefined
    const reads = access === 'read'
    if (!reads && access !== 'write') throw aclError('ACCESS_UNKNOWN', { resource, access })
    switch (resource) {
      case 'acl':
        return reads ? this.aclRead() : this.aclWrite()
      case 'keyring':
        return reads ? this.keyringRead() : this.keyringWrite()
      case 'mesh':
        return reads ? this.meshRead() : this.meshWrite()
      case 'peering':
        return reads ? this.peeringRead() : this.peeringWrite()
      default:
        return reads ? this.operatorRead() : this.operatorWrite()
    }
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
