/**
 * Subscribe: the instances of one service as a stream of events, for the servers of other datacenters and their proxies.
 *
 * First every instance, then the end of the snapshot, then each change. It is the read of Health.ServiceNodes asked again
 * whenever it changed, and what differs between two answers is told; so rights, routing and waiting are those of every
 * read. Whoever comes back with an index gets a new snapshot: what happened in between is not kept. As soon as the rights of
 * the token change, or it ends, the call is aborted, and the subscriber begins anew with what it may see then.
 *
 * Source: RPC wire notes §12.
 */
import { codeOf, HanseError, messageOf } from '#base'
import {
  type CheckServiceNode,
  EventBatch,
  encodeInstance,
  HEALTH_OP,
  type IndexedCheckServiceNodes,
  ServiceSpecificRequest,
  SubscribeRequest,
  subscribeEvent,
  TOPIC,
  TOPIC_NAMES,
} from '#codec'
import { GRPC_STATUS, type GrpcCall, GrpcError, type GrpcStatus } from '#net'
import type { Endpoints } from './endpoints.ts'
import { serviceNodes } from './health.ts'

export const SUBSCRIBE_PATH = '/subscribe.StateChangeSubscription/Subscribe'

/**
 * How long a wait takes at most. A token that only another datacenter knows may go on waiting so long after it was revoked;
 * it sees nothing that changes after.
 */
const RECHECK_NS = 60_000_000_000
/** Bytes of events in one message; clients take 4 MiB. */
export const MAX_BATCH_BYTES = 1024 * 1024

/** The answer to a gRPC call from a server of another datacenter. @throws GrpcError */
export async function* serveSubscription(endpoints: Endpoints, call: GrpcCall): AsyncGenerator<Buffer> {
  if (call.path !== SUBSCRIBE_PATH) throw new GrpcError(GRPC_STATUS.unimplemented, `unknown method ${call.path}`)
  try {
    yield* subscription(endpoints, SubscribeRequest.decode(call.message), call.signal)
  } catch (error) {
    throw error instanceof GrpcError ? error : new GrpcError(statusOf(error), messageOf(error), error)
  }
}

const STATUS_OF_CODE: ReadonlyMap<string, GrpcStatus> = new Map<string, GrpcStatus>([
  ['PROTOBUF_TRUNCATED', GRPC_STATUS.invalidArgument],
  ['PROTOBUF_INVALID', GRPC_STATUS.invalidArgument],
  ['INVALID_REQUEST', GRPC_STATUS.invalidArgument],
  ['NO_PATH_TO_DATACENTER', GRPC_STATUS.notFound],
  ['DATACENTER_UNREACHABLE', GRPC_STATUS.unavailable],
  ['TOO_MANY_WAITERS', GRPC_STATUS.resourceExhausted],
  ['REQUEST_CANCELLED', GRPC_STATUS.cancelled],
])

/** Whether access control refuses, here or in the datacenter that was asked. */
function isRefusal(error: unknown): boolean {
  return error instanceof HanseError && error.status === 403
}

function statusOf(error: unknown): GrpcStatus {
  if (isRefusal(error)) return GRPC_STATUS.permissionDenied
  return STATUS_OF_CODE.get(codeOf(error) ?? '') ?? GRPC_STATUS.internal
}

async function* subscription(
  endpoints: Endpoints,
  request: SubscribeRequest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const args = readArgs(request)
  const rightsKey = await ownRightsKey(endpoints, args)
  let answer = await endpoints.call(serviceNodes, args, { signal })
  if (request.Index > 0) yield subscribeEvent({ Index: answer.Index, NewSnapshotToFollow: true })
  let known = instancesOf(answer)
  for (const instance of known.values()) yield eventOf(answer.Index, HEALTH_OP.register, instance)
  yield subscribeEvent({ Index: answer.Index, EndOfSnapshot: true })

  while (!signal.aborted) {
    const asked = { ...args, MinQueryIndex: answer.Index, MaxQueryTime: RECHECK_NS }
    const next = await sameRights(rightsKey, endpoints, args, () => nextAnswer(endpoints, asked, signal))
    if (next === undefined) continue
    const now = instancesOf(next)
    yield* updates(answer.Index, next.Index, changes(next.Index, known, now))
    answer = next
    known = now
  }
}

/** The next answer; undefined when the rights of the token may have changed before there was one. */
async function nextAnswer(
  endpoints: Endpoints,
  args: ServiceSpecificRequest,
  signal: AbortSignal,
): Promise<IndexedCheckServiceNodes | undefined> {
  const wait = new AbortController()
  const end = () => wait.abort(signal.reason)
  signal.addEventListener('abort', end, { once: true })
  let stale = false
  const unwatch = endpoints.onRightsChange(args.Token, () => {
    stale = true
    wait.abort()
  })
  try {
    return await endpoints.call(serviceNodes, args, { signal: wait.signal })
  } catch (error) {
    if (stale && !signal.aborted) return undefined
    throw error
  } finally {
    unwatch()
    signal.removeEventListener('abort', end)
  }
}

/** What `ask` gives, unless the token has other rights after it, or none. @throws GrpcError aborted */
async function sameRights<T>(
  key: string,
  endpoints: Endpoints,
  args: ServiceSpecificRequest,
  ask: () => Promise<T>,
): Promise<T> {
  const changed = (cause?: unknown) =>
    new GrpcError(GRPC_STATUS.aborted, 'Subscription closed: the rights of its token have changed', cause)
  try {
    const given = await ask()
    if ((await ownRightsKey(endpoints, args)) === key) return given
  } catch (error) {
    throw isRefusal(error) ? changed(error) : error
  }
  throw changed()
}

/** What stands for the rights of the token; the same where another datacenter says who may see what. */
async function ownRightsKey(endpoints: Endpoints, { Datacenter, Token }: ServiceSpecificRequest): Promise<string> {
  return Datacenter === '' || Datacenter === endpoints.datacenter ? (await endpoints.rightsOf(Token)).key : ''
}

/** The read that a request stands for. @throws GrpcError */
function readArgs(request: SubscribeRequest): ServiceSpecificRequest {
  const { Topic, Token, Datacenter, WildcardSubject } = request
  const refuse = (status: GrpcStatus, text: string) => new GrpcError(status, `Cannot subscribe to ${text}`)
  const topic = TOPIC_NAMES[Topic] ?? 'unknown'
  if (Topic !== TOPIC.serviceHealth && Topic !== TOPIC.serviceHealthConnect) {
    const status = Topic === 0 ? GRPC_STATUS.invalidArgument : GRPC_STATUS.unimplemented
    throw refuse(status, `topic ${Topic} (${topic}): only ServiceHealth (1) and ServiceHealthConnect (2) are served`)
  }
  const { Key, Namespace, Partition, PeerName } = request.NamedSubject ?? request
  if (WildcardSubject || Key === '') {
    throw refuse(GRPC_STATUS.invalidArgument, `topic ${topic}: it needs the name of one service`)
  }
  for (const [kind, name] of Object.entries({ namespace: Namespace, partition: Partition })) {
    if (name !== '' && name !== 'default') {
      throw refuse(GRPC_STATUS.invalidArgument, `${kind} "${name}": there is only "default"`)
    }
  }
  const Connect = Topic === TOPIC.serviceHealthConnect
  return ServiceSpecificRequest.of({ Datacenter, ServiceName: Key, Connect, PeerName, Token })
}

/** Instances by node and service ID, which tell one from another. */
function instancesOf({ Nodes }: IndexedCheckServiceNodes): ReadonlyMap<string, CheckServiceNode> {
  const named = (Nodes ?? []).map((each) => [`${each.Node?.Node}/${each.Service?.ID}`, each] as const)
  return new Map(named)
}

/** Of instances that do not change while anyone holds them: all subscribers share one encoding. */
const encodings = new WeakMap<CheckServiceNode, Buffer>()

function bytesOf(instance: CheckServiceNode): Buffer {
  const known = encodings.get(instance)
  if (known !== undefined) return known
  const made = encodeInstance(instance)
  encodings.set(instance, made)
  return made
}

type Instances = ReadonlyMap<string, CheckServiceNode>

/** What happened between two answers: first those that went, then those that came or changed. */
function* changes(index: number, before: Instances, after: Instances): Generator<Buffer> {
  for (const [name, instance] of before) {
    if (!after.has(name)) yield eventOf(index, HEALTH_OP.deregister, instance)
  }
  for (const [name, instance] of after) {
    const known = before.get(name)
    if (known === instance || (known && bytesOf(known).equals(bytesOf(instance)))) continue
    yield eventOf(index, HEALTH_OP.register, instance)
  }
}

function eventOf(Index: number, Op: number, instance: CheckServiceNode): Buffer {
  return subscribeEvent({ Index, ServiceHealth: { Op, CheckServiceNode: bytesOf(instance) } })
}

/**
 * One event as it is, several as a batch. What is too much for one message is told in several, of which only the last has
 * the new index: whoever holds that index holds all of it.
 */
function* updates(before: number, index: number, events: Iterable<Buffer>): Generator<Buffer> {
  let batch: Buffer[] = []
  let bytes = 0
  for (const event of events) {
    if (bytes + event.length > MAX_BATCH_BYTES && batch.length > 0) {
      yield batchOf(before, batch)
      batch = []
      bytes = 0
    }
    batch.push(event)
    bytes += event.length
  }
  const [first] = batch
  if (first !== undefined) yield batch.length === 1 ? first : batchOf(index, batch)
}

function batchOf(Index: number, events: readonly Buffer[]): Buffer {
  return subscribeEvent({ Index, EventBatch: EventBatch.encode({ Events: events }) })
}
