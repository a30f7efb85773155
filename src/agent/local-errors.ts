/**
 * What is wrong with a request about this agent's services and checks, or with the files that keep them. The first four
 * texts are what Consul's clients see.
 */
import { errorTable } from '#base'

export const localAgentError = errorTable({
  UNKNOWN_SERVICE_ID: {
    status: 404,
    message: ({ id }: { id: string }) =>
      `Unknown service ID "${id}". Ensure that the service ID is passed, not the service name.`,
  },
  UNKNOWN_CHECK_ID: {
    status: 404,
    message: ({ id }: { id: string }) =>
      `Unknown check ID "${id}". Ensure that the check ID is passed, not the check name.`,
  },
  SERVICE_OF_CHECK: {
    status: 404,
    message: ({ id }: { id: string }) => `ServiceID "${id}" does not exist`,
  },
  CHECK_NOT_TTL: {
    status: 500,
    message: ({ id }: { id: string }) => `CheckID "${id}" does not have associated TTL`,
  },
  CHECK_KIND_UNSUPPORTED: {
    status: 400,
    message: ({ kind, name }: { kind: string; name: string }) =>
      `Register check "${name}": checks of the kind ${kind} are not run by this agent`,
    hint: () => 'use an HTTP, TCP, TTL or alias check',
  },
  SIDECAR_PORTS_USED_UP: {
    status: 500,
    message: ({ service, first, last }: { service: string; first: number; last: number }) =>
      `Register sidecar of "${service}": all ports from ${first} to ${last} are taken`,
    hint: () => 'give Connect.SidecarService a Port',
  },
  NODE_NOT_IN_CATALOG: {
    status: 500,
    message: ({ node }: { node: string }) => `Write services of node "${node}": the catalog does not have it now`,
    hint: () => 'nothing: it comes back with the next look at the members',
  },
  ID_INVALID: {
    status: 400,
    message: ({ kind, id }: { kind: string; id: string }) =>
      `Register ${kind} ${JSON.stringify(id.slice(0, 80))}: its ID holds a NUL or is longer than 1024 characters`,
    hint: () => 'choose another ID',
  },
  TOO_MANY_CHECKS: {
    status: 400,
    message: ({ service, checks, limit }: { service: string; checks: number; limit: number }) =>
      `Register checks of service "${service}": it would have ${checks} and the limit is ${limit}`,
    hint: () => 'let one check look at several things, or split the service',
  },
  NESTED_SIDECAR: {
    status: 400,
    message: ({ service }: { service: string }) =>
      `Register sidecar of "${service}": a sidecar cannot have a sidecar of its own`,
    hint: () => 'remove SidecarService from Connect.SidecarService',
  },
  LOCAL_FILE_UNWRITABLE: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Keep registration "${path}": ${reason}`,
    hint: () => 'see that the data directory is writable and has space',
  },
  LOCAL_FILE_CORRUPT: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Read registration "${path}": ${reason}`,
    hint: () => 'the file was put aside with the ending .corrupt; register the service or check again',
  },
})
