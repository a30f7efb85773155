/**
 * What a call says about itself before it is done: which service it is of, who asks, which datacenter has to do it; and
 * what another datacenter's refusal means.
 */
import type { Route, Scope } from './operation.ts'
import type { Facts } from './rights.ts'

/** What finding out who asks looks at. */
export interface Judged<A> {
  bearer?(args: A): string
  readonly anyone?: string
}

/** What everyone may do is not judged by a token, good or bad, unless it says so. */
export function judgedBy<A extends object>({ bearer, anyone }: Judged<A>, args: A): string {
  if (bearer !== undefined) return bearer(args)
  return anyone === undefined ? tokenOf(args) : ''
}

/** What routing looks at. */
export interface Placed<A> {
  readonly scope: Scope
  readonly route?: Route<A>
  inPrimary?(args: A, facts: Facts): boolean
}

const NOT_FOUND_THERE =
  /Cannot find \w[\w ]* to delete|^[^"]*Requested [\w ]+ does not exist: ACL not found|Intention not found$/

/** HTTP has a status of its own for what another datacenter says of tokens, and of objects that are not there. */
export function remoteCode(text: string): 'REMOTE_ERROR' | 'REMOTE_REFUSED' | 'REMOTE_NOT_FOUND' {
  if (NOT_FOUND_THERE.test(text)) return 'REMOTE_NOT_FOUND'
  return /Permission denied|ACL not found/.test(text) ? 'REMOTE_REFUSED' : 'REMOTE_ERROR'
}

export function tokenOf(args: object): string {
  return 'Token' in args && typeof args.Token === 'string' ? args.Token : ''
}

export function withToken<A extends object>(args: A, token: string | undefined): A {
  return token && 'Token' in args && args.Token === '' ? { ...args, Token: token } : args
}

export function datacenterOf(args: object): string {
  return 'Datacenter' in args && typeof args.Datacenter === 'string' ? args.Datacenter : ''
}

/** `Catalog.ListNodes` → `Catalog`. */
export function serviceOf(method: string): string {
  return method.slice(0, Math.max(0, method.lastIndexOf('.')))
}
