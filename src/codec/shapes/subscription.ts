/**
 * What the gRPC method `Subscribe` says: a request for a topic, and events about the instances of a service.
 *
 * The messages hold what was recorded between Consul's servers and no more: what a proxy declares about upstreams,
 * exposed paths and the like stays in its datacenter. Messages that were recorded empty are written empty.
 *
 * Source: RPC wire notes §12; vectors grpc-subscribe.json.
 */
import { anyMap } from '../protobuf-any.ts'
import {
  count,
  encoded,
  encodedList,
  flag,
  int32,
  type MessageOf,
  message,
  messageMap,
  messages,
  nested,
  optional,
  text,
  textMap,
  texts,
} from '../protobuf-message.ts'
import type { CheckServiceNode, HealthCheck, Node, NodeService } from './catalog.ts'

export const TOPIC = { serviceHealth: 1, serviceHealthConnect: 2 } as const

/** Names of the topics by their numbers, for messages. */
export const TOPIC_NAMES: readonly string[] = [
  'Unknown',
  'ServiceHealth',
  'ServiceHealthConnect',
  'MeshConfig',
  'ServiceResolver',
  'IngressGateway',
  'ServiceIntentions',
  'ServiceList',
  'ServiceDefaults',
]

export const NamedSubject = message({ Key: text(1), Namespace: text(2), Partition: text(3), PeerName: text(4) })

/** `Key`, `Namespace`, `Partition` and `PeerName` are how older servers name the subject. */
export const SubscribeRequest = message({
  Topic: count(1),
  Key: text(2),
  Token: text(3),
  Index: count(4),
  Datacenter: text(5),
  Namespace: text(6),
  Partition: text(7),
  PeerName: text(8),
  WildcardSubject: flag(9),
  NamedSubject: optional(10, NamedSubject),
})
export type SubscribeRequest = MessageOf<typeof SubscribeRequest>

/** What was never seen to hold anything. */
const Nothing = message({})
const NOTHING = {}
const RaftIndexMessage = message({ CreateIndex: count(1), ModifyIndex: count(2) })
const WeightsMessage = message({ Passing: int32(1), Warning: int32(2) })
const AddressMessage = message({ Address: text(1), Port: int32(2) })
const MeshGatewayMessage = message({ Mode: text(1) })
/** Four messages that are always there and were never seen to hold anything. */
const DefinitionMessage = message({
  Sixth: nested(6, Nothing),
  Seventh: nested(7, Nothing),
  Eighth: nested(8, Nothing),
  Seventeenth: nested(17, Nothing),
})
const DEFINITION = { Sixth: NOTHING, Seventh: NOTHING, Eighth: NOTHING, Seventeenth: NOTHING }

export const NodeMessage = message({
  ID: text(1),
  Node: text(2),
  Address: text(3),
  Datacenter: text(4),
  TaggedAddresses: textMap(5),
  Meta: textMap(6),
  RaftIndex: nested(7, RaftIndexMessage),
  Partition: text(8),
  PeerName: text(9),
})

const ProxyMessage = message({
  DestinationServiceName: text(1),
  DestinationServiceID: text(2),
  LocalServiceAddress: text(3),
  LocalServicePort: int32(4),
  Config: anyMap(5),
  MeshGateway: nested(7, MeshGatewayMessage),
  Expose: nested(8, Nothing),
  TransparentProxy: nested(10, Nothing),
  AccessLogs: nested(13, Nothing),
})

export const NodeServiceMessage = message({
  Kind: text(1),
  ID: text(2),
  Service: text(3),
  Tags: texts(4),
  Address: text(5),
  Meta: textMap(6),
  Port: int32(7),
  Weights: optional(8, WeightsMessage),
  EnableTagOverride: flag(9),
  Proxy: nested(11, ProxyMessage),
  Connect: nested(12, Nothing),
  LocallyRegisteredAsSidecar: flag(13),
  RaftIndex: nested(14, RaftIndexMessage),
  TaggedAddresses: messageMap(15, AddressMessage),
  EnterpriseMeta: nested(16, Nothing),
  SocketPath: text(17),
  PeerName: text(18),
})

export const HealthCheckMessage = message({
  Node: text(1),
  CheckID: text(2),
  Name: text(3),
  Status: text(4),
  Notes: text(5),
  Output: text(6),
  ServiceID: text(7),
  ServiceName: text(8),
  ServiceTags: texts(9),
  Definition: nested(10, DefinitionMessage),
  RaftIndex: nested(11, RaftIndexMessage),
  Type: text(12),
  EnterpriseMeta: nested(13, Nothing),
  Interval: text(15),
})

export const CheckServiceNodeMessage = message({
  Node: optional(1, NodeMessage),
  Service: optional(2, NodeServiceMessage),
  Checks: messages(3, HealthCheckMessage),
})

export const HEALTH_OP = { register: 0, deregister: 1 } as const

/** An instance that came, changed or went; it as a CheckServiceNodeMessage. */
export const ServiceHealthUpdate = message({ Op: count(1), CheckServiceNode: encoded(2) })

/** One of what follows the index is there; `EventBatch` is an EventBatch. */
export const SubscribeEvent = message({
  Index: count(1),
  EndOfSnapshot: flag(2),
  NewSnapshotToFollow: flag(3),
  EventBatch: encoded(4),
  ServiceHealth: optional(10, ServiceHealthUpdate),
})
export type SubscribeEvent = MessageOf<typeof SubscribeEvent>

const NO_EVENT: SubscribeEvent = {
  Index: 0,
  EndOfSnapshot: false,
  NewSnapshotToFollow: false,
  EventBatch: null,
  ServiceHealth: null,
}

/** The bytes of one event, with zero values for what is not given. */
export function subscribeEvent(given: Partial<SubscribeEvent>): Buffer {
  return SubscribeEvent.encode({ ...NO_EVENT, ...given })
}

/** Several events that happened at once, each the bytes of a SubscribeEvent. */
export const EventBatch = message({ Events: encodedList(1) })

/** An instance as its message's bytes. */
export function encodeInstance({ Node, Service, Checks }: CheckServiceNode): Buffer {
  return CheckServiceNodeMessage.encode({
    Node: Node && nodeMessage(Node),
    Service: Service && serviceMessage(Service),
    Checks: Checks?.map(checkMessage) ?? null,
  })
}

function nodeMessage(node: Node): MessageOf<typeof NodeMessage> {
  return { ...node, RaftIndex: node }
}

function serviceMessage(service: NodeService): MessageOf<typeof NodeServiceMessage> {
  return {
    ...service,
    Proxy: { ...service.Proxy, Expose: NOTHING, TransparentProxy: NOTHING, AccessLogs: NOTHING },
    Connect: NOTHING,
    RaftIndex: service,
    EnterpriseMeta: NOTHING,
  }
}

function checkMessage(check: HealthCheck): MessageOf<typeof HealthCheckMessage> {
  return { ...check, Definition: DEFINITION, RaftIndex: check, EnterpriseMeta: NOTHING }
}
