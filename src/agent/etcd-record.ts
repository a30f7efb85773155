/**
 * What this server's member of etcd is, kept beside its data in `etcd.json`: so a restart needs nobody, and data of
 * another server or datacenter is refused by name.
 */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { messageOf } from '#base'
import { agentError } from './agent-errors.ts'
import type { Founder } from './etcd-founding.ts'

/** Whose member it is. */
export interface EtcdOwner {
  readonly datacenter: string
  readonly nodeId: string
  readonly name: string
}

export interface EtcdRecord extends EtcdOwner {
  /** With whom it was founded; undefined where it joined. */
  readonly founding: { readonly founders: readonly Founder[]; readonly token: string } | undefined
  /** It has voted with the others: what it has agreed to is in its data. */
  readonly begun: boolean
}

export class EtcdPlace {
  /** Where etcd keeps its data; absolute. */
  readonly dataDir: string
  readonly #file: string

  constructor(dataDir: string) {
    this.dataDir = resolve(dataDir, 'etcd')
    this.#file = resolve(dataDir, 'etcd.json')
  }

  /** Whether etcd has written anything: before it has, a member can begin anew without having forgotten anything. */
  get hasData(): boolean {
    const log = join(this.dataDir, 'member', 'wal')
    return existsSync(log) && readdirSync(log).some((name) => name.endsWith('.wal'))
  }

  /** Undefined where there was never a member. @throws ETCD_FOREIGN, and nothing is changed */
  read(owner: EtcdOwner): EtcdRecord | undefined {
    if (!existsSync(this.#file)) {
      if (!existsSync(join(this.dataDir, 'member'))) return undefined
      throw agentError('ETCD_FOREIGN', { path: this.dataDir, reason: 'it does not say whose it is' })
    }
    const record = parseRecord(this.#text())
    if (record === undefined) throw agentError('ETCD_FOREIGN', { path: this.#file, reason: 'it cannot be read' })
    const { datacenter, nodeId, name } = record
    if (datacenter !== owner.datacenter || nodeId !== owner.nodeId || name !== owner.name) {
      const id = nodeId === owner.nodeId ? '' : ` with node ID ${nodeId}`
      const reason = `it is of server "${name}"${id} of datacenter "${datacenter}"`
      throw agentError('ETCD_FOREIGN', { path: this.dataDir, reason })
    }
    return record
  }

  #text(): string {
    try {
      return readFileSync(this.#file, 'utf8')
    } catch (error) {
      const reason = `it cannot be read: ${messageOf(error)}`
      throw agentError('ETCD_FOREIGN', { path: this.#file, reason }, error)
    }
  }

  write(record: EtcdRecord): void {
    writeFileSync(`${this.#file}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    renameSync(`${this.#file}.new`, this.#file)
  }

  /** It is a member no more; what it was stays readable as `etcd.json.old`. */
  forget(): void {
    if (existsSync(this.#file)) renameSync(this.#file, `${this.#file}.old`)
  }

  /** Others have removed it: its data is kept under another name, and the next start joins anew. */
  putAside(nowWallMs: number): void {
    if (existsSync(this.dataDir)) renameSync(this.dataDir, `${this.dataDir}.removed-${nowWallMs}`)
    this.forget()
  }
}

export function parseRecord(text: string): EtcdRecord | undefined {
  try {
    const { datacenter, nodeId, name, founding, begun } = Object(JSON.parse(text))
    if (!isText(datacenter) || !isText(nodeId) || !isText(name) || typeof begun !== 'boolean') return undefined
    if (founding === undefined) return { datacenter, nodeId, name, founding, begun }
    const { founders, token } = Object(founding)
    if (!isText(token) || !Array.isArray(founders) || !founders.every(isFounder)) return undefined
    return { datacenter, nodeId, name, founding: { founders, token }, begun }
  } catch {
    return undefined
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isFounder(value: unknown): value is Founder {
  const { name, peerUrl } = Object(value)
  return isText(name) && isText(peerUrl)
}
