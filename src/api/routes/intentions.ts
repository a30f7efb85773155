/**
 * /v1/connect/intentions: who may call whom. By source and destination today; by ID as old clients do.
 */
import {
  type IndexedIntentions,
  Intention,
  IntentionListRequest,
  IntentionQueryRequest,
  IntentionRequest,
  list,
  pointer,
} from '#codec'
import { intention as intentions } from '#endpoints'
import { apiError } from '../errors.ts'
import { jsonAnswer } from '../http/answer.ts'
import { asJson } from '../http/read-plan.ts'
import { type ApiRequest, decodeBody, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { nameOf, type RoutePorts, readRoute } from './read-route.ts'

const BODY = { type: 'structs.Intention', path: 'Intention' }
const Shown = list(pointer(Intention))

export function intentionRoutes(ports: RoutePorts): Route[] {
  const exact = { GET: getExact(ports), PUT: putExact(ports), DELETE: deleteExact(ports) }
  const byId = { GET: getById(ports), PUT: putById(ports), DELETE: deleteById(ports) }
  return [
    { pattern: '/v1/connect/intentions', methods: { GET: listHandler(ports), POST: postHandler(ports) } },
    { pattern: '/v1/connect/intentions/exact', methods: exact },
    { pattern: '/v1/connect/intentions/match', methods: { GET: matchHandler(ports) } },
    { pattern: '/v1/connect/intentions/check', methods: { GET: checkHandler(ports) } },
    { pattern: '/v1/connect/intentions/', methods: byId },
  ]
}

/** @throws HanseError PARAMETER_REQUIRED */
function required(query: URLSearchParams, name: string): string {
  const value = query.get(name) ?? ''
  if (value === '') throw apiError('PARAMETER_REQUIRED', { name })
  return value
}

/** A name; `default/web`, as clients of namespaces write it, is `web`. */
function serviceIn(query: URLSearchParams, name: string): string {
  return required(query, name).replace(/^(?:default\/){1,2}(?=.)/, '')
}

function pairOf({ query }: { readonly query: URLSearchParams }) {
  return { SourceName: serviceIn(query, 'source'), DestinationName: serviceIn(query, 'destination') }
}

async function bodyOf(request: ApiRequest): Promise<Intention> {
  return decodeBody(Intention, await request.body(MAX_JSON_BODY_BYTES), BODY)
}

function apply(ports: RoutePorts, request: ApiRequest, Op: string, given: Intention): Promise<string> {
  const args = IntentionRequest.of({ Datacenter: request.datacenter, Op, Intention: given })
  return ports.endpoints.call(intentions.apply, args, request)
}

function listHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: intentions.list,
    format: 'intentions',
    args: (_, target) => IntentionListRequest.of(target),
    present: ({ Intentions }) => asJson(() => Shown.toJson(Intentions ?? [])),
  })
}

function postHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const id = await apply(ports, request, 'create', await bodyOf(request))
    return jsonAnswer({ ID: id }, request.pretty)
  })
}

/** One intention, without index and contact, as recorded. */
const ONE = { showsMeta: false, format: 'intention', operation: intentions.get, present: presentOne }

function presentOne({ Intentions }: IndexedIntentions) {
  return asJson(() => Intention.toJson(Intentions?.[0] ?? Intention.of()))
}

function getExact(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...ONE,
    args: ({ query }, target) => IntentionQueryRequest.of({ ...target, Exact: exactOf(pairOf({ query })) }),
  })
}

function exactOf(pair: ReturnType<typeof pairOf>) {
  const empty = { SourceNS: '', DestinationNS: '', SourcePeer: '', SourcePartition: '', DestinationPartition: '' }
  return { ...empty, SourceSamenessGroup: '', ...pair }
}

function putExact(ports: RoutePorts): Handler {
  return call(async (request) => {
    const pair = pairOf(request)
    await apply(ports, request, 'upsert', { ...(await bodyOf(request)), ...pair })
    return jsonAnswer(true, request.pretty)
  })
}

function deleteExact(ports: RoutePorts): Handler {
  return call(async (request) => {
    await apply(ports, request, 'delete', Intention.of(pairOf(request)))
    return jsonAnswer(true, request.pretty)
  })
}

const idOf = (request: { readonly rest: string }): string => nameOf(request, 'Missing intention ID')

function getById(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...ONE,
    args: (request, target) => IntentionQueryRequest.of({ ...target, IntentionID: idOf(request) }),
  })
}

function putById(ports: RoutePorts): Handler {
  return call(async (request) => {
    const id = await apply(ports, request, 'update', { ...(await bodyOf(request)), ID: idOf(request) })
    return jsonAnswer({ ID: id }, request.pretty)
  })
}

function deleteById(ports: RoutePorts): Handler {
  return call(async (request) => {
    await apply(ports, request, 'delete', Intention.of({ ID: idOf(request) }))
    return jsonAnswer(true, request.pretty)
  })
}

function matchHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: intentions.match,
    showsConsistency: true,
    format: ({ query }) => `intentions matched ${JSON.stringify(query.getAll('name'))}`,
    args: ({ query }, target) => {
      const Type = required(query, 'by')
      if (Type !== 'source' && Type !== 'destination') throw apiError('INTENTION_MATCH_BY', {})
      required(query, 'name')
      const Entries = query.getAll('name').map((Name) => ({ Name, Namespace: 'default', Partition: 'default' }))
      return IntentionQueryRequest.of({ ...target, Match: { Type, Entries, WithSamenessGroups: false } })
    },
    present: ({ Matches }, { query }) =>
      asJson(() => {
        const names = query.getAll('name')
        return Object.fromEntries(names.map((name, at) => [name, Shown.toJson(Matches?.[at] ?? [])]))
      }),
  })
}

function checkHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const { datacenter, query, pretty } = request
    const spaces = { SourceNS: '', DestinationNS: '', SourcePartition: '', DestinationPartition: '' }
    const Check = { ...spaces, ...pairOf(request), SourceType: query.get('source-type') || 'consul' }
    const args = IntentionQueryRequest.of({ Datacenter: datacenter, Check })
    const { Allowed } = await ports.endpoints.call(intentions.check, args, request)
    return jsonAnswer({ Allowed }, pretty)
  })
}
