/**
 * Internal.*: dumps for gateways, replication and the UI, user events, and the keyring (keyring.ts).
 */
import { aclError } from '#acl'
import {
  CheckServiceNode,
  DCSpecificRequest,
  EventFireRequest,
  IndexedNodeDump,
  IndexedNodesWithGateways,
  type Node,
  NodeInfo,
  NodeSpecificRequest,
  QueryMeta,
  ServiceDumpRequest,
} from '#codec'
import type { ReadTx, ServiceInstance } from '#state'
import { endpointError } from './errors.ts'
import { checkServiceNodeFields, nodeInfoFields } from './filter-fields.ts'
import { callOperation, readOperation } from './operation.ts'
import { filtered, hasMetadata, nearestFirst } from './selection.ts'
import { visibleInstances, visibleNodeInfos } from './visible.ts'

export { catalogOverview } from './catalog-overview.ts'
export { keyringOperation } from './keyring.ts'

/** All instances with their checks, or those of one kind: how other datacenters find the mesh gateways. */
export const serviceDump = readOperation({
  name: 'Internal.ServiceDump',
  args: ServiceDumpRequest,
  reply: IndexedNodesWithGateways,
  scope: 'datacenter',
  query(tx, args, context) {
    const instances = args.UseServiceKind ? tx.services.ofKind(args.ServiceKind) : tx.services.all()
    const withChecks = instances.map((instance) => checkedInstance(tx, instance))
    const kept = filtered(withChecks, args.Filter, checkServiceNodeFields)
    const Nodes = nearestFirst(kept, args.Source, context, (each) => each.Node?.Node ?? '')
    return IndexedNodesWithGateways.of({ Nodes, Gateways: [] })
  },
  filter: visibleInstances,
})

function checkedInstance(tx: ReadTx, { node, service }: ServiceInstance): CheckServiceNode {
  return CheckServiceNode.of({ Node: node, Service: service, Checks: tx.checks.forInstance(node.Node, service.ID) })
}

/** Every node with all that runs on it. */
export const nodeDump = readOperation({
  name: 'Internal.NodeDump',
  args: DCSpecificRequest,
  reply: IndexedNodeDump,
  scope: 'datacenter',
  query(tx, args) {
    const nodes = tx.nodes.all().filter(({ Meta }) => hasMetadata(args.NodeMetaFilters, Meta))
    const infos = nodes.map((node) => infoOf(tx, node))
    return IndexedNodeDump.of({ Dump: filtered(infos, args.Filter, nodeInfoFields) })
  },
  filter: visibleNodeInfos,
})

/** One node with all that runs on it; nothing for an unknown node. */
export const nodeInfo = readOperation({
  name: 'Internal.NodeInfo',
  args: NodeSpecificRequest,
  reply: IndexedNodeDump,
  scope: 'datacenter',
  check(args) {
    if (args.Node === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide node' })
  },
  query(tx, args) {
    const node = tx.nodes.get(args.Node)
    return IndexedNodeDump.of({ Dump: node === undefined ? [] : [infoOf(tx, node)] })
  },
  filter: visibleNodeInfos,
})

function infoOf(tx: ReadTx, node: Node): NodeInfo {
  return NodeInfo.of({
    ID: node.ID,
    Node: node.Node,
    Partition: node.Partition,
    PeerName: node.PeerName,
    Address: node.Address,
    TaggedAddresses: node.TaggedAddresses,
    Meta: node.Meta,
    Services: tx.services.ofNode(node.Node),
    Checks: tx.checks.ofNode(node.Node),
  })
}

/** Sends a user event to all members of the datacenter's LAN pool. */
export const eventFire = callOperation({
  name: 'Internal.EventFire',
  args: EventFireRequest,
  reply: QueryMeta,
  scope: 'datacenter',
  authorize({ Name }, rights) {
    if (!rights.allows.eventWrite(Name)) throw aclError('PERMISSION_REFUSED', { reason: '' })
  },
  async run({ ports }, { Name, Payload }) {
    if (Name === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide event name' })
    if (ports.events === undefined) throw endpointError('EVENTS_NOT_SERVED', { name: Name })
    await ports.events.fire(Name, Payload ?? Buffer.alloc(0))
    return QueryMeta.of({ Index: 1, KnownLeader: true })
  },
})
