/**
 * What Hanse says to etcd: the messages of its API v3, with the fields that Hanse uses.
 *
 * Keys are text, because all of Hanse's are; ids are 64 bits wide and stay whole as BigInt. A revision is a number.
 *
 * Source: etcd.io, "API reference" (rpc.proto, kv.proto), checked against etcd 3.4 and 3.5.
 */
import {
  count,
  encoded,
  encodedList,
  flag,
  type MessageOf,
  message,
  messages,
  optional,
  text,
  texts,
  uint64,
} from '../protobuf-message.ts'

export const EtcdHeader = message({ cluster: uint64(1), member: uint64(2), revision: count(3), term: count(4) })

export const EtcdKeyValue = message({
  key: text(1),
  createRevision: count(2),
  modRevision: count(3),
  value: encoded(5),
  lease: uint64(6),
})
export type EtcdKeyValue = MessageOf<typeof EtcdKeyValue>

export const EtcdRange = message({
  key: text(1),
  rangeEnd: text(2),
  limit: count(3),
  /** 0: the newest. */
  revision: count(4),
  /** Answered by the member that was asked, from what it has; else by a quorum. */
  serializable: flag(7),
  keysOnly: flag(8),
  countOnly: flag(9),
})
export type EtcdRange = MessageOf<typeof EtcdRange>
export const EtcdRangeReply = message({
  header: optional(1, EtcdHeader),
  kvs: messages(2, EtcdKeyValue),
  more: flag(3),
  count: count(4),
})
export type EtcdRangeReply = MessageOf<typeof EtcdRangeReply>

export const EtcdPut = message({ key: text(1), value: encoded(2), lease: uint64(3) })
const EtcdPutReply = message({ header: optional(1, EtcdHeader) })
export const EtcdDelete = message({ key: text(1), rangeEnd: text(2) })
const EtcdDeleteReply = message({ header: optional(1, EtcdHeader), deleted: count(2) })

export const ETCD_COMPARE = { createRevision: 1, modRevision: 2, value: 3 } as const
/** What is found must be equal (0) to what is given, or less. */
export const ETCD_COMPARE_LESS = 2
export const EtcdCompare = message({
  result: count(1),
  target: count(2),
  key: text(3),
  createRevision: count(5),
  modRevision: count(6),
  value: encoded(7),
  /** Every key of the range is compared. */
  rangeEnd: text(64),
})
export type EtcdCompare = MessageOf<typeof EtcdCompare>

const basic = { range: optional(1, EtcdRange), put: optional(2, EtcdPut), delete: optional(3, EtcdDelete) }
const EtcdGroup = message({ success: messages(2, message(basic)) })
/** One of them; a group of them is a transaction in the transaction. */
export const EtcdOperation = message({ ...basic, group: optional(4, EtcdGroup) })
export type EtcdOperation = MessageOf<typeof EtcdOperation>
export const EtcdOperationReply = message({
  range: optional(1, EtcdRangeReply),
  put: optional(2, EtcdPutReply),
  delete: optional(3, EtcdDeleteReply),
})

export const EtcdTxn = message({
  compare: messages(1, EtcdCompare),
  success: messages(2, EtcdOperation),
  failure: messages(3, EtcdOperation),
})
export type EtcdTxn = MessageOf<typeof EtcdTxn>
export const EtcdTxnReply = message({
  header: optional(1, EtcdHeader),
  succeeded: flag(2),
  /** Of type EtcdOperationReply. Most are not looked at. */
  replies: encodedList(3),
})
export type EtcdTxnReply = MessageOf<typeof EtcdTxnReply>

export const EtcdWatchCreate = message({
  key: text(1),
  rangeEnd: text(2),
  startRevision: count(3),
  /** Large answers may come in pieces. */
  fragment: flag(8),
})
export const EtcdWatch = message({ create: optional(1, EtcdWatchCreate) })
/** 0 is a put. */
export const ETCD_EVENT_DELETE = 1
export const EtcdEvent = message({ type: count(1), kv: optional(2, EtcdKeyValue) })
export type EtcdEvent = MessageOf<typeof EtcdEvent>
export const EtcdWatchReply = message({
  header: optional(1, EtcdHeader),
  created: flag(3),
  canceled: flag(4),
  /** Not 0: what was asked for is compacted away. */
  compactRevision: count(5),
  cancelReason: text(6),
  /** More of the same answer follows. */
  fragment: flag(7),
  events: messages(11, EtcdEvent),
})
export type EtcdWatchReply = MessageOf<typeof EtcdWatchReply>

export const EtcdLeaseGrant = message({ ttlSeconds: count(1) })
export const EtcdLeaseGrantReply = message({ header: optional(1, EtcdHeader), id: uint64(2), ttlSeconds: count(3) })
export const EtcdLeaseId = message({ id: uint64(1) })
export const EtcdLeaseRevokeReply = message({ header: optional(1, EtcdHeader) })
export const EtcdLeaseKeepAliveReply = message({ header: optional(1, EtcdHeader), id: uint64(2), ttlSeconds: count(3) })

export const EtcdMember = message({
  id: uint64(1),
  name: text(2),
  peerUrls: texts(3),
  clientUrls: texts(4),
  learner: flag(5),
})
export type EtcdMember = MessageOf<typeof EtcdMember>
export const EtcdMemberList = message({ linearizable: flag(1) })
export const EtcdMemberAdd = message({ peerUrls: texts(1), learner: flag(2) })
export const EtcdMemberId = message({ id: uint64(1) })
export const EtcdMemberUpdate = message({ id: uint64(1), peerUrls: texts(2) })
export const EtcdMembers = message({ header: optional(1, EtcdHeader), members: messages(2, EtcdMember) })
export const EtcdMemberAdded = message({
  header: optional(1, EtcdHeader),
  member: optional(2, EtcdMember),
  members: messages(3, EtcdMember),
})

export const EtcdNothing = message({})
export const EtcdStatus = message({
  header: optional(1, EtcdHeader),
  version: text(2),
  dbBytes: count(3),
  leader: uint64(4),
  raftIndex: count(5),
  raftTerm: count(6),
  raftAppliedIndex: count(7),
  errors: texts(8),
  dbBytesInUse: count(9),
  learner: flag(10),
})
export type EtcdStatus = MessageOf<typeof EtcdStatus>
