/**
 * The leader's duty for sessions: ends those whose TTL is over, lets go of lock-delays, and repairs.
 *
 * Times run by this server's own monotonic clock, from when it first saw a session, its last renewal or a lock-delay;
 * a server that takes the duty over begins anew. So a session never ends before its TTL and a delay is never cut short,
 * however the servers' clocks differ. Nothing is remembered but that: the rest is derived from the tables.
 *
 * There is something to repair only where a server wrote to the same store that knows no sessions: sessions whose node
 * or checks are not there or critical, locks whose session is not there.
 */
import { type Clock, type Logger, messageOf, parseDuration } from '#base'
import type { Session } from '#codec'
import { checksOfSession, type ReadTx, type State, type WriteTx } from '#state'
import { Deadlines, type Timed } from './deadlines.ts'

const TICK_MS = 250
/** A tick that comes so late says that this server stood still: nobody could renew, so all times begin anew. */
const STALL_MS = 5_000
/** Between two looks for what is to be repaired. */
const REPAIR_INTERVAL_MS = 30_000
/** Part of its TTL that a session is given: renewals take their way, and a client's clock may be slower than ours. */
const TTL_GRACE = 1.5
/** Sessions ended, and lock-delays removed, in one tick. */
const MAX_PER_TICK = 64

const NS_PER_MS = 1_000_000

/** @returns what stops it */
export function expireSessions(
  state: State,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): () => void {
  const ttls = new Deadlines()
  const delays = new Deadlines()
  let tickedMs = clock.nowMs()
  let repairAtMs = tickedMs
  let working = false
  let stopped = false

  const work = async () => {
    for (const { key, version } of ttls.due(sessionsWithTtl(state), clock.nowMs()).slice(0, MAX_PER_TICK)) {
      if (stopped) return
      const { value: ended } = await state.write((tx) => endSession(tx, key, version))
      if (ended) log.info('Session ended: it was not renewed', { session: key })
    }
    const over = delays.due(lockDelays(state), clock.nowMs()).slice(0, MAX_PER_TICK)
    if (over.length > 0 && !stopped) await state.write((tx) => over.map((delay) => removeDelay(tx, delay)))
    if (clock.nowMs() < repairAtMs || stopped) return
    repairAtMs = clock.nowMs() + REPAIR_INTERVAL_MS
    await repairSessions(state, log)
  }
  const tick = async () => {
    const nowMs = clock.nowMs()
    if (nowMs - tickedMs > STALL_MS) for (const deadlines of [ttls, delays]) deadlines.forget()
    tickedMs = nowMs
    if (working) return
    working = true
    try {
      await work()
    } catch (error) {
      log.debug('sessions were not ended', { error: messageOf(error) })
    } finally {
      working = false
    }
  }
  const timer = clock.every(TICK_MS, () => void tick())
  return () => {
    stopped = true
    timer.cancel()
  }
}

function sessionsWithTtl(state: State): readonly Timed[] {
  return state.read((tx) =>
    tx.sessions.renewals().map(({ ID, TTL, ModifyIndex }) => ({
      key: ID,
      version: ModifyIndex,
      durationMs: ((parseDuration(TTL) ?? 0) / NS_PER_MS) * TTL_GRACE,
    })),
  ).value
}

function lockDelays(state: State): readonly Timed[] {
  return state.read((tx) =>
    tx.lockDelays
      .all()
      .map(({ Key, DelayNs, ModifyIndex }) => ({ key: Key, version: ModifyIndex, durationMs: DelayNs / NS_PER_MS })),
  ).value
}

/** Unless it was renewed meanwhile, through whichever server. */
function endSession(tx: WriteTx, id: string, version: number): boolean {
  return tx.sessions.renewal(id)?.ModifyIndex === version && tx.endSession(id)
}

function removeDelay(tx: WriteTx, { key, version }: Timed): boolean {
  return tx.lockDelays.get(key)?.ModifyIndex === version && tx.deleteLockDelay(key)
}

/** Why a session cannot be. */
function brokenBy(tx: ReadTx, session: Session): string | undefined {
  if (tx.nodes.get(session.Node) === undefined) return `node "${session.Node}" is not there`
  for (const id of checksOfSession(session)) {
    const check = tx.checks.get(session.Node, id)
    if (check === undefined) return `check "${id}" is not there`
    if (check.Status === 'critical') return `check "${id}" is critical`
  }
  return undefined
}

async function repairSessions(state: State, log: Logger): Promise<void> {
  const { broken, unknown } = state.read((tx) => ({
    broken: tx.sessions.all().filter((session) => brokenBy(tx, session) !== undefined),
    unknown: tx.sessions.holders().filter((id) => tx.sessions.get(id) === undefined),
  })).value
  for (const { ID } of broken) {
    const { value: reason } = await state.write((tx) => {
      const session = tx.sessions.get(ID)
      const because = session && brokenBy(tx, session)
      if (because !== undefined) tx.endSession(ID)
      return because
    })
    if (reason !== undefined) log.warn('Session ended that had outlived what it depends on', { session: ID, reason })
  }
  for (const id of unknown) {
    const { value: released } = await state.write((tx) => tx.releaseLocksOf(id))
    if (released) log.warn('Locks released whose session is not there', { session: id })
  }
}
