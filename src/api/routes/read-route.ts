/**
 * The common form of read routes: parameters → arguments → a plan.
 */
import type { QueryMeta, QueryOptions } from '#codec'
import type { ReadOperation } from '#endpoints'
import { apiError } from '../errors.ts'
import { type ReadOptions, readOptions } from '../http/read-options.ts'
import { type PlanPorts, type Presented, type ReadTraits, readPlan } from '../http/read-plan.ts'
import type { PlanRequest, ReadHandler } from '../http/route.ts'

/** What routes are made with. */
export interface RoutePorts extends PlanPorts {
  /** The node that `?near=_agent` means. */
  readonly agentNode: string
}

/** Where and how: what every read's arguments have. */
export type ReadTarget = ReadOptions & { readonly Datacenter: string; readonly Token: string }

export interface ReadRouteOptions<A, R> extends ReadTraits {
  readonly operation: ReadOperation<A & QueryOptions & { readonly Datacenter: string }, R & QueryMeta>
  /** @throws HanseError for parameters that are wrong */
  readonly args: (request: PlanRequest, target: ReadTarget) => A & QueryOptions & { readonly Datacenter: string }
  readonly present: (reply: R & QueryMeta, request: PlanRequest) => Presented
  /** Tells apart routes, and parameters, that show one reply in different ways. */
  readonly format: string | ((request: PlanRequest) => string)
}

export function readRoute<A, R>(ports: RoutePorts, options: ReadRouteOptions<A, R>): ReadHandler {
  return {
    kind: 'read',
    plan: (request) => {
      const target = {
        ...readOptions(request.query),
        Datacenter: request.datacenter || ports.endpoints.datacenter,
        Token: request.token,
      }
      return readPlan<A, R>({
        ...options,
        ports,
        args: options.args(request, target),
        pretty: request.pretty,
        format: typeof options.format === 'string' ? options.format : options.format(request),
        present: (reply) => options.present(reply, request),
      })
    },
  }
}

/** The name behind the prefix. @throws HanseError BAD_PARAMETER when there is none */
export function nameOf(request: { readonly rest: string }, missing: string): string {
  if (request.rest === '') throw apiError('BAD_PARAMETER', { text: missing })
  return request.rest
}
