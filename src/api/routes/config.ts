/**
 * /v1/config: config entries, written as JSON in CamelCase or snake_case, read by kind and name.
 */
import {
  CONFIG_ENTRY_KINDS,
  ConfigEntryListAllRequest,
  ConfigEntryQuery,
  ConfigEntryRequest,
  configEntryFromJson,
  configEntryToJson,
  isConfigEntryKind,
} from '#codec'
import { configEntry } from '#endpoints'
import { decodeEntryJson, meshError } from '#mesh'
import { apiError } from '../errors.ts'
import { jsonAnswer, TEXT_TYPE } from '../http/answer.ts'
import { asJson, type Presented } from '../http/read-plan.ts'
import { MAX_JSON_BODY_BYTES, uintParameter } from '../http/request.ts'
import { call, type Handler, type PlanRequest, type Route } from '../http/route.ts'
import { type RoutePorts, readRoute } from './read-route.ts'

export function configRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/config', methods: { PUT: putHandler(ports) }, refuses: 'partition' },
    { pattern: '/v1/config/', methods: { GET: getHandler(ports), DELETE: deleteHandler(ports) }, refuses: 'partition' },
  ]
}

/** The two words behind the prefix; the second is empty for a list. A name may hold slashes. */
function wordsOf({ rest }: { readonly rest: string }): { readonly kind: string; readonly name: string } {
  const slash = rest.indexOf('/')
  return slash === -1 ? { kind: rest, name: '' } : { kind: rest.slice(0, slash), name: rest.slice(slash + 1) }
}

function putHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const conditional = request.query.has('cas')
    const ModifyIndex = Number(uintParameter(request.query, 'cas'))
    const entry = decodeEntryJson((await request.body(MAX_JSON_BODY_BYTES)).toString())
    const written = await ports.endpoints.call(
      configEntry.apply,
      {
        ...ConfigEntryRequest.zero(),
        ...{ Kind: entry.Kind, Op: conditional ? 'upsert-cas' : 'upsert', Datacenter: request.datacenter },
        Entry: conditional ? { ...entry, ModifyIndex } : entry,
      },
      request,
    )
    return jsonAnswer(written, request.pretty)
  })
}

/** One entry, all of a kind, or all there are. */
function getHandler(ports: RoutePorts): Handler {
  const [one, ofKind, all] = [oneEntry(ports), entriesOfKind(ports), allEntries(ports)]
  const choose = (request: PlanRequest) => {
    const { kind, name } = wordsOf(request)
    return name !== '' ? one : kind === '' ? all : ofKind
  }
  return { kind: 'read', plan: (request) => choose(request).plan(request) }
}

function oneEntry(ports: RoutePorts) {
  return readRoute(ports, {
    operation: configEntry.get,
    format: 'config entry',
    args: (request, target) => {
      const { kind: Kind, name: Name } = wordsOf(request)
      return ConfigEntryQuery.of({ ...target, Kind, Name })
    },
    present: ({ Entry }, request) => {
      if (Entry !== null) return asJson(() => configEntryToJson(Entry))
      const { kind, name } = wordsOf(request)
      return missing(`Config entry not found for ${JSON.stringify(kind)} / ${JSON.stringify(name)}`)
    },
  })
}

/** Nothing under that name, in the words that clients know; the index is that of its absence. */
function missing(text: string): Presented {
  return { kind: 'bytes', status: 404, headers: TEXT_TYPE, body: Buffer.from(text) }
}

function entriesOfKind(ports: RoutePorts) {
  return readRoute(ports, {
    operation: configEntry.list,
    format: 'config entries',
    args: (request, target) => ConfigEntryQuery.of({ ...target, Kind: wordsOf(request).kind }),
    present: ({ Entries }) => asJson(() => (Entries ?? []).map(configEntryToJson)),
  })
}

function allEntries(ports: RoutePorts) {
  return readRoute(ports, {
    operation: configEntry.listAll,
    format: 'config entries',
    args: (_, target) => ConfigEntryListAllRequest.of({ ...target, Kinds: CONFIG_ENTRY_KINDS }),
    present: ({ Entries }) => asJson(() => Entries.map(configEntryToJson)),
  })
}

function deleteHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const { kind, name } = wordsOf(request)
    if (kind === '' || name === '') throw apiError('CONFIG_ENTRY_UNNAMED', {})
    const conditional = request.query.has('cas')
    const ModifyIndex = Number(uintParameter(request.query, 'cas'))
    if (!isConfigEntryKind(kind)) throw meshError('ENTRY_KIND', { kind })
    const { entry } = configEntryFromJson(kind, { Name: name })
    const reply = await ports.endpoints.call(
      configEntry.destroy,
      {
        ...ConfigEntryRequest.zero(),
        ...{ Kind: kind, Op: conditional ? 'delete-cas' : 'delete', Datacenter: request.datacenter },
        Entry: { ...entry, ModifyIndex },
      },
      request,
    )
    return jsonAnswer(conditional ? reply.Deleted : {}, request.pretty)
  })
}
