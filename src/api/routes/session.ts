/**
 * /v1/session: making, ending, renewing and reading sessions.
 */
import { type IndexedSessions, NodeSpecificRequest, Session, SessionRequest, SessionSpecificRequest } from '#codec'
import { session } from '#endpoints'
import { DEFAULT_LOCK_DELAY_NS } from '#state'
import { jsonAnswer, textAnswer } from '../http/answer.ts'
import { asJson, type Presented } from '../http/read-plan.ts'
import { type ApiRequest, decodeBody, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type PlanRequest, type Route } from '../http/route.ts'
import { nameOf, type ReadTarget, type RoutePorts, readRoute } from './read-route.ts'

/** The check that a session depends on where none is named. */
const SERF_HEALTH = 'serfHealth'

export function sessionRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/session/create', methods: { PUT: createHandler(ports) } },
    { pattern: '/v1/session/destroy/', methods: { PUT: destroyHandler(ports) } },
    { pattern: '/v1/session/renew/', methods: { PUT: renewHandler(ports) } },
    { pattern: '/v1/session/info/', methods: { GET: infoHandler(ports) } },
    { pattern: '/v1/session/node/', methods: { GET: nodeHandler(ports) } },
    { pattern: '/v1/session/list', methods: { GET: listHandler(ports) } },
  ]
}

const idOf = (request: { readonly rest: string }): string => nameOf(request, 'Missing session')

function createHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = SessionRequest.of({
      Datacenter: request.datacenter,
      Op: 'create',
      Session: completed(ports, await request.body(MAX_JSON_BODY_BYTES)),
    })
    return jsonAnswer({ ID: await ports.endpoints.call(session.apply, args, request) }, request.pretty)
  })
}

/** What is said in the body, and for the rest what an agent's own session has. */
function completed(ports: RoutePorts, body: Buffer): Session {
  const defaults = Session.of({
    Node: ports.agentNode,
    LockDelay: DEFAULT_LOCK_DELAY_NS,
    Behavior: 'release',
    NodeChecks: [SERF_HEALTH],
  })
  if (body.length === 0) return defaults
  const said = new Set<string>()
  const note = (json: unknown) => {
    for (const [name, value] of Object.entries(Object(json))) if (value !== null) said.add(name.toLowerCase())
    return json
  }
  const given = decodeBody(Session, body, { type: 'api.SessionEntry', path: 'SessionEntry' }, note)
  const named = said.has('nodechecks') ? given.NodeChecks : said.has('checks') ? given.Checks : defaults.NodeChecks
  return Session.of({
    Name: given.Name,
    Node: given.Node || defaults.Node,
    LockDelay: said.has('lockdelay') ? given.LockDelay : defaults.LockDelay,
    Behavior: given.Behavior || defaults.Behavior,
    TTL: given.TTL,
    NodeChecks: named,
    ServiceChecks: given.ServiceChecks,
  })
}

const target = (request: ApiRequest) => ({ Datacenter: request.datacenter, ...both(idOf(request)) })
/** Peers look for the ID under either name. */
const both = (id: string) => ({ SessionID: id, Session: id })

function destroyHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = { Datacenter: request.datacenter, Op: 'destroy', Session: Session.of({ ID: idOf(request) }) }
    await ports.endpoints.call(session.apply, SessionRequest.of(args), request)
    return jsonAnswer(true, request.pretty)
  })
}

function renewHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const id = idOf(request)
    const args = SessionSpecificRequest.of(target(request))
    const { Sessions } = await ports.endpoints.call(session.renew, args, request)
    if (Sessions === null || Sessions.length === 0) return textAnswer(404, `Session id '${id}' not found`)
    return jsonAnswer(Sessions.map(Session.toJson), request.pretty)
  })
}

const presented = ({ Sessions }: IndexedSessions): Presented => asJson(() => (Sessions ?? []).map(Session.toJson))

function infoHandler(ports: RoutePorts): Handler {
  const args = (request: PlanRequest, how: ReadTarget) => SessionSpecificRequest.of({ ...how, ...both(idOf(request)) })
  return readRoute(ports, { operation: session.get, format: 'session info', args, present: presented })
}

function nodeHandler(ports: RoutePorts): Handler {
  const args = (request: PlanRequest, how: ReadTarget) =>
    NodeSpecificRequest.of({ ...how, Node: nameOf(request, 'Missing node name') })
  return readRoute(ports, { operation: session.nodeSessions, format: 'session node', args, present: presented })
}

function listHandler(ports: RoutePorts): Handler {
  const args = (_: PlanRequest, how: ReadTarget) => SessionSpecificRequest.of(how)
  return readRoute(ports, { operation: session.list, format: 'session list', args, present: presented })
}
