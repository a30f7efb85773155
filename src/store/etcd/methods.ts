/** The methods of etcd's API that Hanse calls: where they are, what they take and answer. */
import {
  type EtcdHeader as EtcdHeaderMessage,
  EtcdLeaseGrant,
  EtcdLeaseGrantReply,
  EtcdLeaseId,
  EtcdLeaseKeepAliveReply,
  EtcdLeaseRevokeReply,
  EtcdMemberAdd,
  EtcdMemberAdded,
  EtcdMemberId,
  EtcdMemberList,
  EtcdMembers,
  EtcdMemberUpdate,
  EtcdNothing,
  EtcdRange,
  EtcdRangeReply,
  EtcdStatus,
  EtcdTxn,
  EtcdTxnReply,
  EtcdWatch,
  EtcdWatchReply,
  type MessageOf,
  type ProtobufMessage,
} from '#codec'

export type EtcdHeader = MessageOf<typeof EtcdHeaderMessage>

export interface EtcdMethod<Q, R> {
  readonly path: string
  readonly request: ProtobufMessage<Q>
  readonly reply: ProtobufMessage<R>
  /** The header of a reply that shows the newest state of etcd: which etcd it is, and no older revision than any before. */
  readonly newest?: (reply: R) => EtcdHeader | null
  /** The leader of etcd's members is asked first, where it is known: others would only hand it on to that one. */
  readonly byLeader?: boolean
}

function method<Q, R>(
  path: string,
  request: ProtobufMessage<Q>,
  reply: ProtobufMessage<R>,
  newest?: (reply: R) => EtcdHeader | null,
): EtcdMethod<Q, R> {
  return { path: `/etcdserverpb.${path}`, request, reply, ...(newest && { newest }) }
}

export const range = method('KV/Range', EtcdRange, EtcdRangeReply, ({ header }) => header)
export const txn = { ...method('KV/Txn', EtcdTxn, EtcdTxnReply, ({ header }) => header), byLeader: true }
export const watch = method('Watch/Watch', EtcdWatch, EtcdWatchReply)
export const leaseGrant = method('Lease/LeaseGrant', EtcdLeaseGrant, EtcdLeaseGrantReply)
export const leaseRevoke = method('Lease/LeaseRevoke', EtcdLeaseId, EtcdLeaseRevokeReply)
export const leaseKeepAlive = method('Lease/LeaseKeepAlive', EtcdLeaseId, EtcdLeaseKeepAliveReply)
export const memberList = method('Cluster/MemberList', EtcdMemberList, EtcdMembers)
export const memberAdd = method('Cluster/MemberAdd', EtcdMemberAdd, EtcdMemberAdded)
export const memberRemove = method('Cluster/MemberRemove', EtcdMemberId, EtcdMembers)
export const memberPromote = method('Cluster/MemberPromote', EtcdMemberId, EtcdMembers)
export const memberUpdate = method('Cluster/MemberUpdate', EtcdMemberUpdate, EtcdMembers)
export const status = method('Maintenance/Status', EtcdNothing, EtcdStatus)
