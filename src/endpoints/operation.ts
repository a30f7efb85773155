/**
 * What an operation is: a name on the wire, the shapes of its arguments and reply, where it runs, and one function.
 *
 * HTTP, DNS, the command line and other datacenters all end in the same operation. Routing, blocking, consistency,
 * shared answers and the facts about an answer come from the middleware (endpoints.ts); an operation only says what
 * it reads or does.
 */
import type { Clock, Logger, Random } from '#base'
import type { Kind, QueryMeta, QueryOptions, QuerySource, Struct } from '#codec'
import type { ReadTx, State } from '#state'
import type { AclPort } from './acl-port.ts'
import type { Ports, Router } from './ports.ts'
import type { Facts, Kept, Rights } from './rights.ts'

/**
 * Where an operation runs:
 * - `datacenter`: in the one that `Datacenter` names, here if it is empty
 * - `primary`: in the primary, whatever `Datacenter` says
 * - `here`: always in the datacenter that was asked
 */
export type Scope = 'datacenter' | 'primary' | 'here'

/** Arguments of any operation; those that have a field `Datacenter` say with it where to go. */
export type RoutedArgs = object

/** Arguments of a read: where, and how it may be answered. */
export type ReadArgs = QueryOptions & { readonly Datacenter: string }

/** How arguments name the datacenter they are for. */
export interface Route<A> {
  get(args: A): string
  with(args: A, datacenter: string): A
}

interface OperationBase<A extends RoutedArgs, R> {
  /** As on the wire: `Catalog.ListNodes`. */
  readonly name: string
  readonly args: Struct<A>
  readonly reply: Kind<R>
  readonly scope: Scope
  /** Which datacenter `args` name, where that is not their field `Datacenter`. */
  readonly route?: Route<A>
  /** Whether it belongs to the primary though no datacenter, or this one, is named. */
  inPrimary?(args: A, facts: Facts): boolean
  /** Refuses who may not do it, before anything is read or written. @throws HanseError PERMISSION_DENIED */
  authorize?(args: A, rights: Rights, facts: Facts): void
  /** The token that it is judged by, where that is not `Token`. */
  bearer?(args: A): string
  /** Only the leader of the datacenter can answer: any other server passes it on. */
  readonly onLeader?: boolean
  /** Why everyone may do it, where neither `authorize` nor `filter` says who may. */
  readonly anyone?: string
}

/** What a read may know besides the tables. */
export interface ReadContext {
  readonly datacenter: string
  readonly primaryDatacenter: string
  /** Milliseconds since 1970: only for what ends by itself. */
  wallMs(): number
  /** Seconds from the asker to a node of this datacenter; undefined where that is not known, then nothing is sorted. */
  distancesFrom(source: QuerySource): ((node: string) => number) | undefined
}

/** A question to the tables: blocking, shared answers and the facts about the answer come from the middleware. */
export interface ReadOperation<A extends ReadArgs, R extends QueryMeta> extends OperationBase<A, R> {
  readonly access: 'read'
  readonly scope: 'datacenter' | 'here'
  /** Refuses arguments before anything is read. @throws HanseError */
  check?(args: A): void
  /** Pure: the same tables and arguments give the same reply. Fields of QueryMeta are filled in later. */
  query(tx: ReadTx, args: A, context: ReadContext): R
  /** Leaves out what the caller may not see. Pure, as the query. */
  filter?(reply: R, rights: Rights, args: A): Kept<R>
}

/** What a call may use. */
export interface CallContext extends ReadContext {
  readonly state: State
  readonly router: Router
  readonly ports: Ports
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** The shortest TTL that a session may have. */
  readonly minSessionTtlMs: number
  /** Who asks. */
  readonly rights: Rights
  readonly acl: AclPort
  /** Aborted when the caller is gone. Asked for where it is needed: to make one costs something. */
  signal(): AbortSignal | undefined
  /** Puts one question to another datacenter, as it is. @throws HanseError REMOTE_ERROR and the router's errors */
  ask<A, R>(wire: WireCall<A, R>, args: A, to: { datacenter: string; timeoutMs: number }): Promise<R>
}

/** What must be known to call an operation elsewhere. */
export interface WireCall<A, R> {
  readonly name: string
  readonly args: Kind<A>
  readonly reply: Kind<R>
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
