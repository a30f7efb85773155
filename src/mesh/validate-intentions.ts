/**
 * Whether the intentions of a destination make sense: sources, actions, permissions on requests.
 */
import type { HttpPermission, IntentionPermission, ServiceIntentions, SourceIntention } from '#codec'
import { repeated } from './validate-routes.ts'

export function* intentionsProblems(entry: ServiceIntentions): Generator<string> {
  yield* wildcardProblems('Name', entry.Name)
  const sources = (entry.Sources ?? []).filter((source) => source !== null)
  if (sources.length === 0) yield 'At least one source is required'
  const seen = new Set<string>()
  for (const [index, source] of sources.entries()) {
    const at = `Sources[${index}]`
    yield* sourceProblems(at, source, entry.Name === '*')
    const key = JSON.stringify([source.Peer, source.Name])
    if (seen.has(key)) yield `${at} defines ${JSON.stringify(source.Name)} more than once`
    seen.add(key)
  }
}

function* wildcardProblems(at: string, name: string): Generator<string> {
  if (name.includes('*') && name !== '*') yield `${at}: wildcard character '*' cannot be used with partial values`
}

function* sourceProblems(at: string, source: SourceIntention, anyDestination: boolean): Generator<string> {
  if (source.Name === '') yield `${at}.Name is required`
  yield* wildcardProblems(`${at}.Name`, source.Name)
  if (source.SamenessGroup !== '') yield `${at}.SamenessGroup requires Consul Enterprise`
  if (source.Type !== 'consul') yield `${at}.Type must be set to 'consul'`
  if (source.LegacyID === '' && source.LegacyMeta !== null && Object.keys(source.LegacyMeta).length > 0) {
    yield `${at}.LegacyMeta must be omitted`
  }
  const permissions = source.Permissions ?? []
  if (permissions.length === 0) {
    if (!isAction(source.Action)) yield `${at}.Action must be set to 'allow' or 'deny'`
    return
  }
  if (source.Action !== '') yield `${at}.Action must be omitted if Permissions are specified`
  if (anyDestination) yield `${at}.Permissions cannot be specified on intentions with wildcarded destinations`
  for (const [index, permission] of permissions.entries()) {
    if (permission !== null) yield* permissionProblems(`${at}.Permissions[${index}]`, permission)
  }
}

const isAction = (action: string) => action === 'allow' || action === 'deny'
const count = (...flags: boolean[]) => flags.filter(Boolean).length

function* permissionProblems(at: string, { Action, HTTP, JWT }: IntentionPermission): Generator<string> {
  if (!isAction(Action)) yield `${at}.Action must be set to 'allow' or 'deny'`
  if (HTTP === null && JWT === null) yield `${at}.HTTP is required`
  if (HTTP !== null) yield* httpProblems(`${at}.HTTP`, HTTP)
}

function* httpProblems(at: string, http: HttpPermission): Generator<string> {
  const { PathExact, PathPrefix, PathRegex, Methods } = http
  const headers = http.Header ?? []
  const methods = Methods ?? []
  const paths = count(PathExact !== '', PathPrefix !== '', PathRegex !== '')
  if (paths > 1) yield `${at} should only contain at most one of PathExact, PathPrefix, or PathRegex`
  if (PathExact !== '' && !PathExact.startsWith('/')) {
    yield `${at}.PathExact doesn't start with '/': ${JSON.stringify(PathExact)}`
  }
  if (PathPrefix !== '' && !PathPrefix.startsWith('/')) {
    yield `${at}.PathPrefix doesn't start with '/': ${JSON.stringify(PathPrefix)}`
  }
  for (const [index, header] of headers.entries()) {
    const { Name, Present, Exact, Prefix, Suffix, Contains, Regex } = header
    const where = `${at}.Header[${index}]`
    if (Name === '') yield `${where} missing required Name field`
    if (count(Present, Exact !== '', Prefix !== '', Suffix !== '', Contains !== '', Regex !== '') !== 1) {
      yield `${where} should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex`
    }
  }
  for (const twice of repeated(methods)) yield `${at}.Methods contains ${JSON.stringify(twice)} more than once`
  if (paths === 0 && headers.length === 0 && methods.length === 0) yield `${at} should not be empty`
}
