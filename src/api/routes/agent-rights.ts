/**
 * Who may do what with this agent: its own facts, pools, services and checks are not in the tables of the servers, so
 * the rights are asked here.
 */
import type { Rights } from '#endpoints'
import type { AgentPort } from '../agent-port.ts'
import type { HeaderList } from '../http/answer.ts'
import { FILTERED_HEADER } from '../http/read-plan.ts'
import type { ApiRequest } from '../http/request.ts'
import type { CallHandler, Handler, StreamHandler } from '../http/route.ts'
import type { RoutePorts } from './read-route.ts'

/** @throws HanseError PERMISSION_DENIED */
export type Need = (rights: Rights, request: ApiRequest) => void

/** The rights of who asks. @throws HanseError ACL_NOT_FOUND */
export function rightsOf({ endpoints }: RoutePorts, request: ApiRequest): Rights | Promise<Rights> {
  return endpoints.rightsOf(request.token)
}

/** A handler that asks for rights first, where there is access control. */
export function guarded(ports: RoutePorts, need: Need, handler: Handler): Handler {
  if (!ports.endpoints.acl.enabled || handler.kind === 'read') return handler
  const check = async (request: ApiRequest) => need(await rightsOf(ports, request), request)
  if (handler.kind === 'stream') {
    const run: StreamHandler['run'] = async (request, response) => {
      await check(request)
      await handler.run(request, response)
    }
    return { kind: 'stream', run }
  }
  const run: CallHandler['run'] = async (request) => {
    await check(request)
    return handler.run(request)
  }
  return { kind: 'call', run }
}

export interface AgentNeeds {
  readonly agentRead: Need
  readonly agentWrite: Need
  readonly nodeWrite: Need
  readonly operatorRead: Need
  readonly operatorWrite: Need
  /** The service that the path names by its ID; one that is not there is the handler's to refuse. */
  readonly serviceWrite: Need
  readonly serviceRead: Need
  readonly serviceReadByName: Need
  /** The check that the path names: its service, or the node. */
  readonly checkWrite: Need
}

export function agentNeeds(agent: AgentPort): AgentNeeds {
  const node = agent.nodeName
  const nodeWrite: Need = (rights) => rights.need(rights.allows.nodeWrite(node), 'node:write', node)
  return {
    agentRead: (rights) => rights.need(rights.allows.agentRead(node), 'agent:read', node),
    agentWrite: (rights) => rights.need(rights.allows.agentWrite(node), 'agent:write', node),
    nodeWrite,
    operatorRead: (rights) => rights.need(rights.allows.operatorRead(), 'operator:read'),
    operatorWrite: (rights) => rights.need(rights.allows.operatorWrite(), 'operator:write'),
    serviceWrite: (rights, { rest }) => {
      const service = agent.service(rest)
      if (service !== undefined) needServiceWrite(rights, service.Service)
    },
    serviceRead: (rights, { rest }) => {
      const name = agent.service(rest)?.Service
      if (name !== undefined) rights.need(rights.allows.serviceRead(name), 'service:read', name)
    },
    serviceReadByName: (rights, { rest }) => rights.need(rights.allows.serviceRead(rest), 'service:read', rest),
    checkWrite: (rights, request) => {
      const check = agent.check(request.rest)
      if (check === undefined) return
      if (check.ServiceName === '') nodeWrite(rights, request)
      else needServiceWrite(rights, check.ServiceName)
    },
  }
}

/** @throws HanseError PERMISSION_DENIED */
export function needServiceWrite(rights: Rights, name: string): void {
  rights.need(rights.allows.serviceWrite(name), 'service:write', name)
}

/** The header that says that something was left out; the anonymous are not told. */
export function leftOut(rights: Rights, all: number, shown: number): HeaderList {
  return rights.authenticated && shown < all ? FILTERED_HEADER : []
}
