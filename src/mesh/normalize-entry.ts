/**
 * An entry as it is kept: defaults filled in, computed fields computed, a hash of its content.
 */
import { createHash } from 'node:crypto'
import {
  type ConfigEntry,
  encodeConfigEntry,
  type IntentionPermission,
  type ServiceIntentions,
  type SourceIntention,
} from '#codec'

/** Fills in what a write may leave out. Pure; unchanged entries come back as they are. */
export function normalizeEntry(entry: ConfigEntry): ConfigEntry {
  switch (entry.Kind) {
    case 'proxy-defaults': {
      const protocol = entry.Config?.['protocol']
      return { ...entry, Protocol: typeof protocol === 'string' ? protocol : '' }
    }
    case 'service-defaults':
      return { ...entry, Protocol: entry.Protocol.toLowerCase() }
    case 'service-intentions':
      return normalizeIntentions(entry)
    case 'ingress-gateway':
      return {
        ...entry,
        Listeners:
          entry.Listeners?.map((listener) => ({
            ...listener,
            Protocol: listener.Protocol === '' ? 'tcp' : listener.Protocol.toLowerCase(),
          })) ?? null,
      }
    case 'api-gateway':
      return {
        ...entry,
        Listeners:
          entry.Listeners?.map((listener) => ({ ...listener, Protocol: listener.Protocol.toLowerCase() })) ?? null,
      }
    case 'service-router':
      return {
        ...entry,
        Routes:
          entry.Routes?.map((route) => {
            const http = route.Match?.HTTP
            if (!http?.Methods) return route
            const methods = http.Methods.map((method) => method.toUpperCase())
            return { ...route, Match: { HTTP: { ...http, Methods: methods } } }
          }) ?? null,
      }
    default:
      return entry
  }
}

/** Intentions of a destination, the most particular first. */
function normalizeIntentions(entry: ServiceIntentions): ServiceIntentions {
  const sources = (entry.Sources ?? []).filter((source) => source !== null)
  const filled: SourceIntention[] = sources.map((source) => ({
    ...source,
    Type: source.Type === '' ? 'consul' : source.Type,
    Precedence: intentionPrecedence(source.Name, entry.Name),
    Permissions: source.Permissions?.map(upperMethods) ?? null,
  }))
  return { ...entry, Sources: filled.sort((a, b) => b.Precedence - a.Precedence) }
}

function upperMethods(permission: IntentionPermission | null): IntentionPermission | null {
  if (!permission?.HTTP?.Methods) return permission
  return {
    ...permission,
    HTTP: { ...permission.HTTP, Methods: permission.HTTP.Methods.map((method) => method.toUpperCase()) },
  }
}

/** Exact names before wildcards, the destination's before the source's. */
export function intentionPrecedence(source: string, destination: string): number {
  if (destination === '*') return source === '*' ? 5 : 6
  return source === '*' ? 8 : 9
}

/**
 * A hash of what an entry says, for replication: equal hashes are not copied again. Never 0, which means "unknown".
 */
export function entryHash(entry: ConfigEntry): bigint {
  const said = { ...entry, Hash: 0, CreateIndex: 0, ModifyIndex: 0 }
  const hash = createHash('sha256').update(entry.Kind).update(encodeConfigEntry(said)).digest().readBigUInt64BE(0)
  return hash === 0n ? 1n : hash
}

/** The entry as a write stores it: normalised, with its hash. Indexes are the store's. */
export function storedEntry(entry: ConfigEntry): ConfigEntry {
  const normalized = normalizeEntry(entry)
  return { ...normalized, Hash: entryHash(normalized) }
}
