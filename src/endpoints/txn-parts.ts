/**
 * What the parts of a transaction share: what they may use, what they give, how they fail.
 */
import type { TxnResult } from '#codec'
import type { AclPort } from './acl-port.ts'
import { endpointError } from './errors.ts'
import type { Rights } from './rights.ts'

export interface Parts {
  readonly datacenter: string
  readonly rights: Rights
  readonly acl: AclPort
}

/** What one operation shows: nothing, one thing, or a tree of keys. */
export type Performed = readonly Partial<TxnResult>[]

/** The error of an operation that could not be done: the whole transaction is not. */
export function failed(text: string): Error {
  return endpointError('INVALID_REQUEST', { text })
}

export function unknownVerb(what: string, verb: string): Error {
  return failed(`unknown ${what} operation: ${verb}`)
}
