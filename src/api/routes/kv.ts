/**
 * /v1/kv: the key/value store. Reads as JSON, raw bytes or lists of keys; writes with flags and check-and-set.
 */
import { DirEntry, KeyListRequest, KeyRequest, KVSRequest } from '#codec'
import { kvs } from '#endpoints'
import { apiError } from '../errors.ts'
import { jsonAnswer } from '../http/answer.ts'
import { asJson, type Presented, type ReadTraits } from '../http/read-plan.ts'
import { type ApiRequest, isSet, uintParameter } from '../http/request.ts'
import { call, type Handler, type PlanRequest, type Route } from '../http/route.ts'
import { type RoutePorts, readRoute } from './read-route.ts'

/** `limits.kv_max_value_size` where nothing else is set. */
export const DEFAULT_KV_MAX_VALUE_BYTES = 524_288

const RAW_HEADERS = [
  'Content-Type',
  'text/plain',
  'X-Content-Type-Options',
  'nosniff',
  'Content-Security-Policy',
  'sandbox',
]
const NOT_FOUND: Presented = { kind: 'bare', status: 404, meta: true }
const KV: ReadTraits = {}
/** What writes answer. */
const TRUE = jsonAnswer(true, false)
const FALSE = jsonAnswer(false, false)

export function kvRoutes(ports: RoutePorts, maxValueBytes: number): Route[] {
  const methods = { GET: getHandler(ports), PUT: putHandler(ports, maxValueBytes), DELETE: deleteHandler(ports) }
  return [{ pattern: '/v1/kv/', methods }]
}

function keyOf(request: { readonly rest: string }): string {
  if (request.rest === '') throw apiError('BAD_PARAMETER', { text: 'Missing key name' })
  return request.rest
}

/** Three operations behind one path, told apart by parameters. */
function getHandler(ports: RoutePorts): Handler {
  const one = getOne(ports)
  const recurse = getTree(ports)
  const keys = getKeys(ports)
  const choose = ({ query }: PlanRequest) => (isSet(query, 'keys') ? keys : isSet(query, 'recurse') ? recurse : one)
  return { kind: 'read', plan: (request) => choose(request).plan(request) }
}

function getOne(ports: RoutePorts) {
  return readRoute(ports, {
    ...KV,
    operation: kvs.get,
    format: (request) => (isSet(request.query, 'raw') ? 'kv raw' : 'kv'),
    args: (request, target) => KeyRequest.of({ ...target, Key: keyOf(request) }),
    present: (reply, request) => {
      const [entry] = reply.Entries ?? []
      if (entry === undefined) return NOT_FOUND
      if (isSet(request.query, 'raw')) {
        return { kind: 'bytes', headers: RAW_HEADERS, body: entry.Value ?? Buffer.alloc(0) }
      }
      return asJson(() => [DirEntry.toJson(shown(entry))])
    },
  })
}

/** An empty value is null in JSON. */
function shown(entry: DirEntry): DirEntry {
  return entry.Value !== null && entry.Value.length === 0 ? { ...entry, Value: null } : entry
}

function getTree(ports: RoutePorts) {
  return readRoute(ports, {
    ...KV,
    operation: kvs.list,
    format: 'kv recurse',
    args: (request, target) => KeyRequest.of({ ...target, Key: request.rest }),
    present: ({ Entries }) => {
      if (Entries === null || Entries.length === 0) return NOT_FOUND
      return asJson(() => Entries.map((entry) => DirEntry.toJson(shown(entry))))
    },
  })
}

function getKeys(ports: RoutePorts) {
  return readRoute(ports, {
    ...KV,
    operation: kvs.listKeys,
    format: 'kv keys',
    args: (request, target) =>
      KeyListRequest.of({ ...target, Prefix: request.rest, Seperator: request.query.get('separator') ?? '' }),
    present: ({ Keys }) => (Keys === null || Keys.length === 0 ? NOT_FOUND : asJson(() => Keys)),
  })
}

/** @throws HanseError BAD_PARAMETER naming the parameters that exclude each other */
function refuseConflict(query: URLSearchParams, names: readonly string[]): void {
  const present = names.filter((name) => query.has(name)).sort()
  if (present.length < 2) return
  const shownPairs = new URLSearchParams(present.map((name): [string, string] => [name, query.get(name) ?? '']))
  throw apiError('BAD_PARAMETER', { text: `Conflicting flags: ${shownPairs.toString()}\n` })
}

function putHandler(ports: RoutePorts, maxValueBytes: number): Handler {
  return call(async (request) => {
    const { query } = request
    const { operation, ...how } = query.size === 0 ? PLAIN_PUT : putParameters(query)
    const Key = keyOf(request)
    const Value = await request.body(maxValueBytes, (size) =>
      apiError('VALUE_TOO_LARGE', { size, limit: maxValueBytes }),
    )
    return apply(ports, request, operation, DirEntry.of({ Key, Value, ...how }))
  })
}

function putParameters(query: URLSearchParams) {
  refuseConflict(query, ['cas', 'acquire', 'release'])
  return {
    operation: putOperation(query),
    Flags: uintParameter(query, 'flags'),
    ModifyIndex: casOf(query),
    Session: sessionOf(query),
  }
}

/** Of nearly all writes. */
const PLAIN_PUT = putParameters(new URLSearchParams())

function putOperation(query: URLSearchParams): string {
  if (query.has('cas')) return 'cas'
  if (query.has('acquire')) return 'lock'
  return query.has('release') ? 'unlock' : 'set'
}

function sessionOf(query: URLSearchParams): string {
  return query.get('acquire') ?? query.get('release') ?? ''
}

/** Indexes are below 2^53, so a larger one fits no entry. */
function casOf(query: URLSearchParams): number {
  return Number(uintParameter(query, 'cas'))
}

function deleteHandler(ports: RoutePorts): Handler {
  return call((request) => {
    const { query } = request
    refuseConflict(query, ['cas', 'recurse'])
    const recurse = isSet(query, 'recurse')
    const operation = recurse ? 'delete-tree' : query.has('cas') ? 'delete-cas' : 'delete'
    const Key = recurse ? request.rest : keyOf(request)
    return apply(ports, request, operation, DirEntry.of({ Key, ModifyIndex: casOf(query) }))
  })
}

/** Operations whose reply says nothing: done is done. */
const UNCONDITIONAL: ReadonlySet<string> = new Set(['set', 'delete', 'delete-tree'])

async function apply(ports: RoutePorts, request: ApiRequest, Op: string, DirEnt: DirEntry) {
  const args = KVSRequest.of({ Datacenter: request.datacenter, Op, DirEnt })
  const met = await ports.endpoints.call(kvs.apply, args, request)
  const done = UNCONDITIONAL.has(Op) || met
  return request.pretty ? jsonAnswer(done, true) : done ? TRUE : FALSE
}
