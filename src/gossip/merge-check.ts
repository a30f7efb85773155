/**
 * Who may be in a pool: LAN members belong to our datacenter, have node IDs of their own and, where they say so, a CA in
 * common with us; WAN members are servers.
 *
 * Checked on every alive message and before a join's push/pull is merged. Pure.
 *
 * Source: gossip wire notes §15.
 */
import type { MismatchKind, PoolName } from './api.ts'

export interface CheckedNode {
  readonly name: string
  /** "ip:port" */
  readonly address: string
  readonly tags: Readonly<Record<string, string>>
}

export interface Refusal {
  readonly kind: MismatchKind
  readonly node: CheckedNode
  /** Text that the joining side is shown. */
  readonly reason: string
}

export interface PoolIdentity {
  readonly pool: PoolName
  readonly localName: string
  readonly datacenter: string
  readonly nodeId: string
  /** The CAs that we trust, as the tag says it; undefined: we trust any. */
  readonly authorities?: string | undefined
}

/** Tag with the CAs that a server trusts, by their keys, separated by commas. Peers that do not know it pass it over. */
export const AUTHORITIES_TAG = 'ca'

const INTEGER = /^[+-]?\d+$/
const OPTIONAL_INTEGERS = /^(expect|wan_join_port|raft_vsn|ft_.*|sl_.*)$/

/** Whether tags are those of a Consul server; everything that federation does asks this. */
export function isServer(tags: Readonly<Record<string, string>>): boolean {
  if (tags['role'] !== 'consul') return false
  if (!INTEGER.test(tags['port'] ?? '') || !INTEGER.test(tags['vsn'] ?? '')) return false
  if (!/^\d+\.\d+\.\d+/.test(tags['build'] ?? '')) return false
  const optional = Object.entries(tags).filter(([tag]) => OPTIONAL_INTEGERS.test(tag))
  if (!optional.every(([, value]) => INTEGER.test(value))) return false
  const grpcPorts = ['grpc_port', 'grpc_tls_port'].filter((tag) => tags[tag] !== undefined)
  return grpcPorts.length === 0 || grpcPorts.some((tag) => Number(tags[tag]) > 0)
}

/** Whether two tags have a CA in common; one that says nothing fits to all. */
function shareAuthority(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return true
  const known = new Set(a.split(','))
  return b.split(',').some((authority) => known.has(authority))
}

const sameId = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && a !== '' && a.toLowerCase() === b?.toLowerCase()

/**
 * The first reason against taking these nodes into the pool; undefined when there is none.
 *
 * @param known - finds a member of another name that has this node ID already
 */
export function refusal(
  us: PoolIdentity,
  nodes: readonly CheckedNode[],
  known: (nodeId: string, exceptName: string) => string | undefined = () => undefined,
): Refusal | undefined {
  if (us.pool === 'wan') {
    const other = nodes.find((node) => !isServer(node.tags))
    return other && { kind: 'not-a-server', node: other, reason: `Member '${other.name}' is not a server` }
  }
  const holders = new Map<string, string>()
  for (const node of nodes) {
    const datacenter = node.tags['dc'] ?? ''
    if (datacenter !== us.datacenter) {
      const reason = `Member '${node.name}' part of wrong datacenter '${datacenter}'`
      return { kind: 'wrong-datacenter', node, reason }
    }
    if (!shareAuthority(us.authorities, node.tags[AUTHORITIES_TAG])) {
      const reason = `Member '${node.name}' trusts another CA than '${us.localName}'`
      return { kind: 'another-ca', node, reason }
    }
    const id = node.tags['id']
    if (id === undefined || id === '') continue
    const claimedUs = sameId(id, us.nodeId) && node.name !== us.localName
    const holder = claimedUs ? us.localName : (holders.get(id.toLowerCase()) ?? known(id.toLowerCase(), node.name))
    if (holder !== undefined && holder !== node.name) {
      const reason = `Member '${node.name}' has conflicting node ID '${id}' with member '${holder}'`
      return { kind: 'node-id', node, reason }
    }
    holders.set(id.toLowerCase(), node.name)
  }
  return undefined
}
