/**
 * /v1/event: user events fired into a datacenter, and those that reached this agent.
 *
 * The list has an index of its own: the ID of its newest event, folded to 64 bits. It names the event and does not grow, so
 * whoever waits is woken when it is another one.
 */
import { uuid } from '#base'
import { compileRegex, EventFireRequest, encodeUserEvent, RegexProblem, USER_EVENT_VERSION, UserEvent } from '#codec'
import { internal } from '#endpoints'
import type { AgentPort } from '../agent-port.ts'
import { apiError } from '../errors.ts'
import { type Answer, jsonAnswer } from '../http/answer.ts'
import { MAX_PARKED } from '../http/parked-reads.ts'
import { readOptions } from '../http/read-options.ts'
import { FILTERED_HEADER } from '../http/read-plan.ts'
import type { ApiRequest } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import { rightsOf } from './agent-rights.ts'
import type { RoutePorts } from './read-route.ts'

/** Gossip takes 512 bytes with the event's own; more is read only to say so. */
const MAX_PAYLOAD_BYTES = 4_096
/** Of a list without events. */
const NO_EVENT_INDEX = '1'

export function eventRoutes(ports: RoutePorts, agent: AgentPort): Route[] {
  return [
    { pattern: '/v1/event/fire/', methods: { PUT: fireHandler(ports) } },
    { pattern: '/v1/event/list', methods: { GET: listHandler(ports, agent) } },
  ]
}

function fireHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const Name = request.rest
    if (Name === '') throw apiError('BAD_PARAMETER', { text: 'Missing name' })
    const filters = checkedFilters(request.query)
    const payload = await request.body(MAX_PAYLOAD_BYTES)
    const Payload = payload.length === 0 ? null : payload
    const event = UserEvent.of({ ID: uuid(ports.random), Name, Payload, ...filters, Version: USER_EVENT_VERSION })
    const args = EventFireRequest.of({ Datacenter: request.datacenter, Name, Payload: encodeUserEvent(event) })
    await ports.endpoints.call(internal.eventFire, args, request)
    return jsonAnswer(UserEvent.toJson(event), request.pretty)
  })
}

/** @throws EVENT_INVALID with the recorded text */
function checkedFilters(query: URLSearchParams) {
  const filter = (parameter: string) => {
    const pattern = query.get(parameter) ?? ''
    try {
      compileRegex(pattern)
    } catch (error) {
      if (!(error instanceof RegexProblem)) throw error
      const text = `Invalid ${parameter} filter: error parsing regexp: ${error.message}`
      throw apiError('EVENT_INVALID', { text }, error)
    }
    return pattern
  }
  const filters = { NodeFilter: filter('node'), ServiceFilter: filter('service'), TagFilter: filter('tag') }
  if (filters.TagFilter !== '' && filters.ServiceFilter === '') {
    throw apiError('EVENT_INVALID', { text: 'Cannot provide tag filter without service filter' })
  }
  return filters
}

/** `?name=`: only events of that name; `?index=`: waits until the newest of them is another one. */
function listHandler(ports: RoutePorts, agent: AgentPort): Handler {
  return call(async (request) => {
    const { MaxQueryTime } = readOptions(request.query)
    const waitMs = ports.endpoints.cappedWaitMs(MaxQueryTime)
    await rightsOf(ports, request)
    const name = request.query.get('name') ?? ''
    const listed = () => agent.events.list().filter((event) => name === '' || event.Name === name)
    const known = request.query.get('index') ?? ''
    if (known !== '' && BigInt(known) !== 0n) {
      const same = () => BigInt(indexOf(listed())) === BigInt(known)
      if (same()) await nextEvent(ports, agent, request, waitMs, () => !same())
    }
    // Asked again after the wait: they may have become less.
    const rights = await rightsOf(ports, request)
    return answerOf(listed(), (event) => rights.allows.eventRead(event.Name), request)
  })
}

/** Resolves when `happened`, when the time is over or when the caller has gone. @throws TOO_MANY_WAITING */
function nextEvent(
  { clock, parked }: RoutePorts,
  agent: AgentPort,
  { signal }: ApiRequest,
  waitMs: number,
  happened: () => boolean,
): Promise<void> {
  if (parked.count >= MAX_PARKED) throw apiError('TOO_MANY_WAITING', { limit: MAX_PARKED })
  return new Promise((resolve) => {
    parked.count++
    const finish = () => {
      timer.cancel()
      stop()
      signal.removeEventListener('abort', finish)
      parked.count--
      resolve()
    }
    const timer = clock.after(waitMs, finish)
    const stop = agent.events.onEvent(() => happened() && finish())
    signal.addEventListener('abort', finish, { once: true })
  })
}

function answerOf(events: readonly UserEvent[], visible: (event: UserEvent) => boolean, request: ApiRequest): Answer {
  const shown = events.filter(visible)
  const filtered = shown.length < events.length ? FILTERED_HEADER : []
  const headers = ['X-Consul-Index', indexOf(events), ...filtered]
  return jsonAnswer(shown.map(UserEvent.toJson), request.pretty, headers)
}

/** The two halves of the newest event's ID over each other, as an unsigned number of 64 bits. */
function indexOf(events: readonly UserEvent[]): string {
  const digits = events.at(-1)?.ID.replaceAll('-', '') ?? ''
  if (!/^[0-9a-f]{32}$/i.test(digits)) return NO_EVENT_INDEX
  return String(BigInt(`0x${digits.slice(0, 16)}`) ^ BigInt(`0x${digits.slice(16)}`))
}
