/**
 * Errors that say what was wrong, where, and what to do.
 *
 * Each part declares its errors in one table: code → how the message is made from facts, the HTTP status, a hint.
 * docs/errors.md lists every code; `npm run check` holds both equal. Messages follow one form: the action, the value
 * in quotes, a colon, the state now, no final period. The hint is the next step for a person and is never part of the
 * text that clients match on.
 */

export type ErrorFacts = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** One row of an error table. */
export interface ErrorRow<F extends ErrorFacts = ErrorFacts> {
  /** HTTP status a client gets; 500 where Consul's clients expect it. */
  readonly status: number
  readonly message: (facts: F) => string
  readonly hint?: (facts: F) => string
}

/** What every error of Hanse is: a code from a table, the facts, and a message made from them. */
export class HanseError extends Error {
  readonly code: string
  readonly status: number
  readonly facts: ErrorFacts
  readonly hint: string | undefined

  constructor(code: string, row: ErrorRow, facts: ErrorFacts, cause?: unknown) {
    super(row.message(facts), cause === undefined ? undefined : { cause })
    this.name = 'HanseError'
    this.code = code
    this.status = row.status
    this.facts = facts
    this.hint = row.hint?.(facts)
  }
}

/**
 * Declares a table of errors and returns the function that makes them.
 *
 * @example
 * export const federationError = errorTable({
 *   NO_PATH_TO_DATACENTER: { status: 500, message: () => 'No path to datacenter' },
 * })
 * throw federationError('NO_PATH_TO_DATACENTER', {})
 */
export function errorTable<T extends Record<string, ErrorRow<never>>>(table: T) {
  type Facts<K extends keyof T> = T[K] extends ErrorRow<infer F> ? F : never
  const make = <K extends keyof T & string>(code: K, facts: Facts<K>, cause?: unknown): HanseError =>
    new HanseError(code, table[code] as unknown as ErrorRow, facts as ErrorFacts, cause)
  return Object.assign(make, { codes: Object.keys(table) })
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The `code` of a system error such as ECONNREFUSED, or of a HanseError; undefined where there is none. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}
