/**
 * Whether an entry makes sense by itself. What it means together with others: check-write.ts.
 *
 * Each kind has a generator of problems; a write is refused with the first one.
 */
import { type ConfigEntry, configEntryName } from '#codec'
import { meshError } from './errors.ts'
import { meshProblems, proxyDefaultsProblems, serviceDefaultsProblems } from './validate-defaults.ts'
import {
  apiGatewayProblems,
  certificateProblems,
  exportedServicesProblems,
  ingressProblems,
  terminatingProblems,
} from './validate-gateways.ts'
import { intentionsProblems } from './validate-intentions.ts'
import { resolverProblems } from './validate-resolver.ts'
import { routerProblems, splitterProblems } from './validate-routes.ts'

/** Longest name of an entry, in characters. */
export const MAX_NAME_CHARACTERS = 512
/** Most items in one list of an entry: routes, splits, sources. */
export const MAX_LIST_ITEMS = 4096

/**
 * Checks a normalised entry.
 *
 * @throws HanseError ENTRY_INVALID with the recorded text
 */
export function validateEntry(entry: ConfigEntry): void {
  for (const problem of problemsOf(entry)) {
    throw meshError('ENTRY_INVALID', { problem, kind: entry.Kind, name: configEntryName(entry) })
  }
}

function* problemsOf(entry: ConfigEntry): Generator<string> {
  if (entry.Kind !== 'mesh' && entry.Kind !== 'proxy-defaults') {
    if (entry.Name === '') yield 'Name is required'
    if (entry.Name.length > MAX_NAME_CHARACTERS) yield `Name must be ${MAX_NAME_CHARACTERS} characters or fewer`
  }
  for (const [field, value] of Object.entries(entry)) {
    if (Array.isArray(value) && value.length > MAX_LIST_ITEMS)
      yield `${field} must have ${MAX_LIST_ITEMS} items or fewer`
  }
  yield* kindProblems(entry)
}

function kindProblems(entry: ConfigEntry): Iterable<string> {
  switch (entry.Kind) {
    case 'proxy-defaults':
      return proxyDefaultsProblems(entry)
    case 'service-defaults':
      return serviceDefaultsProblems(entry)
    case 'mesh':
      return meshProblems(entry)
    case 'service-resolver':
      return resolverProblems(entry)
    case 'service-router':
      return routerProblems(entry)
    case 'service-splitter':
      return splitterProblems(entry)
    case 'service-intentions':
      return intentionsProblems(entry)
    case 'ingress-gateway':
      return ingressProblems(entry)
    case 'terminating-gateway':
      return terminatingProblems(entry)
    case 'exported-services':
      return exportedServicesProblems(entry)
    case 'sameness-group':
      return ['sameness-groups are an enterprise-only feature']
    case 'jwt-provider':
      return entry.JSONWebKeySet === null ? ['JSONWebKeySet is required'] : []
    case 'api-gateway':
      return apiGatewayProblems(entry)
    case 'tcp-route':
      return (entry.Services?.length ?? 0) > 1 ? ['tcp-route currently only supports one service'] : []
    case 'inline-certificate':
      return certificateProblems(entry)
    case 'http-route':
    case 'bound-api-gateway':
    case 'file-system-certificate':
      return []
  }
}
