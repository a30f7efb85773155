/**
 * What operations need to know of access control in this datacenter: settings, and what the agent keeps for it.
 */
import type { DefaultPolicy } from '#acl'
import { ACLReplicationStatus } from '#codec'

/** What counts for a token of the primary's while the primary cannot be asked. */
export type DownPolicy = 'allow' | 'deny' | 'extend-cache' | 'async-cache'

export interface AclPort {
  readonly enabled: boolean
  readonly defaultPolicy: DefaultPolicy
  readonly downPolicy: DownPolicy
  /** How long the primary's word on a token that is not here counts. */
  readonly tokenTtlMs: number
  /** Listing keys needs `list`, not `read`. */
  readonly keyListPolicy: boolean
  /** Of a secondary: whether the primary's tokens are copied here; local tokens and logins need it. */
  readonly replicatesTokens: boolean
  /** Empty where none is set. */
  replicationToken(): string
  /** The index that an operator wrote down to allow another bootstrap; asked for once, then forgotten. */
  takeBootstrapReset(): Promise<number | undefined>
  /** How far the copies of a secondary are. */
  replicationStatus(): ACLReplicationStatus
}

export const NO_ACLS: AclPort = {
  enabled: false,
  defaultPolicy: 'allow',
  downPolicy: 'extend-cache',
  tokenTtlMs: 30_000,
  keyListPolicy: false,
  replicatesTokens: false,
  replicationToken: () => '',
  takeBootstrapReset: async () => undefined,
  replicationStatus: () => ACLReplicationStatus.of(),
}
