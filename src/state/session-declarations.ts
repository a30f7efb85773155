/**
 * The tables of sessions: the sessions, when each was renewed, and the keys that nobody may lock yet.
 *
 * A renewal is a record of its own, so that it moves neither the session's index nor wakes those who wait for it.
 * A lock-delay says how long, not until when: its end is timed by the leader's own clock, which removes the record.
 * Records that go leave one index for the whole table: nobody asks so finely that more would be worth its keys.
 */
import { Session, string, struct, uint } from '#codec'
import { foldCase, joinKey, rawKey } from './keys.ts'
import type { TableDeclaration } from './table.ts'

export const sessionKey = (id: string): string => joinKey('sessions', foldCase(id))

/** Which checks end a session, by their IDs. */
export function checksOfSession({ NodeChecks, ServiceChecks, Checks }: Session): readonly string[] {
  return [...new Set([...(NodeChecks ?? []), ...(Checks ?? []), ...(ServiceChecks ?? []).map(({ ID }) => ID)])]
}

export const sessionsTable: TableDeclaration<Session> = {
  name: 'sessions',
  shape: Session,
  fits: ({ ID }, key) => foldCase(ID) === key,
  indexes: {
    node: { of: ({ Node }) => [foldCase(Node)], slot: () => 'sessions' },
    check: {
      of: (session) => checksOfSession(session).map((id) => rawKey(foldCase(session.Node), id)),
      slot: () => 'sessions',
    },
  },
  slots: () => ['sessions'],
}

/** That a session with a TTL was renewed; made with the session, counted up by every renewal. */
export const SessionRenewal = struct('SessionRenewal', {
  ID: string,
  TTL: string,
  Count: uint,
  CreateIndex: uint,
  ModifyIndex: uint,
})
export type SessionRenewal = ReturnType<typeof SessionRenewal.of>

export const sessionRenewalsTable: TableDeclaration<SessionRenewal> = {
  name: 'session-renewals',
  shape: SessionRenewal,
  fits: ({ ID }, key) => foldCase(ID) === key,
  indexes: {},
  slots: () => ['session-renewals'],
}

/** A key whose lock an ended session held. */
export const LockDelay = struct('LockDelay', {
  Key: string,
  DelayNs: uint,
  CreateIndex: uint,
  ModifyIndex: uint,
})
export type LockDelay = ReturnType<typeof LockDelay.of>

export const lockDelaysTable: TableDeclaration<LockDelay> = {
  name: 'lock-delays',
  shape: LockDelay,
  fits: ({ Key }, key) => Key === key,
  indexes: {},
  slots: () => ['lock-delays'],
}
