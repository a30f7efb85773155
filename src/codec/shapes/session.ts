/**
 * Sessions: what locks of the key/value store belong to, and what ends them.
 *
 * A lock-delay is nanoseconds here, on the wire and where JSON shows it. JSON also reads text ("15s"), and small bare
 * numbers as seconds, as Consul's clients write them.
 */
import { parseDuration } from '#base'
import { goJsonError } from '../go-json-errors.ts'
import { jsonOmitEmpty, type Kind, list, string, struct, withJson } from '../schema.ts'
import { durationNs, queryMeta, queryOptions, raftIndex } from './common.ts'

/** Bare numbers below it are seconds, from it on nanoseconds. */
const LEAST_NANOSECONDS = 1000
const NS_PER_SECOND = 1_000_000_000

const lockDelay: Kind<number> = withJson(durationNs, {
  toJson: (value) => value,
  fromJson: (json, path, options) => {
    if (typeof json === 'number') {
      const ns = json < LEAST_NANOSECONDS ? json * NS_PER_SECOND : json
      return durationNs.fromJson(Math.round(ns), path, options)
    }
    if (json === null || json === '') return 0
    const ns = typeof json === 'string' ? parseDuration(json) : undefined
    if (ns !== undefined) return ns
    const problem =
      typeof json === 'string' ? `time: invalid duration ${JSON.stringify(json)}` : `${path} must be a duration`
    throw goJsonError('JSON_DECODE', { problem })
  },
})

export const ServiceCheck = struct('ServiceCheck', { ID: string, Namespace: jsonOmitEmpty(string) })
export type ServiceCheck = ReturnType<typeof ServiceCheck.of>

export const Session = struct('Session', {
  ID: string,
  Name: string,
  Node: string,
  LockDelay: lockDelay,
  Behavior: string,
  TTL: string,
  NodeChecks: list(string),
  ServiceChecks: list(ServiceCheck),
  /** What older callers name checks of the node with. */
  Checks: jsonOmitEmpty(list(string)),
  ...raftIndex,
})
export type Session = ReturnType<typeof Session.of>

/** `Op`: create or destroy. */
export const SessionRequest = struct('SessionRequest', {
  Datacenter: string,
  Op: string,
  Session,
  Token: string,
})
export type SessionRequest = ReturnType<typeof SessionRequest.of>

/** Peers send the ID under both names. */
export const SessionSpecificRequest = struct('SessionSpecificRequest', {
  Datacenter: string,
  SessionID: string,
  Session: string,
  ...queryOptions,
})
export type SessionSpecificRequest = ReturnType<typeof SessionSpecificRequest.of>

export const IndexedSessions = struct('IndexedSessions', { Sessions: list(Session), ...queryMeta })
export type IndexedSessions = ReturnType<typeof IndexedSessions.of>
