/**
 * /v1/catalog: what is registered, without regard to health.
 */
import {
  DatacentersRequest,
  DCSpecificRequest,
  DeregisterRequest,
  GatewayService,
  list,
  map,
  Node,
  type NodeService,
  NodeServiceList,
  NodeServices,
  NodeSpecificRequest,
  pointer,
  RegisterRequest,
  ServiceNode,
  ServiceSpecificRequest,
  string,
} from '#codec'
import { catalog } from '#endpoints'
import { jsonAnswer } from '../http/answer.ts'
import { nodeMetaOf, sourceOf } from '../http/read-options.ts'
import { asJson } from '../http/read-plan.ts'
import { decodeBody, MAX_JSON_BODY_BYTES } from '../http/request.ts'
import { call, type Handler, type PlanRequest, type Route } from '../http/route.ts'
import { nameOf, type ReadTarget, type RoutePorts, readRoute } from './read-route.ts'

const CATALOG = { metaOnError: true, showsConsistency: true }
const tagLists = map(list(string))
const nodeServices = pointer(NodeServices)

export function catalogRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/catalog/register', methods: { PUT: registerHandler(ports) } },
    { pattern: '/v1/catalog/deregister', methods: { PUT: deregisterHandler(ports) } },
    { pattern: '/v1/catalog/datacenters', methods: { GET: datacentersHandler(ports) }, refuses: 'nothing' },
    { pattern: '/v1/catalog/nodes', methods: { GET: nodesHandler(ports) }, refuses: 'partition' },
    { pattern: '/v1/catalog/services', methods: { GET: servicesHandler(ports) } },
    { pattern: '/v1/catalog/service/', methods: { GET: serviceHandler(ports, false) } },
    { pattern: '/v1/catalog/connect/', methods: { GET: serviceHandler(ports, true) } },
    { pattern: '/v1/catalog/node/', methods: { GET: nodeHandler(ports) } },
    { pattern: '/v1/catalog/node-services/', methods: { GET: nodeServicesHandler(ports) } },
    { pattern: '/v1/catalog/gateway-services/', methods: { GET: gatewayServicesHandler(ports) } },
  ]
}

/** Arguments of the reads that ask for one service. */
export function serviceArgs(ports: RoutePorts, request: PlanRequest, target: ReadTarget) {
  const { query } = request
  const tags = query.getAll('tag')
  return ServiceSpecificRequest.of({
    ...target,
    ServiceName: nameOf(request, 'Missing service name'),
    ServiceTags: tags.length === 0 ? null : tags,
    TagFilter: tags.length > 0,
    NodeMetaFilters: nodeMetaOf(query),
    PeerName: query.get('peer') ?? '',
    Source: sourceOf(query, target.Datacenter, ports.agentNode),
    MergeCentralConfig: query.has('merge-central-config'),
  })
}

const BODY = { type: 'structs.RegisterRequest', path: 'RegisterRequest' }

function registerHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const body = decodeBody(RegisterRequest, await request.body(MAX_JSON_BODY_BYTES), BODY)
    const args = { ...body, Datacenter: body.Datacenter || request.datacenter }
    await ports.endpoints.call(catalog.register, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

function deregisterHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const names = { type: 'structs.DeregisterRequest', path: 'DeregisterRequest' }
    const body = decodeBody(DeregisterRequest, await request.body(MAX_JSON_BODY_BYTES), names)
    const args = { ...body, Datacenter: body.Datacenter || request.datacenter }
    await ports.endpoints.call(catalog.deregister, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

function datacentersHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = DatacentersRequest.of()
    const names = await ports.endpoints.call(catalog.listDatacenters, args, request)
    return jsonAnswer(names ?? [], request.pretty)
  })
}

function nodesHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...CATALOG,
    operation: catalog.listNodes,
    format: 'catalog nodes',
    args: ({ query }, target) =>
      DCSpecificRequest.of({
        ...target,
        NodeMetaFilters: nodeMetaOf(query),
        PeerName: query.get('peer') ?? '',
        Source: sourceOf(query, target.Datacenter, ports.agentNode),
      }),
    present: (reply) => asJson(() => (reply.Nodes ?? []).map(Node.toJson)),
  })
}

function servicesHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...CATALOG,
    operation: catalog.listServices,
    format: 'catalog services',
    args: ({ query }, target) =>
      DCSpecificRequest.of({ ...target, NodeMetaFilters: nodeMetaOf(query), PeerName: query.get('peer') ?? '' }),
    present: (reply) =>
      asJson(() =>
        tagLists.toJson(
          Object.fromEntries(Object.entries(reply.Services ?? {}).map(([name, tags]) => [name, tags ?? []])),
        ),
      ),
  })
}

function serviceHandler(ports: RoutePorts, connect: boolean): Handler {
  return readRoute(ports, {
    ...CATALOG,
    operation: catalog.serviceNodes,
    format: 'catalog service',
    args: (request, target) => ({ ...serviceArgs(ports, request, target), Connect: connect }),
    present: (reply) => asJson(() => (reply.ServiceNodes ?? []).map(ServiceNode.toJson)),
  })
}

function nodeArgs(request: PlanRequest, target: ReadTarget) {
  return NodeSpecificRequest.of({
    ...target,
    Node: nameOf(request, 'Missing node name'),
    PeerName: request.query.get('peer') ?? '',
    MergeCentralConfig: request.query.has('merge-central-config'),
  })
}

/** Nil tags stand as []. */
export function withTags(service: NodeService): NodeService {
  return service.Tags === null ? { ...service, Tags: [] } : service
}

function nodeHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...CATALOG,
    operation: catalog.nodeServices,
    format: 'catalog node',
    args: nodeArgs,
    present: (reply) =>
      asJson(() => {
        const { NodeServices: found } = reply
        if (found === null) return null
        const entries = Object.entries(found.Services ?? {}).map(([id, service]) => [id, withTags(service)])
        return nodeServices.toJson({ ...found, Services: Object.fromEntries(entries) })
      }),
  })
}

function nodeServicesHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...CATALOG,
    operation: catalog.nodeServiceList,
    format: 'catalog node-services',
    args: nodeArgs,
    present: (reply) =>
      asJson(() => {
        const { Node: node, Services } = reply.NodeServices
        return NodeServiceList.toJson({ Node: node, Services: Services?.map(withTags) ?? null })
      }),
  })
}

function gatewayServicesHandler(ports: RoutePorts): Handler {
  return readRoute(ports, {
    ...CATALOG,
    operation: catalog.gatewayServices,
    format: 'catalog gateway-services',
    args: (request, target) =>
      ServiceSpecificRequest.of({ ...target, ServiceName: nameOf(request, 'Missing gateway name') }),
    present: (reply) => asJson(() => (reply.Services ?? []).map(GatewayService.toJson)),
  })
}
