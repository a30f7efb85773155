/**
 * Txn.*: several operations at once: all of them are done, or none, and each sees what those before it wrote.
 *
 * Whatever keeps an operation from being done (a condition that is not met, a right that is missing) is an error of
 * that operation in the reply; all are looked at, so that a caller sees every error at once.
 */
import { HanseError, messageOf } from '#base'
import { type TxnError, type TxnOp, TxnReadRequest, TxnReadResponse, TxnRequest, TxnResponse, TxnResult } from '#codec'
import type { ReadTx, WriteTx } from '#state'
import { endpointError } from './errors.ts'
import { catchUp, contactOf, freshEnough, stamped } from './freshness.ts'
import { type CallContext, callOperation, writeOperation } from './operation.ts'
import {
  readCheck,
  readNode,
  readService,
  writeCheck,
  writeNodeOp,
  writeService,
  writeSession,
  writesCatalog,
} from './txn-catalog.ts'
import { readKv, writeKv, writesKv } from './txn-kv.ts'
import { failed, type Parts, type Performed } from './txn-parts.ts'

/** Most operations of one transaction. */
export const MAX_TXN_OPERATIONS = 128

const EACH_DECIDES = 'each operation in it says who may do it'

/** Whether an operation changes anything. A transaction without such is only read. */
export function isTxnWrite({ KV, Node, Service, Check, Session }: TxnOp): boolean {
  if (KV !== null) return writesKv(KV)
  if (Session !== null) return true
  const op = Node ?? Service ?? Check
  return op !== null && writesCatalog(op)
}

function readOne(tx: ReadTx, { KV, Node, Service, Check, Session, Intention }: TxnOp, parts: Parts): Performed {
  if (KV !== null) return readKv(tx, KV, parts)
  if (Node !== null) return readNode(tx, Node, parts)
  if (Service !== null) return readService(tx, Service, parts)
  if (Check !== null) return readCheck(tx, Check, parts)
  if (Session !== null) throw failed('sessions cannot be ended by a transaction that is only read')
  if (Intention !== null) throw failed('intentions are not written by transactions')
  return []
}

function writeOne(tx: WriteTx, op: TxnOp, parts: Parts): Performed {
  const { KV, Node, Service, Check, Session } = op
  if (!isTxnWrite(op)) return readOne(tx, op, parts)
  if (KV !== null) return writeKv(tx, KV, parts)
  if (Node !== null) return writeNodeOp(tx, Node, parts)
  if (Service !== null) return writeService(tx, Service, parts)
  if (Check !== null) return writeCheck(tx, Check, parts)
  return Session === null ? [] : writeSession(tx, Session, parts)
}

/** Ends a transaction whose operations cannot all be done. */
class Refused extends Error {
  readonly errors: readonly TxnError[]

  constructor(errors: readonly TxnError[]) {
    super('the transaction is refused')
    this.errors = errors
  }
}

const isDenial = (error: HanseError): boolean => error.code === 'PERMISSION_DENIED'

/** Runs every operation. @throws Refused with what failed, or only with the missing rights where there are such */
function runAll(ops: readonly TxnOp[], run: (op: TxnOp) => Performed): readonly TxnResult[] {
  const results: TxnResult[] = []
  const errors: { readonly error: HanseError; readonly OpIndex: number }[] = []
  for (const [OpIndex, op] of ops.entries()) {
    try {
      results.push(...run(op).map((shown) => TxnResult.of(shown)))
    } catch (error) {
      if (!(error instanceof HanseError)) throw error
      errors.push({ error, OpIndex })
    }
  }
  if (errors.length === 0) return results
  const told = errors.some(({ error }) => isDenial(error)) ? errors.filter(({ error }) => isDenial(error)) : errors
  throw new Refused(told.map(({ error, OpIndex }) => ({ OpIndex, What: messageOf(error) })))
}

function opsOf({ Ops }: { readonly Ops: readonly TxnOp[] | null }): readonly TxnOp[] {
  const ops = Ops ?? []
  if (ops.length > MAX_TXN_OPERATIONS) {
    throw endpointError('TXN_TOO_LARGE', { operations: ops.length, limit: MAX_TXN_OPERATIONS })
  }
  return ops
}

const partsOf = ({ datacenter, rights, acl }: CallContext): Parts => ({ datacenter, rights, acl })

/** What was written shows the index that it got. */
function committed(result: TxnResult, pending: number, index: number): TxnResult {
  const stamped = <T extends { readonly CreateIndex: number; readonly ModifyIndex: number }>(shown: T | null) =>
    shown?.ModifyIndex === pending
      ? { ...shown, CreateIndex: shown.CreateIndex === pending ? index : shown.CreateIndex, ModifyIndex: index }
      : shown
  const { KV, Node, Service, Check } = result
  return { KV: stamped(KV), Node: stamped(Node), Service: stamped(Service), Check: stamped(Check) }
}

/** Does all of the operations, or none. */
export const apply = writeOperation({
  name: 'Txn.Apply',
  args: TxnRequest,
  reply: TxnResponse,
  scope: 'datacenter',
  anyone: EACH_DECIDES,
  bearer: ({ Token }) => Token,
  async run(context, args) {
    const ops = opsOf(args)
    const parts = partsOf(context)
    try {
      const work = (tx: WriteTx) => ({
        pending: tx.pendingIndex,
        results: runAll(ops, (op) => writeOne(tx, op, parts)),
      })
      const { value, index } = await context.state.write(work, { whole: true })
      return TxnResponse.of({ Results: value.results.map((each) => committed(each, value.pending, index)) })
    } catch (error) {
      if (error instanceof Refused) return TxnResponse.of({ Errors: error.errors })
      throw error
    }
  },
})

/** Does operations that change nothing, all on one picture of the tables. */
export const read = callOperation({
  name: 'Txn.Read',
  args: TxnReadRequest,
  reply: TxnReadResponse,
  scope: 'datacenter',
  anyone: EACH_DECIDES,
  bearer: ({ Token }) => Token,
  async run(context, args) {
    const ops = opsOf(args)
    const parts = partsOf(context)
    const { freshness } = context.ports
    if (!freshEnough(freshness, args)) await catchUp({ ...context, freshness }, args)
    try {
      const { value } = context.state.read((tx) => runAll(ops, (op) => readOne(tx, op, parts)))
      return stamped(TxnReadResponse.of({ Results: value, Index: 1, KnownLeader: true }), contactOf(freshness))
    } catch (error) {
      if (error instanceof Refused) return TxnReadResponse.of({ Errors: error.errors })
      throw error
    }
  },
})
