/**
 * What an operation is: a name on the wire, the shapes of its arguments and reply, where it runs, and one function.
 *
 * HTTP, DNS, the command line and other datacenters all end in the same operation. Routing, blocking, consistency,
 * shared answers and the facts about an answer come from the middleware (endpoints.ts); an operation only says what
 * it reads or does.
 */
import type { Clock, Logger } from '#base'
import type { Kind, QueryMeta, QueryOptions, Struct } from '#codec'
import type { ReadTx, State } from '#state'
import type { Ports, Router } from './ports.ts'

/**
 * Where an operation runs:
 * - `datacenter`: in the one that `Datacenter` names, here if it is empty
 * - `primary`: in the primary, whatever `Datacenter` says
 * - `here`: always in the datacenter that was asked
 */
export type Scope = 'datacenter' | 'primary' | 'here'

/** Arguments that may name a datacenter. */
export interface RoutedArgs {
  readonly Datacenter?: string
}

/** Arguments of a read: where, and how it may be answered. */
export type ReadArgs = QueryOptions & { readonly Datacenter: string }

interface OperationBase<A extends RoutedArgs, R> {
  /** As on the wire: `Catalog.ListNodes`. */
  readonly name: string
  readonly args: Struct<A>
  readonly reply: Kind<R>
  readonly scope: Scope
}

/** What a read may know besides the tables. */
export interface ReadContext {
  readonly datacenter: string
  readonly primaryDatacenter: string
}

/** A question to the tables: blocking, shared answers and the facts about the answer come from the middleware. */
export interface ReadOperation<A extends ReadArgs, R extends QueryMeta> extends OperationBase<A, R> {
  readonly access: 'read'
  readonly reply: Struct<R>
  readonly scope: 'datacenter' | 'here'
  /** Refuses arguments before anything is read. @throws HanseError */
  check?(args: A): void
  /** Pure: the same tables and arguments give the same reply. Fields of QueryMeta are filled in later. */
  query(tx: ReadTx, args: A, context: ReadContext): R
}

/** What a call may use. */
export interface CallContext extends ReadContext {
  readonly state: State
  readonly router: Router
  readonly ports: Ports
  readonly clock: Clock
  readonly log: Logger
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal | undefined
}

/** A write, or a call that is not a question to the tables. */
export interface CallOperation<A extends RoutedArgs, R> extends OperationBase<A, R> {
  readonly access: 'write' | 'call'
  run(context: CallContext, args: A): Promise<R>
}

export type Operation<A extends ReadArgs, R extends QueryMeta> = ReadOperation<A, R> | CallOperation<A, R>

/** Any operation, for tables of them and for bytes from the wire. */
export type AnyOperation = ReadOperation<ReadArgs, QueryMeta> | CallOperation<RoutedArgs, unknown>

/** Declares a read; a function only so that types are inferred. */
export function readOperation<A extends ReadArgs, R extends QueryMeta>(
  operation: Omit<ReadOperation<A, R>, 'access'>,
): ReadOperation<A, R> {
  return { ...operation, access: 'read' }
}

/** Declares a write: it changes state, and is answered when that is durable. */
export function writeOperation<A extends RoutedArgs, R>(
  operation: Omit<CallOperation<A, R>, 'access'>,
): CallOperation<A, R> {
  return { ...operation, access: 'write' }
}

/** Declares a call that neither reads the tables alone nor writes them. */
export function callOperation<A extends RoutedArgs, R>(
  operation: Omit<CallOperation<A, R>, 'access'>,
): CallOperation<A, R> {
  return { ...operation, access: 'call' }
}
