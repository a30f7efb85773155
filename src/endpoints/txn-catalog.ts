/**
 * What a transaction does to nodes, services, checks and sessions: the rules and rights of Catalog.Register and
 * Catalog.Deregister, with conditions on indexes.
 */
import { RegisterRequest, type TxnCheckOp, type TxnNodeOp, type TxnServiceOp, type TxnSessionOp } from '#codec'
import type { ReadTx, WriteTx } from '#state'
import { checkNode, completeCheck, completeService, writeNode } from './catalog-write.ts'
import { failed, type Parts, type Performed, unknownVerb } from './txn-parts.ts'

/** Verbs that all three have. */
const WRITES: ReadonlySet<string> = new Set(['set', 'cas', 'delete', 'delete-cas'])

export function writesCatalog({ Verb }: { readonly Verb: string }): boolean {
  return WRITES.has(Verb)
}

/** @throws HanseError when a conditional write has another index than what is there; 0 is nothing there */
function checkIndex(verb: string, known: number | undefined, given: number, what: string): void {
  if (verb === 'cas' && (known ?? 0) !== given) throw failed(`failed to set ${what}, index is stale`)
  if (verb === 'delete-cas' && known !== undefined && known !== given) {
    throw failed(`failed to delete ${what}, index is stale`)
  }
}

/** By its ID, which wins, or by its name. */
function findNode(tx: ReadTx, { Node }: TxnNodeOp) {
  const name =
    (Node.ID === '' ? undefined : tx.nodes.byId(Node.ID))?.Node ?? (Node.ID === '' || Node.Node ? Node.Node : '')
  return { name, known: tx.nodes.get(name) }
}

export function readNode(tx: ReadTx, op: TxnNodeOp, { rights }: Parts): Performed {
  if (op.Verb !== 'get') throw unknownVerb('Node', op.Verb)
  const { name, known } = findNode(tx, op)
  rights.need(rights.allows.nodeRead(name), 'node:read', name)
  if (known === undefined) throw failed(`node ${JSON.stringify(name)} doesn't exist`)
  return [{ Node: known }]
}

export function writeNodeOp(tx: WriteTx, op: TxnNodeOp, { rights, datacenter }: Parts): Performed {
  const { name, known } = findNode(tx, op)
  for (const each of new Set([name, op.Node.Node])) {
    if (each !== '') rights.need(rights.allows.nodeWrite(each), 'node:write', each)
  }
  if (name === '') throw failed('Must provide node')
  checkIndex(op.Verb, known?.ModifyIndex, op.Node.ModifyIndex, `node ${JSON.stringify(name)}`)
  if (op.Verb.startsWith('delete')) {
    tx.deleteNode(name)
    return []
  }
  const { ID, Node, Address, TaggedAddresses, Meta, Locality } = op.Node
  const args = RegisterRequest.of({ ID, Node, Address, TaggedAddresses, NodeMeta: Meta, Locality })
  checkNode(args)
  const written = tx.nodes.get(writeNode(tx, args, datacenter))
  return written === undefined ? [] : [{ Node: written }]
}

const serviceIdOf = ({ Service }: TxnServiceOp): string => Service.ID || Service.Service
const serviceName = (op: TxnServiceOp): string =>
  `service ${JSON.stringify(serviceIdOf(op))} on node ${JSON.stringify(op.Node)}`

export function readService(tx: ReadTx, op: TxnServiceOp, { rights }: Parts): Performed {
  if (op.Verb !== 'get') throw unknownVerb('Service', op.Verb)
  const known = tx.services.get(op.Node, serviceIdOf(op))
  const named = known?.Service ?? op.Service.Service
  rights.need(rights.allows.serviceRead(named), 'service:read', named)
  if (known === undefined) throw failed(`${serviceName(op)} doesn't exist`)
  return [{ Service: known }]
}

export function writeService(tx: WriteTx, op: TxnServiceOp, { rights }: Parts): Performed {
  if (op.Node === '') throw failed('Must provide node')
  const id = serviceIdOf(op)
  const known = tx.services.get(op.Node, id)
  const deletes = op.Verb.startsWith('delete')
  const names = new Set([known?.Service ?? op.Service.Service, ...(deletes ? [] : [op.Service.Service])])
  // Who may write the node may take everything from it.
  if (!deletes || !rights.allows.nodeWrite(op.Node)) {
    for (const name of names) rights.need(rights.allows.serviceWrite(name), 'service:write', name)
  }
  checkIndex(op.Verb, known?.ModifyIndex, op.Service.ModifyIndex, serviceName(op))
  if (deletes) {
    tx.deleteService(op.Node, id)
    return []
  }
  tx.putService(op.Node, completeService(op.Service))
  const written = tx.services.get(op.Node, id)
  return written === undefined ? [] : [{ Service: written }]
}

const checkIdOf = ({ Check }: TxnCheckOp): string => Check.CheckID || Check.Name
const checkName = (op: TxnCheckOp): string =>
  `check ${JSON.stringify(checkIdOf(op))} on node ${JSON.stringify(op.Check.Node)}`

/** The service that a check is of; empty for those of a node. */
function serviceOfCheck(tx: ReadTx, op: TxnCheckOp): string {
  const { Node, ServiceID, ServiceName } = tx.checks.get(op.Check.Node, checkIdOf(op)) ?? op.Check
  return ServiceID === '' ? '' : (tx.services.get(Node, ServiceID)?.Service ?? ServiceName)
}

export function readCheck(tx: ReadTx, op: TxnCheckOp, { rights }: Parts): Performed {
  if (op.Verb !== 'get') throw unknownVerb('Check', op.Verb)
  const service = serviceOfCheck(tx, op)
  if (service === '') rights.need(rights.allows.nodeRead(op.Check.Node), 'node:read', op.Check.Node)
  else rights.need(rights.allows.serviceRead(service), 'service:read', service)
  const known = tx.checks.get(op.Check.Node, checkIdOf(op))
  if (known === undefined) throw failed(`${checkName(op)} doesn't exist`)
  return [{ Check: known }]
}

export function writeCheck(tx: WriteTx, op: TxnCheckOp, { rights }: Parts): Performed {
  const { Node, ServiceID, ServiceName, ModifyIndex } = op.Check
  if (Node === '') throw failed('Must provide node')
  const deletes = op.Verb.startsWith('delete')
  const added = ServiceID === '' ? '' : (tx.services.get(Node, ServiceID)?.Service ?? ServiceName)
  for (const service of new Set([serviceOfCheck(tx, op), ...(deletes ? [] : [added])])) {
    if (deletes && rights.allows.nodeWrite(Node)) continue
    if (service === '') rights.need(rights.allows.nodeWrite(Node), 'node:write', Node)
    else rights.need(rights.allows.serviceWrite(service), 'service:write', service)
  }
  const id = checkIdOf(op)
  checkIndex(op.Verb, tx.checks.get(Node, id)?.ModifyIndex, ModifyIndex, checkName(op))
  if (deletes) {
    tx.deleteCheck(Node, id)
    return []
  }
  tx.putCheck(completeCheck(op.Check, Node))
  const written = tx.checks.get(Node, id)
  return written === undefined ? [] : [{ Check: written }]
}

/** Sessions can only be ended. */
export function writeSession(tx: WriteTx, { Verb, Session: { ID } }: TxnSessionOp, { rights }: Parts): Performed {
  if (Verb !== 'delete') throw unknownVerb('Session', Verb)
  const known = tx.sessions.get(ID)
  if (known === undefined) return []
  rights.need(rights.allows.sessionWrite(known.Node), 'session:write', known.Node)
  tx.endSession(ID)
  return []
}
