/**
 * Sessions and locks: what a ReadTx shows of them, what a WriteTx does with them, and how sessions end.
 *
 * Two things hold after every transaction, whichever server wrote it: a key that is locked is locked by a session that
 * is there, and the node and checks of a session are there and not critical. Over keys that one transaction does not
 * name, guards keep them: who makes a session touches the guard of its node's sessions, who takes a lock the guard of
 * that session's locks; who ends sessions relies on both being untouched.
 */
import type { DirEntry, Session } from '#codec'
import { checkKey, instanceKey, nodeKey } from './declarations.ts'
import { stateError } from './errors.ts'
import type { Plan } from './plan.ts'
import { checksOfSession, LockDelay, SessionRenewal, sessionKey } from './session-declarations.ts'
import type { Row } from './table.ts'
import type { Tables } from './tables.ts'
import type { Topic } from './watches.ts'

interface Source {
  tables(): Tables
  see(topic: Topic): void
}

/** Lists are sorted by ID. */
export interface SessionsReader {
  get(id: string): Session | undefined
  all(): readonly Session[]
  ofNode(node: string): readonly Session[]
  /** Of a session with a TTL: changes with every renewal. */
  renewal(id: string): SessionRenewal | undefined
  renewals(): readonly SessionRenewal[]
  /** IDs of sessions that hold a lock, whether they are there or not. */
  holders(): readonly string[]
}

export interface LockDelaysReader {
  get(key: string): LockDelay | undefined
  /** Sorted by the bytes of the keys. */
  all(): readonly LockDelay[]
}

export interface SessionReads {
  readonly sessions: SessionsReader
  readonly lockDelays: LockDelaysReader
}

export interface SessionWrites {
  /** @throws STATE_MISSING_NODE, STATE_MISSING_CHECK, STATE_CHECK_CRITICAL */
  putSession(session: Session): boolean
  /** Starts the TTL anew. @returns the session, undefined where there is none */
  renewSession(id: string): Session | undefined
  /**
   * Ends a session: its locks are released, or their keys deleted, and may not be taken again until the delay is over.
   * More locks than one transaction holds are released in several.
   */
  endSession(id: string): boolean
  /** Releases what an unknown session holds: nothing, unless a server wrote that knows no sessions. */
  releaseLocksOf(id: string): boolean
  /** Locks a key for `entry.Session` and puts it. @returns false where another holds it, or the delay is not over */
  lockKv(entry: DirEntry): boolean
  /** Releases a key that `entry.Session` holds and puts it. @returns false where that session does not hold it */
  unlockKv(entry: DirEntry): boolean
  /** Lets a key be locked again. */
  deleteLockDelay(key: string): boolean
}

export function sessionReads(source: Source): SessionReads {
  return {
    sessions: {
      get(id) {
        const { sessions } = source.tables()
        source.see(sessions.recordTopic(sessionKey(id)))
        return sessions.get(sessionKey(id))?.value
      },
      all() {
        const { sessions } = source.tables()
        source.see(sessions.allTopic())
        return sessions.rows.map(({ value }) => value)
      },
      ofNode(node) {
        const { sessions } = source.tables()
        source.see(sessions.bucketTopic('node', nodeKey(node)))
        return sessions.bucket('node', nodeKey(node))?.map(({ value }) => value) ?? []
      },
      renewal(id) {
        const { sessionRenewals } = source.tables()
        source.see(sessionRenewals.recordTopic(sessionKey(id)))
        return sessionRenewals.get(sessionKey(id))?.value
      },
      renewals() {
        const { sessionRenewals } = source.tables()
        source.see(sessionRenewals.allTopic())
        return sessionRenewals.rows.map(({ value }) => value)
      },
      holders() {
        const { kv } = source.tables()
        source.see(kv.allTopic())
        return kv.valuesOf('session')
      },
    },
    lockDelays: {
      get(key) {
        const { lockDelays } = source.tables()
        source.see(lockDelays.recordTopic(key))
        return lockDelays.get(key)?.value
      },
      all() {
        const { lockDelays } = source.tables()
        source.see(lockDelays.allTopic())
        return lockDelays.rows.map(({ value }) => value)
      },
    },
  }
}

const sessionsGuard = (node: string): string => `sessions:${node}`
const locksGuard = (session: string): string => `locks:${session}`

export function sessionWrites(plan: Plan): SessionWrites {
  return {
    putSession: (session) => putSession(plan, session),
    renewSession(id) {
      const { sessions, sessionRenewals } = plan.tables()
      const key = sessionKey(id)
      plan.see(sessions.recordTopic(key))
      const session = sessions.get(key)?.value
      if (session === undefined || session.TTL === '') return session
      const Count = (sessionRenewals.get(key)?.value.Count ?? 0) + 1
      plan.put(sessionRenewals, key, SessionRenewal.of({ ID: session.ID, TTL: session.TTL, Count }))
      return session
    },
    endSession(id) {
      const { sessions } = plan.tables()
      const key = sessionKey(id)
      plan.see(sessions.recordTopic(key))
      const row = sessions.get(key)
      if (row) endSession(plan, row)
      return row !== undefined
    },
    releaseLocksOf(id) {
      const { sessions } = plan.tables()
      const key = sessionKey(id)
      plan.see(sessions.recordTopic(key))
      if (sessions.get(key) !== undefined) return false
      return releaseLocks(plan, key, { Behavior: '', LockDelay: DEFAULT_LOCK_DELAY_NS })
    },
    lockKv: (entry) => lockKv(plan, entry),
    unlockKv: (entry) => unlockKv(plan, entry),
    deleteLockDelay: (key) => plan.delete(plan.tables().lockDelays, key),
  }
}

/** Of a session that says nothing else. */
export const DEFAULT_LOCK_DELAY_NS = 15_000_000_000

function putSession(plan: Plan, session: Session): boolean {
  const { nodes, checks, sessions, sessionRenewals } = plan.tables()
  const node = nodeKey(session.Node)
  plan.see(nodes.recordTopic(node))
  const on = nodes.get(node)
  if (on === undefined) throw stateError('STATE_MISSING_NODE', {})
  for (const id of checksOfSession(session)) {
    const check = checkKey(session.Node, id)
    plan.see(checks.recordTopic(check))
    const known = checks.get(check)?.value
    if (known === undefined) throw stateError('STATE_MISSING_CHECK', { check: id })
    if (known.Status === 'critical') throw stateError('STATE_CHECK_CRITICAL', { check: id })
  }
  plan.touchGuard(sessionsGuard(node))
  const key = sessionKey(session.ID)
  if (session.TTL !== '') plan.put(sessionRenewals, key, SessionRenewal.of({ ID: session.ID, TTL: session.TTL }))
  return plan.put(sessions, key, { ...session, Node: on.value.Node })
}

function endSession(plan: Plan, { key, value }: Row<Session>): void {
  const { sessions, sessionRenewals } = plan.tables()
  releaseLocks(plan, key, value)
  plan.delete(sessionRenewals, key, true)
  plan.delete(sessions, key, true)
}

function releaseLocks(plan: Plan, session: string, how: Pick<Session, 'Behavior' | 'LockDelay'>): boolean {
  const { kv, lockDelays } = plan.tables()
  plan.relyOnGuard(locksGuard(session))
  const held = [...(kv.bucket('session', session) ?? [])]
  for (const { key, value } of held) {
    // First, so that no round ends with the key released and the delay missing.
    if (how.LockDelay > 0) plan.put(lockDelays, key, LockDelay.of({ Key: key, DelayNs: how.LockDelay }), { bulk: true })
    if (how.Behavior === 'delete') plan.delete(kv, key, true)
    else plan.put(kv, key, { ...value, Session: '' }, { bulk: true })
  }
  return held.length > 0
}

/** Ends what depended on a check that goes or turns critical. Called before the check is written. */
export function endSessionsOfCheck(plan: Plan, node: string, check: string): void {
  plan.relyOnGuard(sessionsGuard(node))
  for (const row of [...(plan.tables().sessions.bucket('check', check) ?? [])]) endSession(plan, row)
}

/** The same for all checks of an instance of a service. */
export function endSessionsOfInstance(plan: Plan, node: string, serviceId: string): void {
  const checks = plan.tables().checks.bucket('instance', instanceKey(node, serviceId)) ?? []
  for (const { key } of [...checks]) endSessionsOfCheck(plan, nodeKey(node), key)
}

/** The same for a node that goes. */
export function endSessionsOfNode(plan: Plan, node: string): void {
  plan.relyOnGuard(sessionsGuard(node))
  for (const row of [...(plan.tables().sessions.bucket('node', node) ?? [])]) endSession(plan, row)
}

function lockKv(plan: Plan, entry: DirEntry): boolean {
  const { kv, lockDelays, sessions } = plan.tables()
  const session = holderOf(plan, entry)
  if (sessions.get(session) === undefined) throw stateError('STATE_SESSION_INVALID', { session: entry.Session })
  plan.see(kv.recordTopic(entry.Key))
  const known = kv.get(entry.Key)?.value
  const isHeld = known !== undefined && known.Session !== ''
  if (isHeld && sessionKey(known.Session) !== session) return false
  if (!isHeld) {
    plan.see(lockDelays.recordTopic(entry.Key))
    if (lockDelays.get(entry.Key) !== undefined) return false
    plan.touchGuard(locksGuard(session))
  }
  const LockIndex = (known?.LockIndex ?? 0) + (isHeld ? 0 : 1)
  plan.put(kv, entry.Key, { ...entry, LockIndex })
  return true
}

function unlockKv(plan: Plan, entry: DirEntry): boolean {
  const { kv } = plan.tables()
  const session = holderOf(plan, entry)
  plan.see(kv.recordTopic(entry.Key))
  const known = kv.get(entry.Key)?.value
  if (known === undefined || known.Session === '' || sessionKey(known.Session) !== session) return false
  plan.put(kv, entry.Key, { ...entry, Session: '', LockIndex: known.LockIndex })
  return true
}

/** The key of the session that an entry names. @throws STATE_SESSION_MISSING */
function holderOf(plan: Plan, { Session: id }: DirEntry): string {
  if (id === '') throw stateError('STATE_SESSION_MISSING', {})
  const key = sessionKey(id)
  plan.see(plan.tables().sessions.recordTopic(key))
  return key
}
