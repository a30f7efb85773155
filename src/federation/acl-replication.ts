/**
 * Access control in a secondary: policies, roles and global tokens are copies of the primary's.
 *
 * Compared by identifier; the primary's index says what may have changed since the last round, the hash whether it did.
 * Local tokens belong to their datacenter and are never compared. A secondary that is shown hidden secrets stops: its
 * replication token may not read tokens, and half a copy would refuse people who are known.
 *
 * Source: RPC wire notes §11.
 */
import { HIDDEN_SECRET } from '#acl'
import {
  type ACLPolicy,
  ACLPolicyBatchGetRequest,
  ACLPolicyListRequest,
  type ACLPolicyListStub,
  ACLReplicationStatus,
  type ACLRole,
  ACLRoleListRequest,
  type ACLToken,
  ACLTokenBatchGetRequest,
  ACLTokenListRequest,
  type ACLTokenListStub,
  type QueryOptions,
  ZERO_TIME,
} from '#codec'
import { acl, type Endpoints } from '#endpoints'
import type { State } from '#state'
import { federationError } from './errors.ts'
import type { Difference, ReplicatedType, ReplicationStatus } from './replication.ts'

/** Objects that one transaction writes: each takes a few of its keys. */
const OBJECTS_PER_COMMIT = 16
/** Objects that are asked for at a time. */
const OBJECTS_PER_READ = 100

interface Hashed {
  readonly ModifyIndex: number
  readonly Hash: Buffer | Uint8Array | null
}

/** @param lastIndex - of the last round; what is not newer is as it was copied */
export function compareByHash<T extends Hashed>(
  local: readonly T[],
  remote: readonly T[],
  idOf: (item: T) => string,
  lastIndex: number,
): Difference<T> {
  const theirs = new Set(remote.map(idOf))
  const ours = new Map(local.map((item) => [idOf(item), item]))
  return {
    deletions: local.filter((item) => !theirs.has(idOf(item))),
    upserts: remote.filter((item) => {
      const own = ours.get(idOf(item))
      return own === undefined || (item.ModifyIndex > lastIndex && !sameHash(own, item))
    }),
  }
}

function sameHash(left: Hashed, right: Hashed): boolean {
  return left.Hash !== null && right.Hash !== null && Buffer.compare(left.Hash, right.Hash) === 0
}

export interface AclReplicationModules {
  readonly state: State
  readonly endpoints: Endpoints
  /** How to ask the primary: where, with which token, waiting how long. */
  readonly asking: (minIndex: number) => Partial<QueryOptions> & { readonly Datacenter: string }
}

async function inChunks<T>(items: readonly T[], size: number, work: (some: readonly T[]) => Promise<unknown>) {
  for (let from = 0; from < items.length; from += size) await work(items.slice(from, from + size))
}

export function replicatedPolicies({
  state,
  endpoints,
  asking,
}: AclReplicationModules): ReplicatedType<ACLPolicyListStub> {
  return {
    name: 'acl-policies',
    list: async (minIndex, signal) => {
      const args = ACLPolicyListRequest.of(asking(minIndex))
      const reply = await endpoints.call(acl.policyList, args, { signal })
      return { index: reply.Index, items: reply.Policies ?? [] }
    },
    local: () => state.read((tx) => tx.aclPolicies.all()).value,
    compare: (local, remote, lastIndex) => compareByHash(local, remote, ({ ID }) => ID, lastIndex),
    apply: async ({ deletions, upserts }) => {
      const policies: ACLPolicy[] = []
      await inChunks(upserts, OBJECTS_PER_READ, async (some) => {
        const args = ACLPolicyBatchGetRequest.of({ ...asking(0), PolicyIDs: some.map(({ ID }) => ID) })
        policies.push(...((await endpoints.call(acl.policyBatchRead, args)).Policies ?? []))
      })
      await inChunks(deletions, OBJECTS_PER_COMMIT, (some) =>
        state.write((tx) => some.forEach(({ ID }) => void tx.deleteAclPolicy(ID))),
      )
      await inChunks(policies, OBJECTS_PER_COMMIT, (some) =>
        state.write((tx) => some.forEach((policy) => void tx.putAclPolicy(asCopy(policy)))),
      )
    },
  }
}

export function replicatedRoles({ state, endpoints, asking }: AclReplicationModules): ReplicatedType<ACLRole> {
  return {
    name: 'acl-roles',
    list: async (minIndex, signal) => {
      const reply = await endpoints.call(acl.roleList, ACLRoleListRequest.of(asking(minIndex)), { signal })
      return { index: reply.Index, items: reply.Roles ?? [] }
    },
    local: () => state.read((tx) => tx.aclRoles.all()).value,
    compare: (local, remote, lastIndex) => compareByHash(local, remote, ({ ID }) => ID, lastIndex),
    apply: async ({ deletions, upserts }) => {
      await inChunks(deletions, OBJECTS_PER_COMMIT, (some) =>
        state.write((tx) => some.forEach(({ ID }) => void tx.deleteAclRole(ID))),
      )
      await inChunks(upserts, OBJECTS_PER_COMMIT, (some) =>
        state.write((tx) => some.forEach((role) => void tx.putAclRole(asCopy(role)))),
      )
    },
  }
}

export function replicatedTokens({
  state,
  endpoints,
  asking,
}: AclReplicationModules): ReplicatedType<ACLTokenListStub> {
  return {
    name: 'acl-tokens',
    list: async (minIndex, signal) => {
      const args = ACLTokenListRequest.of({ ...asking(minIndex), IncludeGlobal: true })
      const reply = await endpoints.call(acl.tokenList, args, { signal })
      return { index: reply.Index, items: reply.Tokens ?? [] }
    },
    local: () => state.read((tx) => tx.aclTokens.all().filter(({ Local }) => !Local)).value,
    compare: (local, remote, lastIndex) => compareByHash(local, remote, ({ AccessorID }) => AccessorID, lastIndex),
    apply: async ({ deletions, upserts }) => {
      const tokens: ACLToken[] = []
      await inChunks(upserts, OBJECTS_PER_READ, async (some) => {
        const args = ACLTokenBatchGetRequest.of({ ...asking(0), AccessorIDs: some.map((token) => token.AccessorID) })
        const { Tokens, Redacted } = await endpoints.call(acl.tokenBatchRead, args)
        if (Redacted || Tokens?.some(({ SecretID }) => SecretID === HIDDEN_SECRET)) {
          throw federationError('REPLICATION_TOKEN_TOO_WEAK', {})
        }
        tokens.push(...(Tokens ?? []))
      })
      await inChunks(deletions, OBJECTS_PER_COMMIT, (some) =>
        state.write((tx) => some.forEach(({ AccessorID }) => void tx.deleteAclToken(AccessorID))),
      )
      await inChunks(tokens, OBJECTS_PER_COMMIT, (some) =>
        state.write((tx) => some.forEach((token) => void tx.putAclToken(asCopy(token)))),
      )
    },
  }
}

/** Our own commit sets the indexes. */
function asCopy<T extends object>(record: T): T {
  return { ...record, CreateIndex: 0, ModifyIndex: 0 }
}

/** What `/v1/acl/replication` says of the replicators, by their names. */
export function aclReplicationStatus(
  primary: string,
  replicators: ReadonlyMap<string, ReplicationStatus>,
): ACLReplicationStatus {
  const policies = replicators.get('acl-policies')
  const roles = replicators.get('acl-roles')
  const tokens = replicators.get('acl-tokens')
  const all = [policies, roles, tokens].flatMap((status) => status ?? [])
  const latest = (times: readonly (number | undefined)[]) => Math.max(0, ...times.flatMap((time) => time ?? []))
  const lastErrorMs = latest(all.map((status) => status.lastErrorWallMs))
  return ACLReplicationStatus.of({
    Enabled: true,
    Running: all.some(({ running }) => running),
    SourceDatacenter: primary,
    ReplicationType: tokens === undefined ? 'policies' : 'tokens',
    ReplicatedIndex: policies?.index ?? 0,
    ReplicatedRoleIndex: roles?.index ?? 0,
    ReplicatedTokenIndex: tokens?.index ?? 0,
    LastSuccess: toSecond(latest(all.map((status) => status.lastSuccessWallMs))),
    LastError: toSecond(lastErrorMs),
    LastErrorMessage: all.find((status) => status.lastErrorWallMs === lastErrorMs)?.lastError ?? '',
  })
}

/** Rounded to seconds, in UTC. */
function toSecond(wallMs: number): string {
  return wallMs === 0 ? ZERO_TIME : new Date(Math.round(wallMs / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}
