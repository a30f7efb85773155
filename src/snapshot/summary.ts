/**
 * What a snapshot holds, by type: how many records, and how many bytes.
 *
 * Types have the names that Consul's inspection gives to such records; a table of a later version has its own.
 */
import { recordBytes, type SnapshotRecord } from './records.ts'

/** By how a stored key begins: a table's name, or for facts about the store the part below meta/. */
const TYPE_OF_TABLE: Readonly<Record<string, string>> = {
  nodes: 'Register',
  services: 'Register',
  checks: 'Register',
  kv: 'KVS',
  coordinates: 'CoordinateBatchUpdate',
  'federation-states': 'FederationState',
  'config-entries': 'ConfigEntry',
  'acl-tokens': 'ACLToken',
  'acl-policies': 'ACLPolicy',
  'acl-roles': 'ACLRole',
  'acl-auth-methods': 'ACLAuthMethod',
  'acl-binding-rules': 'ACLBindingRule',
  'acl-meta': 'ACLBootstrap',
  'connect-ca-roots': 'ConnectCA',
  'connect-ca-authority': 'ConnectCAProviderState',
  sessions: 'Session',
  'session-renewals': 'Session',
  'autopilot-config': 'Autopilot',
  'prepared-queries': 'PreparedQuery',
  'meta/left': 'Tombstone',
  'meta/guard': 'Index',
  'meta/state': 'SystemMetadata',
}

/** The table of a stored key, or of the store's own facts their sort. */
export function tableOf(key: string): string {
  const parts = key.split('/', 2)
  return parts[0] === 'meta' ? parts.join('/') : (parts[0] ?? '')
}

/** The type of the record under a stored key. */
export function typeOf(key: string): string {
  const table = tableOf(key)
  return TYPE_OF_TABLE[table] ?? table
}

export interface Share {
  readonly name: string
  readonly count: number
  readonly bytes: number
}

/** Names with counts and sizes, the largest first. */
export class Shares {
  readonly #shares = new Map<string, { count: number; bytes: number }>()

  add(name: string, bytes: number): void {
    const share = this.#shares.get(name)
    if (share === undefined) this.#shares.set(name, { count: 1, bytes })
    else {
      share.count++
      share.bytes += bytes
    }
  }

  list(): readonly Share[] {
    const shares = [...this.#shares].map(([name, share]) => ({ name, ...share }))
    return shares.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
  }

  get bytes(): number {
    return this.list().reduce((sum, share) => sum + share.bytes, 0)
  }
}

export interface KvDetails {
  /** Levels of directories that keys are gathered by. */
  readonly depth: number
  /** Only keys that begin so. */
  readonly prefix: string
}

export class Summary {
  readonly types = new Shares()
  readonly keys = new Shares()
  readonly #kv: KvDetails

  constructor(kv: KvDetails) {
    this.#kv = kv
  }

  add(record: SnapshotRecord): void {
    const table = tableOf(record.key)
    const bytes = recordBytes(record)
    this.types.add(typeOf(record.key), bytes)
    if (table !== 'kv') return
    const key = record.key.slice(table.length + 1)
    if (key.startsWith(this.#kv.prefix)) this.keys.add(key.split('/').slice(0, this.#kv.depth).join('/'), bytes)
  }
}
