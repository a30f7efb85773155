/**
 * /v1/agent: what the agent says of itself and its pools, joining and leaving, reloading, metrics and its log.
 */
import type { ServerResponse } from 'node:http'
import { parseLogLevel } from '#base'
import { compileFilter } from '#codec'
import type { AgentMember, AgentPort } from '../agent-port.ts'
import { apiError } from '../errors.ts'
import { type Answer, API_HEADERS, EMPTY_ANSWER, errorAnswer, jsonAnswer, NO_BODY } from '../http/answer.ts'
import { type ApiRequest, isSet } from '../http/request.ts'
import { call, type Handler, type Route, type StreamHandler } from '../http/route.ts'
import { memberFields } from './agent-json.ts'
import { agentNeeds, guarded, leftOut, type Need, rightsOf } from './agent-rights.ts'
import { agentServiceRoutes } from './agent-services.ts'
import { metricsJson, prometheusText } from './metrics.ts'
import type { RoutePorts } from './read-route.ts'

/** Unsent log bytes at which lines for a slow reader of `monitor` are dropped. */
const MAX_STREAM_BACKLOG_BYTES = 1024 * 1024
const METRICS_INTERVAL_MS = 10_000

export function agentRoutes(ports: RoutePorts, agent: AgentPort): Route[] {
  const startedMs = ports.clock.nowMs()
  const snapshot = () => metricsJson(agent.metrics, ports.clock.wallMs(), ports.clock.nowMs() - startedMs)
  const needs = agentNeeds(agent)
  const guard = (need: Need, handler: Handler) => guarded(ports, need, handler)
  const self: Route[] = [
    {
      pattern: '/v1/agent/self',
      methods: {
        GET: guard(
          needs.agentRead,
          get(() => agent.self()),
        ),
      },
      refuses: 'nothing',
    },
    {
      pattern: '/v1/agent/version',
      methods: {
        GET: guard(
          needs.agentRead,
          get(() => agent.version()),
        ),
      },
      refuses: 'nothing',
    },
    {
      pattern: '/v1/agent/host',
      methods: {
        GET: guard(
          needs.operatorRead,
          get(() => agent.host()),
        ),
      },
      refuses: 'nothing',
    },
    {
      pattern: '/v1/agent/metrics',
      methods: { GET: guard(needs.agentRead, metricsHandler(agent, snapshot)) },
      refuses: 'nothing',
    },
    {
      pattern: '/v1/agent/metrics/stream',
      methods: { GET: guard(needs.agentRead, metricsStreamHandler(ports, snapshot)) },
      refuses: 'nothing',
    },
    {
      pattern: '/v1/agent/monitor',
      methods: { GET: guard(needs.agentRead, monitorHandler(agent)) },
      refuses: 'nothing',
    },
    { pattern: '/v1/agent/members', methods: { GET: membersHandler(ports, agent) }, refuses: 'partition' },
    {
      pattern: '/v1/agent/join/',
      methods: {
        PUT: guard(
          needs.agentWrite,
          put((request) => agent.join(request.rest, { wan: isWan(request) })),
        ),
      },
    },
    {
      pattern: '/v1/agent/leave',
      methods: {
        PUT: guard(
          needs.agentWrite,
          put(() => agent.leave()),
        ),
      },
    },
    {
      pattern: '/v1/agent/force-leave/',
      methods: {
        PUT: guard(
          needs.operatorWrite,
          put((request) => forceLeave(agent, request)),
        ),
      },
    },
    {
      pattern: '/v1/agent/reload',
      methods: {
        PUT: guard(
          needs.agentWrite,
          put(() => agent.reload()),
        ),
      },
    },
  ]
  return [...self, ...agentServiceRoutes(ports, agent)]
}

function get(value: () => unknown): Handler {
  return call((request) => jsonAnswer(value(), request.pretty))
}

function put(run: (request: ApiRequest) => Promise<void>): Handler {
  return call(async (request) => {
    await run(request)
    return EMPTY_ANSWER
  })
}

function isWan(request: ApiRequest): boolean {
  return (request.query.get('wan') ?? '') !== ''
}

function forceLeave(agent: AgentPort, request: ApiRequest): Promise<void> {
  return agent.forceLeave(request.rest, { prune: isSet(request.query, 'prune'), wan: isSet(request.query, 'wan') })
}

const ALL_SEGMENTS = '_all'

function membersHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return call(async (request) => {
    const segment = request.query.get('segment') ?? ''
    if (segment !== '' && segment !== ALL_SEGMENTS) throw apiError('SEGMENTS_UNSUPPORTED', {})
    const wanted = compileFilter(request.query.get('filter') ?? '', memberFields)
    const rights = await rightsOf(ports, request)
    const all = agent.members({ wan: isWan(request) })
    // In the WAN pool a member's name ends in its datacenter.
    const nodeOf = (member: AgentMember) => (isWan(request) ? member.Name.replace(/\.[^.]*$/, '') : member.Name)
    const seen = all.filter((member) => rights.allows.nodeRead(nodeOf(member)))
    return jsonAnswer(seen.filter(wanted), request.pretty, leftOut(rights, all.length, seen.length))
  })
}

function metricsHandler(agent: AgentPort, snapshot: () => unknown): Handler {
  return call((request) => {
    if (request.query.get('format') !== 'prometheus') return jsonAnswer(snapshot(), request.pretty)
    return agent.prometheusRetentionMs > 0 ? prometheusAnswer(agent) : PROMETHEUS_OFF
  })
}

const PROMETHEUS_OFF: Answer = {
  status: 200,
  headers: [
    ...API_HEADERS,
    'Content-Type',
    'application/json',
    'X-Consul-Reason',
    'Prometheus is not enabled since its retention time is not positive',
  ],
  body: NO_BODY,
}

function prometheusAnswer(agent: AgentPort): Answer {
  const headers = [...API_HEADERS, 'Content-Type', 'text/plain; version=0.0.4; charset=utf-8']
  return { status: 200, headers, body: Buffer.from(prometheusText(agent.metrics)) }
}

/** Starts an answer that has no end. */
function open(response: ServerResponse, contentType: string): void {
  response.writeHead(200, [...API_HEADERS, 'Content-Type', contentType])
  response.flushHeaders()
}

function metricsStreamHandler(ports: RoutePorts, snapshot: () => unknown): StreamHandler {
  return {
    kind: 'stream',
    run: (_, response) => {
      const write = () => {
        if (response.writableLength < MAX_STREAM_BACKLOG_BYTES) response.write(`${JSON.stringify(snapshot())}\n`)
      }
      open(response, 'application/json')
      write()
      const timer = ports.clock.every(METRICS_INTERVAL_MS, write)
      response.once('close', () => timer.cancel())
    },
  }
}

function monitorHandler(agent: AgentPort): StreamHandler {
  return {
    kind: 'stream',
    run: ({ query }, response) => {
      const text = query.get('loglevel') || 'info'
      const level = parseLogLevel(text)
      if (level === undefined) {
        const { status, headers, body } = errorAnswer(apiError('BAD_PARAMETER', { text: `Unknown log level: ${text}` }))
        response.writeHead(status, [...headers, 'Content-Length', String(body.length)]).end(body)
        return
      }
      open(response, 'text/plain; charset=utf-8')
      const stop = agent.monitor({
        level,
        json: isSet(query, 'logjson'),
        write: (line) => {
          if (response.writableLength < MAX_STREAM_BACKLOG_BYTES) response.write(`${line}\n`)
        },
      })
      response.once('close', stop)
    },
  }
}
