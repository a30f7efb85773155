/**
 * Errors of the state: stored records it cannot read, and writes that cannot be done.
 *
 * `Missing node registration` and its like are texts that Consul's clients know.
 */
import { errorTable } from '#base'

export const stateError = errorTable({
  STATE_RECORD_CORRUPT: {
    status: 500,
    message: (facts: { table: string; key: string; reason: string }) =>
      `Cannot read record "${facts.key}" of table "${facts.table}": ${facts.reason}`,
    hint: () => 'Move the data directory aside and start with an empty one, then restore the last snapshot',
  },
  STATE_SCHEMA_NEWER: {
    status: 500,
    message: (facts: { found: number; known: number }) =>
      `Cannot read the state: it has schema ${facts.found} and this version knows ${facts.known}`,
    hint: () => 'Start the version of Hanse that wrote it, or a newer one',
  },
  STATE_CLOSED: { status: 500, message: () => 'Cannot use the state: it is closed' },
  STATE_STREAM_LOST: {
    status: 500,
    message: (facts: { reason: string }) => `Cannot follow the store: ${facts.reason}`,
    hint: () => 'Reads go on with what is known; the stream is opened again by itself',
  },
  STATE_TRANSACTION_OVER: {
    status: 500,
    message: () => 'Cannot use a transaction: the function it was handed to has returned',
  },
  STATE_NESTED: {
    status: 500,
    message: () => "Cannot use the state inside a write's work: it has a transaction of its own",
  },
  STATE_WRITE_CONFLICT: {
    status: 500,
    message: (facts: { attempts: number }) =>
      `Cannot commit: others changed the same keys during all ${facts.attempts} attempts`,
    hint: () => 'Try again',
  },
  STATE_BUSY: {
    status: 429,
    message: (facts: { limit: number }) => `Cannot queue write: ${facts.limit} are under way, which is the limit`,
    hint: () => 'Write more slowly, or use a faster disk',
  },
  STATE_KEY_INVALID: {
    status: 400,
    message: (facts: { table: string; reason: string }) => `Cannot write to table "${facts.table}": ${facts.reason}`,
  },
  STATE_MISSING_NODE: { status: 500, message: () => 'Missing node registration' },
  STATE_MISSING_CHECK: {
    status: 500,
    message: ({ check }: { check: string }) => `Missing check '${check}' registration`,
  },
  STATE_CHECK_CRITICAL: {
    status: 500,
    message: ({ check }: { check: string }) => `Check '${check}' is in critical state`,
    hint: () => 'A session ends with its checks, so it is made only while all of them pass or warn',
  },
  STATE_SESSION_MISSING: { status: 500, message: () => 'missing session' },
  STATE_SESSION_INVALID: {
    status: 500,
    message: ({ session }: { session: string }) => `invalid session ${JSON.stringify(session)}`,
    hint: () => 'It has ended, or never was: create one with PUT /v1/session/create',
  },
  STATE_MISSING_SERVICE: { status: 500, message: () => 'Missing service registration' },
})
