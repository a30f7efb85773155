/**
 * Transactions: operations on keys, nodes, services, checks and sessions that happen together, and what came of each.
 *
 * On the wire an operation on a key carries its entry; in HTTP's JSON the fields stand beside the verb (TxnBodyOp).
 */
import { goJsonError } from '../go-json-errors.ts'
import {
  any,
  bool,
  bytes,
  int,
  jsonOmitEmpty,
  list,
  pointer,
  string,
  struct,
  uint,
  uint64,
  withJson,
} from '../schema.ts'
import { HealthCheck, Node, NodeService } from './catalog.ts'
import { durationNs, queryOptions } from './common.ts'
import { DirEntry } from './kv.ts'
import { Session } from './session.ts'

export const TxnKVOp = struct('TxnKVOp', { Verb: string, DirEnt: DirEntry })
export type TxnKVOp = ReturnType<typeof TxnKVOp.of>
export const TxnNodeOp = struct('TxnNodeOp', { Verb: string, Node })
export type TxnNodeOp = ReturnType<typeof TxnNodeOp.of>
export const TxnServiceOp = struct('TxnServiceOp', { Verb: string, Node: string, Service: NodeService })
export type TxnServiceOp = ReturnType<typeof TxnServiceOp.of>
export const TxnCheckOp = struct('TxnCheckOp', { Verb: string, Check: HealthCheck })
export type TxnCheckOp = ReturnType<typeof TxnCheckOp.of>
export const TxnSessionOp = struct('TxnSessionOp', { Verb: string, Session })
export type TxnSessionOp = ReturnType<typeof TxnSessionOp.of>

/** One of them is set. `Intention` is of old versions and refused. */
export const TxnOp = struct('TxnOp', {
  KV: pointer(TxnKVOp),
  Node: pointer(TxnNodeOp),
  Service: pointer(TxnServiceOp),
  Check: pointer(TxnCheckOp),
  Session: pointer(TxnSessionOp),
  Intention: pointer(any),
})
export type TxnOp = ReturnType<typeof TxnOp.of>

export const TxnRequest = struct('TxnRequest', { Datacenter: string, Ops: list(TxnOp), Token: string })
export type TxnRequest = ReturnType<typeof TxnRequest.of>
export const TxnReadRequest = struct('TxnReadRequest', { Datacenter: string, Ops: list(TxnOp), ...queryOptions })
export type TxnReadRequest = ReturnType<typeof TxnReadRequest.of>

/** A check's tags are null here where other answers show []. */
const TxnCheck = withJson(HealthCheck, {
  toJson: (check) => Object.assign(Object(HealthCheck.toJson(check)), { ServiceTags: check.ServiceTags }),
  fromJson: HealthCheck.fromJson,
})

export const TxnResult = struct('TxnResult', {
  KV: jsonOmitEmpty(pointer(DirEntry)),
  Node: jsonOmitEmpty(pointer(Node)),
  Service: jsonOmitEmpty(pointer(NodeService)),
  Check: jsonOmitEmpty(pointer(TxnCheck)),
})
export type TxnResult = ReturnType<typeof TxnResult.of>
export const TxnError = struct('TxnError', { OpIndex: int, What: string })
export type TxnError = ReturnType<typeof TxnError.of>

export const TxnResponse = struct('TxnResponse', { Results: list(TxnResult), Errors: list(TxnError) })
export type TxnResponse = ReturnType<typeof TxnResponse.of>

/** JSON shows the facts about this answer in its body. */
export const TxnReadResponse = struct('TxnReadResponse', {
  Results: list(TxnResult),
  Errors: list(TxnError),
  Index: uint,
  LastContact: durationNs,
  KnownLeader: bool,
  ConsistencyLevel: string,
  NotModified: bool,
  Backend: int,
  ResultsFilteredByACLs: bool,
})
export type TxnReadResponse = ReturnType<typeof TxnReadResponse.of>

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const base64Value = withJson(bytes, {
  toJson: bytes.toJson,
  fromJson: (json, path, options) => {
    if (typeof json === 'string' && !BASE64.test(json)) {
      throw goJsonError('JSON_DECODE', { problem: 'illegal base64 data in "Value"' })
    }
    return bytes.fromJson(json, path, options)
  },
})

const KVBodyOp = struct('KVTxnOp', {
  Verb: string,
  Key: string,
  Value: base64Value,
  Flags: uint64,
  Index: uint,
  Session: string,
})

/** An operation as the body of /v1/txn has it. */
export const TxnBodyOp = struct('TxnOp', {
  KV: pointer(KVBodyOp),
  Node: pointer(TxnNodeOp),
  Service: pointer(TxnServiceOp),
  Check: pointer(TxnCheckOp),
})
export type TxnBodyOp = ReturnType<typeof TxnBodyOp.of>
