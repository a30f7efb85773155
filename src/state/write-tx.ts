/**
 * What a WriteTx can do, and the rules of the catalog that hold whoever writes: a service needs its node, a check its
 * service; what goes takes along what is on it, and ends the sessions that depend on it; a check shows its service's
 * name and tags.
 *
 * What belongs together over several keys is guarded, so that it holds with many servers too: who adds something to a
 * node touches the node's guard, who takes away everything on it relies on the guard being untouched.
 */
import { configEntryName, type HealthCheck, type Node, type NodeService } from '#codec'
import { type AclWrites, aclWrites } from './acl-accessors.ts'
import { type CAWrites, caWrites } from './ca-accessors.ts'
import { checkKey, configEntryKey, coordinateKey, instanceKey, nodeKey, serviceKey } from './declarations.ts'
import { stateError } from './errors.ts'
import { firstPart, foldCase, orderOf } from './keys.ts'
import { type OperatorWrites, operatorWrites } from './operator-accessors.ts'
import type { Plan } from './plan.ts'
import { createReads } from './reads.ts'
import {
  endSessionsOfCheck,
  endSessionsOfInstance,
  endSessionsOfNode,
  type SessionWrites,
  sessionWrites,
} from './session-accessors.ts'
import type { Row, Table } from './table.ts'
import type { WriteTx } from './transactions.ts'

export function createWrites(plan: Plan): WriteTx {
  return {
    ...createReads(plan),
    ...nodeWrites(plan),
    ...serviceWrites(plan),
    ...checkWrites(plan),
    ...otherWrites(plan),
    ...aclWrites(plan),
    ...caWrites(plan),
    ...operatorWrites(plan),
    ...sessionWrites(plan),
    get pendingIndex() {
      return plan.pendingIndex
    },
  }
}

const nodeGuard = (node: string): string => `node:${node}`
const nodeIdGuard = (id: string): string => `node-id:${id}`

/** The node that something is to be put on. @throws STATE_MISSING_NODE */
function requireNode(plan: Plan, name: string): Row<Node> {
  const { nodes } = plan.tables()
  const key = nodeKey(name)
  plan.see(nodes.recordTopic(key))
  const row = nodes.get(key)
  if (row === undefined) throw stateError('STATE_MISSING_NODE', {})
  return row
}

function deleteAll<T extends object>(plan: Plan, table: Table<T>, index: string, value: string): void {
  for (const { key } of [...(table.bucket(index, value) ?? [])]) plan.delete(table, key, true)
}

function nodeWrites(plan: Plan): Pick<WriteTx, 'putNode' | 'deleteNode'> {
  const deleteNode = (name: string): boolean => {
    const { nodes, services, checks, coordinates } = plan.tables()
    const key = nodeKey(name)
    plan.see(nodes.recordTopic(key))
    if (nodes.get(key) === undefined) return false
    plan.relyOnGuard(nodeGuard(key))
    endSessionsOfNode(plan, key)
    deleteAll(plan, checks, 'node', key)
    deleteAll(plan, services, 'node', key)
    deleteAll(plan, coordinates, 'node', key)
    return plan.delete(nodes, key)
  }
  return {
    deleteNode,
    putNode(node) {
      const { nodes } = plan.tables()
      const key = nodeKey(node.Node)
      const old = nodes.get(key)
      const namesake = node.ID === '' ? undefined : [...(nodes.bucket('id', foldCase(node.ID)) ?? [])][0]
      const renamed = namesake !== undefined && namesake.key !== key ? namesake.value : undefined
      if (renamed) deleteNode(renamed.Node)
      if (node.ID !== '' && foldCase(node.ID) !== foldCase(old?.value.ID ?? ''))
        plan.takeGuard(nodeIdGuard(foldCase(node.ID)))
      if (old && old.value.Node !== node.Node) respell(plan, key, node.Node)
      return plan.put(nodes, key, node, { inherit: renamed?.CreateIndex })
    },
  }
}

/** The node's name is written otherwise now; what repeats it follows. */
function respell(plan: Plan, key: string, name: string): void {
  const { checks, coordinates } = plan.tables()
  plan.relyOnGuard(nodeGuard(key))
  for (const row of [...(checks.bucket('node', key) ?? [])]) plan.put(checks, row.key, { ...row.value, Node: name })
  for (const row of [...(coordinates.bucket('node', key) ?? [])]) {
    plan.put(coordinates, row.key, { ...row.value, Node: name })
  }
}

function serviceWrites(plan: Plan): Pick<WriteTx, 'putService' | 'deleteService'> {
  return {
    putService(node, service) {
      const { services } = plan.tables()
      requireNode(plan, node)
      const key = serviceKey(node, service.ID)
      const old = services.get(key)
      const changed = plan.put(services, key, service)
      if (old === undefined) plan.touchGuard(nodeGuard(nodeKey(node)))
      else if (changed) passOnToChecks(plan, node, old.value, service)
      return changed
    },
    deleteService(node, id) {
      const { services, checks } = plan.tables()
      const key = serviceKey(node, id)
      plan.see(services.recordTopic(key))
      if (services.get(key) === undefined) return false
      plan.relyOnGuard(nodeGuard(nodeKey(node)))
      if (id !== '') {
        endSessionsOfInstance(plan, node, id)
        deleteAll(plan, checks, 'instance', instanceKey(node, id))
      }
      return plan.delete(services, key)
    },
  }
}

/** Checks show the name and tags of their service. */
function passOnToChecks(plan: Plan, node: string, old: NodeService, service: NodeService): void {
  const tags = (from: NodeService) => from.Tags?.join('\0') ?? null
  if (service.ID === '' || (old.Service === service.Service && tags(old) === tags(service))) return
  const { checks } = plan.tables()
  plan.relyOnGuard(nodeGuard(nodeKey(node)))
  for (const row of [...(checks.bucket('instance', instanceKey(node, service.ID)) ?? [])]) {
    plan.put(checks, row.key, { ...row.value, ServiceName: service.Service, ServiceTags: service.Tags })
  }
}

function checkWrites(plan: Plan): Pick<WriteTx, 'putCheck' | 'deleteCheck'> {
  /** The check as it is kept. @throws STATE_MISSING_SERVICE */
  const complete = (check: HealthCheck, node: Row<Node>): HealthCheck => {
    const named = { ...check, Node: node.value.Node }
    if (check.ServiceID === '') return named
    const { services } = plan.tables()
    const key = serviceKey(node.key, check.ServiceID)
    plan.see(services.recordTopic(key))
    const service = services.get(key)?.value
    if (service === undefined) throw stateError('STATE_MISSING_SERVICE', {})
    return { ...named, ServiceName: service.Service, ServiceTags: service.Tags }
  }
  return {
    putCheck(check) {
      const { checks } = plan.tables()
      const node = requireNode(plan, check.Node)
      const key = checkKey(check.Node, check.CheckID)
      const old = checks.get(key)
      if (old?.value.ServiceID !== check.ServiceID) plan.touchGuard(nodeGuard(node.key))
      // What was critical, or was not there, has no sessions.
      if (check.Status === 'critical' && old !== undefined && old.value.Status !== 'critical') {
        endSessionsOfCheck(plan, node.key, key)
      }
      return plan.put(checks, key, complete(check, node))
    },
    deleteCheck(node, checkId) {
      const { checks } = plan.tables()
      const key = checkKey(node, checkId)
      if (checks.get(key) !== undefined) endSessionsOfCheck(plan, nodeKey(node), key)
      return plan.delete(checks, key)
    },
  }
}

/** Entries are written one at a time: whether one may be is decided by what the others say. */
function oneAtATime(plan: Plan, changed: boolean): boolean {
  if (changed) plan.takeGuard('config-entries')
  return changed
}

type OtherWrites = Omit<
  WriteTx,
  | keyof ReturnType<typeof createReads>
  | keyof AclWrites
  | keyof CAWrites
  | keyof OperatorWrites
  | keyof SessionWrites
  | 'pendingIndex'
  | 'putNode'
  | 'deleteNode'
  | 'putService'
  | 'deleteService'
  | 'putCheck'
  | 'deleteCheck'
>

function otherWrites(plan: Plan): OtherWrites {
  return {
    putKv: (entry) => plan.put(plan.tables().kv, entry.Key, entry),
    deleteKv: (key) => plan.delete(plan.tables().kv, key),
    deleteKvTree(prefix) {
      const { kv } = plan.tables()
      const keys: string[] = []
      kv.rows.visit(orderOf(prefix), ({ key }) => {
        keys.push(key)
        return keys.length < plan.bulkLimit
      })
      for (const key of keys) plan.delete(kv, key, true)
      return keys.length > 0 || plan.resumed
    },
    putCoordinate(coordinate) {
      const { coordinates } = plan.tables()
      const node = requireNode(plan, coordinate.Node)
      const key = coordinateKey(coordinate.Node, coordinate.Segment)
      if (coordinates.get(key) === undefined) plan.touchGuard(nodeGuard(firstPart(key)))
      return plan.put(coordinates, key, { ...coordinate, Node: node.value.Node })
    },
    putFederationState: (state) => plan.put(plan.tables().federationStates, state.Datacenter, state),
    deleteFederationState: (datacenter) => plan.delete(plan.tables().federationStates, datacenter),
    putConfigEntry: (entry) =>
      oneAtATime(
        plan,
        plan.put(plan.tables().configEntries, configEntryKey(entry.Kind, configEntryName(entry)), entry),
      ),
    deleteConfigEntry: (kind, name) =>
      oneAtATime(plan, plan.delete(plan.tables().configEntries, configEntryKey(kind, name))),
  }
}
