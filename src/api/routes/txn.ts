/**
 * /v1/txn: several operations at once. One that only reads says how fresh its answer is.
 *
 * Sessions are not among the operations here, as they are not in Consul's HTTP API; over RPC they are.
 */
import { HanseError, messageOf } from '#base'
import {
  DirEntry,
  parseGoJson,
  TxnBodyOp,
  TxnOp,
  TxnReadRequest,
  TxnReadResponse,
  TxnRequest,
  TxnResponse,
} from '#codec'
import { endpointError, txn } from '#endpoints'
import { apiError } from '../errors.ts'
import { type Answer, jsonAnswer } from '../http/answer.ts'
import { readOptions } from '../http/read-options.ts'
import { call, type Route } from '../http/route.ts'
import type { RoutePorts } from './read-route.ts'

/** `limits.txn_max_req_len` where nothing else is set. */
export const DEFAULT_TXN_MAX_BYTES = 524_288
const CONFLICT = 409
const NS_PER_MS = 1e6

export function txnRoutes(ports: RoutePorts, maxBytes: number): Route[] {
  const put = call(async (request) => {
    const body = await request.body(maxBytes, (size) => apiError('TXN_BODY_TOO_LARGE', { size, limit: maxBytes }))
    const Ops = operationsOf(body.toString())
    const { datacenter: Datacenter, query, pretty } = request
    if (Ops.some(txn.isTxnWrite)) {
      const reply = await ports.endpoints.call(txn.apply, TxnRequest.of({ Datacenter, Ops }), request)
      return answer(reply.Errors, TxnResponse.toJson(reply), pretty)
    }
    const { AllowStale, RequireConsistent, MaxStaleDuration } = readOptions(query)
    const args = TxnReadRequest.of({ Datacenter, Ops, AllowStale, RequireConsistent, MaxStaleDuration })
    const reply = await ports.endpoints.call(txn.read, args, request)
    const facts = [
      'X-Consul-Knownleader',
      String(reply.KnownLeader),
      'X-Consul-Lastcontact',
      String(Math.round(reply.LastContact / NS_PER_MS)),
    ]
    return answer(reply.Errors, TxnReadResponse.toJson(reply), pretty, facts)
  })
  return [{ pattern: '/v1/txn', methods: { PUT: put } }]
}

function answer(errors: readonly unknown[] | null, json: unknown, pretty: boolean, headers: string[] = []): Answer {
  const made = jsonAnswer(json, pretty, headers)
  return errors === null || errors.length === 0 ? made : { ...made, status: CONFLICT }
}

/** @throws HanseError TXN_BODY, TXN_TOO_LARGE */
function operationsOf(body: string): readonly TxnOp[] {
  let items: unknown
  try {
    items = parseGoJson(body)
  } catch (error) {
    throw bad(error)
  }
  if (items === null) return []
  if (!Array.isArray(items)) {
    const got = typeof items === 'boolean' ? 'bool' : typeof items === 'bigint' ? 'number' : typeof items
    throw apiError('TXN_BODY', { problem: `json: cannot unmarshal ${got} into Go value of type api.TxnOps` })
  }
  if (items.length > txn.MAX_TXN_OPERATIONS) {
    throw endpointError('TXN_TOO_LARGE', { operations: items.length, limit: txn.MAX_TXN_OPERATIONS })
  }
  try {
    return items.map((item, at) => operation(TxnBodyOp.fromJson(item, `TxnOps[${at}]`, { unknownKeys: 'refuse' })))
  } catch (error) {
    throw bad(error)
  }
}

/** The problem in other words: other bodies' errors begin otherwise. */
function bad(error: unknown): unknown {
  if (!(error instanceof HanseError)) return error
  return apiError('TXN_BODY', { problem: messageOf(error).replace('Request decode failed: ', '') }, error)
}

function operation({ KV, ...others }: TxnBodyOp): TxnOp {
  if (KV === null) return TxnOp.of(others)
  const { Verb, Key, Value, Flags, Index, Session } = KV
  return TxnOp.of({ ...others, KV: { Verb, DirEnt: DirEntry.of({ Key, Value, Flags, ModifyIndex: Index, Session }) } })
}
