/**
 * /v1/coordinate: where nodes and datacenters are in the network.
 */
import {
  CoordinateUpdateRequest,
  DatacenterMap,
  DCSpecificRequest,
  NodeCoordinate,
  NodeSpecificRequest,
  QuerySource,
} from '#codec'
import { coordinate } from '#endpoints'
import { EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { asJson, type Presented } from '../http/read-plan.ts'
import { decodeBody, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type PlanRequest, type Route } from '../http/route.ts'
import { nameOf, type RoutePorts, readRoute } from './read-route.ts'

const UNKNOWN_NODE: Presented = { kind: 'bare', status: 404, meta: false }

export function coordinateRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/coordinate/datacenters', methods: { GET: datacentersHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/coordinate/nodes', methods: { GET: nodesHandler(ports) }, refuses: 'partition' },
    { pattern: '/v1/coordinate/node/', methods: { GET: nodeHandler(ports) }, refuses: 'partition' },
    { pattern: '/v1/coordinate/update', methods: { PUT: updateHandler(ports) }, refuses: 'partition' },
  ]
}

function datacentersHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const maps = await ports.endpoints.call(coordinate.listDatacenters, {}, request)
    return jsonAnswer((maps ?? []).map(DatacenterMap.toJson), request.pretty)
  })
}

function inSegment(request: PlanRequest) {
  const segment = request.query.get('segment')
  return (entry: { readonly Segment: string }) => segment === null || entry.Segment === segment
}

function nodesHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: coordinate.listNodes,
    format: (request) => `coordinate nodes ${request.query.get('segment') ?? ''}`,
    args: ({ query }, target) =>
      DCSpecificRequest.of({ ...target, Source: QuerySource.of({ Segment: query.get('segment') ?? '' }) }),
    present: (reply, request) =>
      asJson(() => (reply.Coordinates ?? []).filter(inSegment(request)).map(NodeCoordinate.toJson)),
  })
}

function nodeHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    operation: coordinate.node,
    format: (request) => `coordinate node ${request.query.get('segment') ?? ''}`,
    args: (request, target) => NodeSpecificRequest.of({ ...target, Node: nameOf(request, 'Missing node name') }),
    present: (reply, request) => {
      const found = (reply.Coordinates ?? []).filter(inSegment(request))
      return found.length === 0 ? UNKNOWN_NODE : asJson(() => found.map(NodeCoordinate.toJson))
    },
  })
}

function updateHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const names = { type: 'structs.CoordinateUpdateRequest', path: 'CoordinateUpdateRequest' }
    const body = decodeBody(CoordinateUpdateRequest, await request.body(MAX_JSON_BODY_BYTES), names)
    const args = { ...body, Datacenter: body.Datacenter || request.datacenter }
    await ports.endpoints.call(coordinate.update, args, request)
    return EMPTY_ANSWER
  })
}
