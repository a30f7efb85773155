/**
 * Session.*: making, ending, renewing and reading sessions.
 *
 * What ends a session by itself is elsewhere: with its node and checks it ends in the transaction that changes these
 * (state/session-accessors.ts), and when its TTL is over the leader ends it (session-expiry.ts).
 */
import { formatDuration, HanseError, parseDuration, uuid } from '#base'
import {
  IndexedSessions,
  NodeSpecificRequest,
  type Session,
  SessionRequest,
  SessionSpecificRequest,
  string,
} from '#codec'
import { endpointError } from './errors.ts'
import { readOperation, writeOperation } from './operation.ts'
import { type Kept, keep, type Rights } from './rights.ts'

/** Bounds of a TTL; it runs in full before a session ends. The lower is the default of `session_ttl_min`. */
export const DEFAULT_MIN_TTL_MS = 10_000
export const MAX_TTL_MS = 86_400_000
const NS_PER_MS = 1_000_000
/** A longer lock-delay is cut: it would only keep everyone from working. */
const MAX_LOCK_DELAY_NS = 60_000_000_000
/** More checks would not fit one transaction. */
const MAX_CHECKS = 64
/** Longest name, in bytes. */
const MAX_NAME_BYTES = 1024

function invalid(text: string): Error {
  return endpointError('INVALID_REQUEST', { text })
}

/** Makes a session, and replies with its ID; or destroys one. */
export const apply = writeOperation({
  name: 'Session.Apply',
  args: SessionRequest,
  reply: string,
  scope: 'datacenter',
  authorize({ Op, Session: { Node } }, rights) {
    // Whose a session is to destroy is looked up in the transaction that does it.
    if (Op !== 'destroy') needsWrite(rights, Node)
  },
  async run(context, { Op, Session: session }) {
    if (Op === 'destroy') {
      if (session.ID === '') throw invalid('Must provide ID')
      await context.state.write((tx) => {
        const known = tx.sessions.get(session.ID)
        if (known !== undefined) needsWrite(context.rights, known.Node)
        tx.endSession(session.ID)
      })
      return ''
    }
    if (Op !== 'create') throw invalid(`Invalid session operation "${Op}"`)
    const made = { ...complete(session, context.minSessionTtlMs), ID: uuid(context.random) }
    try {
      await context.state.write((tx) => tx.putSession(made))
    } catch (error) {
      throw error instanceof HanseError && NOT_MADE.has(error.code) ? invalid(`apply failed: ${error.message}`) : error
    }
    return made.ID
  },
})

const NOT_MADE: ReadonlySet<string> = new Set(['STATE_MISSING_NODE', 'STATE_MISSING_CHECK', 'STATE_CHECK_CRITICAL'])

function needsWrite(rights: Rights, node: string): void {
  rights.need(rights.allows.sessionWrite(node), 'session:write', node)
}

function complete(session: Session, minTtlMs: number): Session {
  if (session.Node === '') throw invalid('Must provide Node')
  const Behavior = session.Behavior === '' ? 'release' : session.Behavior
  if (Behavior !== 'release' && Behavior !== 'delete') throw invalid(`Invalid Behavior setting '${Behavior}'`)
  if (Buffer.byteLength(session.Name) > MAX_NAME_BYTES) {
    throw invalid(`Cannot create session: its name has more than ${MAX_NAME_BYTES} bytes`)
  }
  const checks = [session.NodeChecks, session.Checks, session.ServiceChecks].reduce(
    (n, list) => n + (list?.length ?? 0),
    0,
  )
  if (checks > MAX_CHECKS)
    throw invalid(`Cannot create session: it has ${checks} checks and the limit is ${MAX_CHECKS}`)
  if (session.LockDelay < 0) throw invalid(`Invalid LockDelay '${session.LockDelay}', must not be negative`)
  const LockDelay = Math.min(session.LockDelay, MAX_LOCK_DELAY_NS)
  return { ...session, Behavior, TTL: ttlOf(session.TTL, minTtlMs), LockDelay }
}

/** The TTL as given, where it is one; "0s" is none. */
function ttlOf(text: string, minTtlMs: number): string {
  if (text === '') return ''
  const ns = parseDuration(text)
  if (ns === undefined) throw invalid(`Session TTL '${text}' invalid: time: invalid duration ${JSON.stringify(text)}`)
  if (ns === 0) return ''
  const [min, max] = [minTtlMs * NS_PER_MS, MAX_TTL_MS * NS_PER_MS]
  if (ns >= min && ns <= max) return text
  throw invalid(`Invalid Session TTL '${ns}', must be between [${formatDuration(min)}=${formatDuration(max)}]`)
}

const idOf = ({ SessionID, Session }: SessionSpecificRequest): string => SessionID || Session

const replyOf = (sessions: readonly Session[]): IndexedSessions =>
  IndexedSessions.of({ Sessions: sessions.length === 0 ? null : sessions })

/** Starts the TTL of a session anew, and shows the session. */
export const renew = writeOperation({
  name: 'Session.Renew',
  args: SessionSpecificRequest,
  reply: IndexedSessions,
  scope: 'datacenter',
  anyone: 'whose session it is, is looked up in the transaction that renews it',
  bearer: ({ Token }) => Token,
  async run({ state, rights }, args) {
    if (idOf(args) === '') throw invalid('Must provide SessionID')
    const { value, index } = await state.write((tx) => {
      const known = tx.sessions.get(idOf(args))
      if (known !== undefined) needsWrite(rights, known.Node)
      return tx.renewSession(idOf(args))
    })
    return { ...replyOf(value === undefined ? [] : [value]), Index: value?.ModifyIndex ?? index }
  },
})

function visible(reply: IndexedSessions, { allows }: Rights): Kept<IndexedSessions> {
  const { items, filtered } = keep(reply.Sessions, ({ Node }) => allows.sessionRead(Node))
  return { reply: filtered ? replyOf(items ?? []) : reply, filtered }
}

/** One session; none where it is not there. */
export const get = readOperation({
  name: 'Session.Get',
  args: SessionSpecificRequest,
  reply: IndexedSessions,
  scope: 'datacenter',
  query(tx, args) {
    const session = tx.sessions.get(idOf(args))
    return replyOf(session === undefined ? [] : [session])
  },
  filter: visible,
})

/** All sessions, sorted by ID. */
export const list = readOperation({
  name: 'Session.List',
  args: SessionSpecificRequest,
  reply: IndexedSessions,
  scope: 'datacenter',
  query: (tx) => replyOf(tx.sessions.all()),
  filter: visible,
})

/** The sessions of a node. */
export const nodeSessions = readOperation({
  name: 'Session.NodeSessions',
  args: NodeSpecificRequest,
  reply: IndexedSessions,
  scope: 'datacenter',
  query: (tx, { Node }) => replyOf(tx.sessions.ofNode(Node)),
  filter: visible,
})
