/**
 * Bodies that are no plain map on the wire (config entries), as the structs that operations are declared with.
 */
import type { Kind, Struct } from '#codec'

/** A struct that travels as `kind` does. `fields`: names of the fields that a value has. */
export function carried<T extends object>(kind: Kind<T>, fields: Readonly<Record<keyof T & string, true>>): Struct<T> {
  const names = Object.keys(fields).map((field): [string, Kind<unknown>] => [field, kind])
  return { ...kind, fields: Object.fromEntries(names), of: (given) => ({ ...kind.zero(), ...given }) }
}

/** The fields of QueryMeta, for `carried`. */
export const META_FIELDS = {
  Index: true,
  LastContact: true,
  KnownLeader: true,
  ConsistencyLevel: true,
  NotModified: true,
  Backend: true,
  ResultsFilteredByACLs: true,
} as const
