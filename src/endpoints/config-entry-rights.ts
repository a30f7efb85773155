/**
 * Who may read and write config entries, by kind: a service's own by its rights, those for all by rights on the mesh.
 */
import { type ConfigEntry, type ConfigEntryKind, configEntryName } from '#codec'
import type { Rights } from './rights.ts'

/** Entries about one service, or one gateway, which are read with the rights on it. */
const READ_AS_SERVICE: ReadonlySet<ConfigEntryKind> = new Set([
  'service-defaults',
  'service-router',
  'service-splitter',
  'service-resolver',
  'ingress-gateway',
  'terminating-gateway',
  'api-gateway',
  'bound-api-gateway',
])
const WRITTEN_AS_SERVICE: ReadonlySet<ConfigEntryKind> = new Set([
  'service-defaults',
  'service-router',
  'service-splitter',
  'service-resolver',
])
/** What every proxy has to know. */
const READ_BY_ALL: ReadonlySet<ConfigEntryKind> = new Set(['proxy-defaults', 'mesh'])

export function maySee(kind: ConfigEntryKind, name: string, { allows }: Rights): boolean {
  if (READ_BY_ALL.has(kind)) return true
  if (kind === 'service-intentions') return allows.intentionRead(name)
  return READ_AS_SERVICE.has(kind) ? allows.serviceRead(name) : allows.meshRead()
}

/** @throws HanseError PERMISSION_DENIED */
export function needsRead(kind: ConfigEntryKind, name: string, rights: Rights): void {
  const granted = maySee(kind, name, rights)
  if (kind === 'service-intentions') rights.need(granted, 'intention:read', name)
  else if (READ_AS_SERVICE.has(kind)) rights.need(granted, 'service:read', name)
  else rights.need(granted, 'mesh:read')
}

/** Who leads a service to others must be allowed to see these. @throws HanseError PERMISSION_DENIED */
export function needsWrite(entry: ConfigEntry, rights: Rights): void {
  const { allows } = rights
  const name = configEntryName(entry)
  if (entry.Kind === 'service-intentions') rights.need(allows.intentionWrite(name), 'intention:write', name)
  else if (WRITTEN_AS_SERVICE.has(entry.Kind)) {
    rights.need(allows.serviceWrite(name), 'service:write', name)
    for (const other of servicesIn(entry)) rights.need(allows.serviceRead(other), 'service:read', other)
  } else rights.need(allows.meshWrite(), 'mesh:write')
}

/** The services that an entry leads to, besides its own. */
function servicesIn(entry: ConfigEntry): readonly string[] {
  const names = namedIn(entry).filter((name) => name !== undefined && name !== '' && name !== configEntryName(entry))
  return [...new Set(names)].filter((name) => name !== undefined)
}

function namedIn(entry: ConfigEntry): readonly (string | undefined)[] {
  switch (entry.Kind) {
    case 'service-router':
      return (entry.Routes ?? []).map(({ Destination }) => Destination?.Service)
    case 'service-splitter':
      return (entry.Splits ?? []).map(({ Service }) => Service)
    case 'service-resolver': {
      const failover = Object.values(entry.Failover ?? {})
      const targets = failover.flatMap(({ Service, Targets }) => [Service, ...(Targets ?? []).map((to) => to.Service)])
      return [entry.Redirect?.Service, ...targets]
    }
    default:
      return []
  }
}
