/**
 * Servers as gossip shows them: what a server says of itself in its tags, and how others recognise one.
 *
 * A member is a server only if all tags parse; peers leave out whoever fails the test, so ours are made here, beside it.
 *
 * Source: gossip wire notes §15.
 */
import { createHash } from 'node:crypto'
import { CONSUL_VERSION, PROTOCOL_VERSION } from '#base'
import { certificatesFromPem } from '#codec'
import { AUTHORITIES_TAG, type Member } from '#gossip'

/** Tag values: `acls`, `ft_fs` (federation states) and `ft_si` (service intentions) gate what peers do with us. */
export interface ServerTagOptions {
  readonly datacenter: string
  readonly nodeId: string
  readonly rpcPort: number
  /** Whether it is the only server of its datacenter. */
  readonly bootstrap: boolean
  /** How many servers the datacenter is to have, where that is more than one. */
  readonly expect?: number
  readonly useTls: boolean
  /** What its server port trusts; said in the LAN pool only. */
  readonly caPem?: string | undefined
  readonly acls: boolean
  /** -1: not served. */
  readonly grpcPort: number
  readonly grpcTlsPort: number
}

/**
 * The tags of a server, the same in both pools but for what is said in the LAN only: `wan_join_port`, by which servers
 * flood-join the WAN, and the CAs.
 */
export function serverTags(options: ServerTagOptions, wanJoinPort?: number): Record<string, string> {
  const tags: Record<string, string> = {
    role: 'consul',
    dc: options.datacenter,
    segment: '',
    id: options.nodeId,
    vsn: String(PROTOCOL_VERSION.current),
    vsn_min: String(PROTOCOL_VERSION.min),
    vsn_max: String(PROTOCOL_VERSION.max),
    raft_vsn: '3',
    build: `${CONSUL_VERSION}:hanse`,
    port: String(options.rpcPort),
    acls: options.acls ? '1' : '0',
    ft_fs: '1',
    ft_si: '1',
  }
  if (options.bootstrap) tags.bootstrap = '1'
  if (options.expect !== undefined) tags.expect = String(options.expect)
  if (options.useTls) tags.use_tls = '1'
  if (options.grpcPort > 0) tags.grpc_port = String(options.grpcPort)
  if (options.grpcTlsPort > 0) tags.grpc_tls_port = String(options.grpcTlsPort)
  if (wanJoinPort !== undefined) tags.wan_join_port = String(wanJoinPort)
  const authorities = authoritiesOf(options.caPem ?? '')
  if (authorities !== undefined) tags[AUTHORITIES_TAG] = authorities
  return tags
}

/** Bytes of the hash of a CA's key. */
const AUTHORITY_BYTES = 8
/** Gossip has 512 bytes for all tags of a node; who trusts more CAs than these keeps them to itself. */
const MAX_AUTHORITIES = 8

/** The CAs of a bundle by their keys, which stay when their certificates are renewed; undefined: nothing to say. */
function authoritiesOf(caPem: string): string | undefined {
  if (caPem.trim() === '') return undefined
  const names = certificatesFromPem(caPem, 'ca_file').map(({ publicKey }) => {
    const key = publicKey.export({ type: 'spki', format: 'der' })
    return createHash('sha256').update(key).digest().subarray(0, AUTHORITY_BYTES).toString('base64url')
  })
  const all = [...new Set(names)].sort()
  return all.length > MAX_AUTHORITIES ? undefined : all.join()
}

/** A member that passes the test for a server. */
export interface ServerMember {
  /** Node name without the datacenter. */
  readonly node: string
  readonly datacenter: string
  readonly address: string
  readonly rpcPort: number
  readonly nodeId: string
  readonly build: string
  readonly federationStates: boolean
  /** Whether its datacenter has access control; undefined when it does not say. */
  readonly acls: boolean | undefined
  readonly status: Member['status']
}

const INTEGER = /^-?\d+$/

/** @returns undefined when the member is no server */
export function asServer(member: Member): ServerMember | undefined {
  const { tags } = member
  const build = /^\d+\.\d+\.\d+/.exec(tags.build ?? '')
  const rpcPort = Number(tags.port)
  if (tags.role !== 'consul' || !build || !INTEGER.test(tags.port ?? '') || !INTEGER.test(tags.vsn ?? ''))
    return undefined
  const optional = Object.entries(tags).filter(([tag]) => /^(expect|wan_join_port|raft_vsn|ft_.*|sl_.*)$/.test(tag))
  if (optional.some(([, value]) => !INTEGER.test(value))) return undefined
  const grpcPorts = [tags.grpc_port, tags.grpc_tls_port].filter((port) => port !== undefined)
  if (grpcPorts.length > 0 && !grpcPorts.some((port) => Number(port) > 0)) return undefined
  const datacenter = tags.dc ?? ''
  const suffix = `.${datacenter}`
  return {
    node: member.name.endsWith(suffix) ? member.name.slice(0, -suffix.length) : member.name,
    datacenter,
    address: member.address,
    rpcPort,
    nodeId: tags.id ?? '',
    build: build[0],
    federationStates: tags.ft_fs === '1',
    acls: tags.acls === '1' ? true : tags.acls === '0' ? false : undefined,
    status: member.status,
  }
}
