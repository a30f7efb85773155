/**
 * /v1/agent/services, /v1/agent/checks, registrations, maintenance, TTL updates, and health by service name or ID.
 */
import {
  AgentCheckDefinition,
  AgentServiceDefinition,
  compileFilter,
  type FilterFields,
  HealthCheck,
  type NodeService,
  snakeToDefinition,
  string,
  struct,
} from '#codec'
import { healthCheckFields } from '#endpoints'
import type { AgentPort, CheckStatus } from '../agent-port.ts'
import { checkCheckDefinition, checkServiceDefinition } from '../definition-checks.ts'
import { apiError } from '../errors.ts'
import { type Answer, API_HEADERS, EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { headerText } from '../http/header-text.ts'
import { jsonBytes } from '../http/json-bytes.ts'
import { type ApiRequest, decodeBody, isSet, MAX_JSON_BODY_BYTES, parseBool } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { agentServiceFields, agentServiceJson, healthCheckJson } from './agent-json.ts'
import { agentNeeds, guarded, leftOut, type Need, needServiceWrite, rightsOf } from './agent-rights.ts'
import { waitForHash } from './agent-service-wait.ts'
import type { RoutePorts } from './read-route.ts'

export function agentServiceRoutes(ports: RoutePorts, agent: AgentPort): Route[] {
  const needs = agentNeeds(agent)
  const guard = (need: Need, handler: Handler) => guarded(ports, need, handler)
  return [
    { pattern: '/v1/agent/services', methods: { GET: servicesHandler(ports, agent) } },
    {
      pattern: '/v1/agent/service/',
      methods: {
        GET: guard(
          needs.serviceRead,
          call((request) => waitForHash(ports, agent, request)),
        ),
      },
    },
    { pattern: '/v1/agent/service/register', methods: { PUT: registerServiceHandler(ports, agent) } },
    {
      pattern: '/v1/agent/service/deregister/',
      methods: {
        PUT: guard(
          needs.serviceWrite,
          put((id) => agent.deregisterService(id)),
        ),
      },
    },
    {
      pattern: '/v1/agent/service/maintenance/',
      methods: { PUT: guard(needs.serviceWrite, serviceMaintenanceHandler(agent)) },
    },
    { pattern: '/v1/agent/maintenance', methods: { PUT: guard(needs.nodeWrite, nodeMaintenanceHandler(agent)) } },
    { pattern: '/v1/agent/checks', methods: { GET: checksHandler(ports, agent) } },
    { pattern: '/v1/agent/check/register', methods: { PUT: registerCheckHandler(ports, agent) } },
    {
      pattern: '/v1/agent/check/deregister/',
      methods: {
        PUT: guard(
          needs.checkWrite,
          put((id) => agent.deregisterCheck(id)),
        ),
      },
    },
    { pattern: '/v1/agent/check/pass/', methods: { PUT: guard(needs.checkWrite, ttlHandler(agent, 'passing')) } },
    { pattern: '/v1/agent/check/warn/', methods: { PUT: guard(needs.checkWrite, ttlHandler(agent, 'warning')) } },
    { pattern: '/v1/agent/check/fail/', methods: { PUT: guard(needs.checkWrite, ttlHandler(agent, 'critical')) } },
    { pattern: '/v1/agent/check/update/', methods: { PUT: guard(needs.checkWrite, updateHandler(agent)) } },
    { pattern: '/v1/agent/health/service/id/', methods: { GET: guard(needs.serviceRead, healthByIdHandler(agent)) } },
    {
      pattern: '/v1/agent/health/service/name/',
      methods: { GET: guard(needs.serviceReadByName, healthByNameHandler(agent)) },
    },
  ]
}

/** A write that says nothing when it worked. */
function put(run: (rest: string, request: ApiRequest) => Promise<void>): Handler {
  return call(async (request) => {
    await run(request.rest, request)
    return EMPTY_ANSWER
  })
}

/** Records by ID, filtered, keys sorted as Go writes maps. */
function byId<T>(
  request: ApiRequest,
  items: readonly T[],
  idOf: (item: T) => string,
  fields: FilterFields,
): [string, T][] {
  const wanted = compileFilter(request.query.get('filter') ?? '', fields)
  const kept = items.filter(wanted).map((item): [string, T] => [idOf(item), item])
  return kept.sort(([left], [right]) => (left < right ? -1 : 1))
}

function servicesHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return call(async (request) => {
    const rights = await rightsOf(ports, request)
    const all = agent.services()
    const seen = all.filter(({ Service }) => rights.allows.serviceRead(Service))
    const records = seen.map((service) => ({ ...service, Datacenter: agent.datacenter }))
    const found = byId(request, records, ({ ID }) => ID, agentServiceFields)
    const shown = found.map(([id, service]) => [id, agentServiceJson(service, agent.datacenter)])
    return jsonAnswer(Object.fromEntries(shown), request.pretty, leftOut(rights, all.length, seen.length))
  })
}

function checksHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return call(async (request) => {
    const rights = await rightsOf(ports, request)
    const { allows } = rights
    const all = agent.checks()
    const seen = all.filter(({ ServiceName }) =>
      ServiceName === '' ? allows.nodeRead(agent.nodeName) : allows.serviceRead(ServiceName),
    )
    const found = byId(request, seen, ({ CheckID }) => CheckID, healthCheckFields)
    const shown = Object.fromEntries(found.map(([id, check]) => [id, HealthCheck.toJson(check)]))
    return jsonAnswer(shown, request.pretty, leftOut(rights, all.length, seen.length))
  })
}

// Go decodes these bodies through a type called Alias inside a method, and its errors say so.
const SERVICE_BODY = { type: 'structs.ServiceDefinition', path: '.Alias' }
const CHECK_BODY = { type: 'structs.CheckDefinition', path: '.Alias' }

function registerServiceHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return put(async (_, request) => {
    const body = await request.body(MAX_JSON_BODY_BYTES)
    const definition = decodeBody(AgentServiceDefinition, body, SERVICE_BODY, snakeToDefinition)
    checkServiceDefinition(definition, { scripts: agent.remoteScriptChecks })
    const rights = await rightsOf(ports, request)
    needServiceWrite(rights, definition.Name)
    const before = agent.service(definition.ID || definition.Name)
    if (before !== undefined && before.Service !== definition.Name) needServiceWrite(rights, before.Service)
    const replaceExistingChecks = isSet(request.query, 'replace-existing-checks')
    await agent.registerService(definition, { replaceExistingChecks })
  })
}

function registerCheckHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return put(async (_, request) => {
    const body = await request.body(MAX_JSON_BODY_BYTES)
    const definition = decodeBody(AgentCheckDefinition, body, CHECK_BODY, snakeToDefinition)
    checkCheckDefinition(definition, { scripts: agent.remoteScriptChecks })
    const rights = await rightsOf(ports, request)
    const service = definition.ServiceID === '' ? undefined : agent.service(definition.ServiceID)
    if (service !== undefined) needServiceWrite(rights, service.Service)
    else if (definition.ServiceID === '') agentNeeds(agent).nodeWrite(rights, request)
    await agent.registerCheck(definition)
  })
}

function ttlHandler(agent: AgentPort, status: CheckStatus): Handler {
  return put((id, request) => agent.updateTtl(id, status, request.query.get('note') ?? ''))
}

const UpdateBody = struct('checkUpdate', { Status: string, Output: string })
const STATUSES: readonly CheckStatus[] = ['passing', 'warning', 'critical']

function updateHandler(agent: AgentPort): Handler {
  return put(async (id, request) => {
    const names = { type: 'agent.checkUpdate', path: 'checkUpdate' }
    const { Status, Output } = decodeBody(UpdateBody, await request.body(MAX_JSON_BODY_BYTES), names)
    const status = STATUSES.find((known) => known === Status)
    if (status === undefined) throw apiError('BAD_PARAMETER', { text: `Invalid check status: '${Status}'` })
    await agent.updateTtl(id, status, Output)
  })
}

/** `?enable=`. @throws HanseError BAD_PARAMETER */
function enableOf(request: ApiRequest): boolean {
  const text = request.query.get('enable')
  if (text === null) throw apiError('BAD_PARAMETER', { text: 'Missing value for enable' })
  const value = parseBool(text)
  if (value === undefined) {
    throw apiError('BAD_PARAMETER', { text: `Invalid value for enable: ${JSON.stringify(text)}` })
  }
  return value
}

function serviceMaintenanceHandler(agent: AgentPort): Handler {
  return put(async (id, request) => {
    if (id === '') throw apiError('BAD_PARAMETER', { text: 'Missing service ID' })
    await agent.serviceMaintenance(id, enableOf(request), request.query.get('reason') ?? '')
  })
}

function nodeMaintenanceHandler(agent: AgentPort): Handler {
  return put((_, request) => agent.nodeMaintenance(enableOf(request), request.query.get('reason') ?? ''))
}

type Aggregate = 'maintenance' | 'critical' | 'warning' | 'passing'
const AGGREGATE_STATUS: Readonly<Record<Aggregate, number>> = {
  maintenance: 503,
  critical: 503,
  warning: 429,
  passing: 200,
}
/** Worst first. */
const SEVERITY: readonly Aggregate[] = ['maintenance', 'critical', 'warning', 'passing']
const SERVICE_NOT_FOUND = 404

/** Checks of the service and of the node. */
function checksFor(agent: AgentPort, service: NodeService): HealthCheck[] {
  return agent
    .checks()
    .filter((check) => check.ServiceID === service.ID || check.ServiceID === '')
    .sort((left, right) => (left.CheckID < right.CheckID ? -1 : 1))
}

function aggregate(checks: readonly HealthCheck[]): Aggregate {
  const found = new Set(
    checks.map(({ CheckID, Status }) =>
      CheckID === '_node_maintenance' || CheckID.startsWith('_service_maintenance:') ? 'maintenance' : Status,
    ),
  )
  return SEVERITY.find((status) => found.has(status)) ?? 'passing'
}

function healthJson(agent: AgentPort, service: NodeService, checks: readonly HealthCheck[]) {
  return {
    AggregatedStatus: aggregate(checks),
    Service: agentServiceJson(service, agent.datacenter),
    Checks: checks.map(healthCheckJson),
  }
}

/** `format=text` shows the reason alone. */
function healthAnswer(request: ApiRequest, status: number, reason: string, json: unknown): Answer {
  const text = request.query.get('format') === 'text'
  const type = text ? 'text/plain' : 'application/json'
  const headers = [...API_HEADERS, 'Content-Type', type, 'X-Consul-Reason', headerText(reason)]
  return { status, headers, body: text ? Buffer.from(reason) : jsonBytes(json, request.pretty) }
}

function healthByIdHandler(agent: AgentPort): Handler {
  return call((request) => {
    const service = agent.service(request.rest)
    if (service === undefined) {
      const json = { AggregatedStatus: 'critical', Service: null, Checks: null }
      return healthAnswer(request, SERVICE_NOT_FOUND, `ServiceId ${request.rest} not found`, json)
    }
    const checks = checksFor(agent, service)
    const status = aggregate(checks)
    return healthAnswer(request, AGGREGATE_STATUS[status], status, healthJson(agent, service, checks))
  })
}

function healthByNameHandler(agent: AgentPort): Handler {
  return call((request) => {
    const services = agent.services().filter(({ Service }) => Service === request.rest)
    if (services.length === 0) {
      return healthAnswer(request, SERVICE_NOT_FOUND, `ServiceName ${request.rest} Not Found`, [])
    }
    const each = services.map((service) => ({ service, checks: checksFor(agent, service) }))
    const worst = aggregate(each.flatMap(({ checks }) => checks))
    const json = each.map(({ service, checks }) => healthJson(agent, service, checks))
    return healthAnswer(request, AGGREGATE_STATUS[worst], worst, json)
  })
}
