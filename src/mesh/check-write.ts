/**
 * Whether a write leaves everything that depends on it in order: chains that lead to the service, its intentions on
 * requests, the gateways that offer it. Nothing half valid is stored.
 */
import { type ConfigEntry, type ConfigEntryKind, configEntryName } from '#codec'
import { compileChain } from './compile-chain.ts'
import { type EntryChange, type EntrySource, withChange } from './entry-source.ts'
import { meshError } from './errors.ts'
import { frozen } from './frozen.ts'
import { seesRequests } from './names.ts'
import { storedEntry } from './normalize-entry.ts'
import { validateEntry } from './validate-entry.ts'

/** The kinds that chains are made of. */
const CHAIN_KINDS: ReadonlySet<ConfigEntryKind> = new Set([
  'service-defaults',
  'service-resolver',
  'service-router',
  'service-splitter',
])

/**
 * Checks the write of an entry against the entries there are.
 *
 * @param datacenter - where chains are evaluated: the one whose entries these are
 * @returns the entry as it is to be stored: normalised, with its hash
 * @throws HanseError ENTRY_INVALID, CHAIN_INVALID, CHAIN_TOO_LARGE
 */
export function checkWrite(source: EntrySource, entry: ConfigEntry, datacenter: string): ConfigEntry {
  const stored = frozen(storedEntry(entry))
  validateEntry(stored)
  checkPermissive(source, stored)
  checkChange(source, { kind: stored.Kind, name: configEntryName(stored), entry: stored }, datacenter)
  return stored
}

/** Checks the removal of an entry; one that does not exist may be removed. */
export function checkDelete(source: EntrySource, kind: ConfigEntryKind, name: string, datacenter: string): void {
  if (source.get(kind, name) !== undefined) checkChange(source, { kind, name, entry: undefined }, datacenter)
}

/** Plain text into the mesh has to be allowed for the mesh as a whole first. */
function checkPermissive(source: EntrySource, entry: ConfigEntry): void {
  if (entry.Kind !== 'proxy-defaults' && entry.Kind !== 'service-defaults') return
  if (entry.MutualTLSMode !== 'permissive' || source.get('mesh', 'mesh')?.AllowEnablingPermissiveMutualTLS) return
  throw meshError('ENTRY_INVALID', {
    problem:
      'cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS is not enabled in the mesh config entry',
    kind: entry.Kind,
    name: entry.Name,
  })
}

function checkChange(before: EntrySource, change: EntryChange, datacenter: string): void {
  const after = withChange(before, change)
  const protocols = new Map<string, string>()
  const protocolOf = (service: string): string => {
    const known = protocols.get(service)
    if (known !== undefined) return known
    const { Protocol } = compileChain(after, { service, datacenter, trustDomain: '' })
    protocols.set(service, Protocol)
    return Protocol
  }
  if (change.kind === 'service-intentions') checkIntentions(after, change.name, protocolOf)
  if (change.kind === 'ingress-gateway') checkIngress(after, change.name, undefined, protocolOf)
  if (change.kind !== 'proxy-defaults' && !CHAIN_KINDS.has(change.kind)) return
  const services = change.kind === 'proxy-defaults' ? allServices(after) : dependents(after, change.name)
  for (const service of services) {
    protocolOf(service)
    checkIntentions(after, service, protocolOf)
  }
  for (const { Name } of after.all('ingress-gateway')) checkIngress(after, Name, new Set(services), protocolOf)
}

/** Services that a service's entries name. */
function namedBy(source: EntrySource): Map<string, Set<string>> {
  const users = new Map<string, Set<string>>()
  const note = (user: string, named: string | undefined) => {
    if (named === undefined || named === '' || named === user) return
    const known = users.get(named) ?? new Set<string>()
    users.set(named, known.add(user))
  }
  for (const { Name, Routes } of source.all('service-router')) {
    for (const { Destination } of Routes ?? []) note(Name, Destination?.Service)
  }
  for (const { Name, Splits } of source.all('service-splitter')) {
    for (const { Service } of Splits ?? []) note(Name, Service)
  }
  for (const { Name, Redirect, Failover } of source.all('service-resolver')) {
    note(Name, Redirect?.Service)
    for (const { Service, Targets } of Object.values(Failover ?? {})) {
      note(Name, Service)
      for (const target of Targets ?? []) note(Name, target.Service)
    }
  }
  return users
}

/** A service and all whose chains may lead to it, itself first. */
function dependents(source: EntrySource, service: string): string[] {
  const users = namedBy(source)
  const found = new Set([service])
  for (const next of found) for (const user of users.get(next) ?? []) found.add(user)
  return [service, ...[...found].filter((name) => name !== service).sort()]
}

/** Every service that an entry is about. */
function allServices(source: EntrySource): string[] {
  const names = [
    ...source.all('service-router'),
    ...source.all('service-splitter'),
    ...source.all('service-resolver'),
    ...source.all('service-intentions'),
    ...source.all('ingress-gateway').flatMap(({ Listeners }) => (Listeners ?? []).flatMap((l) => l.Services ?? [])),
  ].map(({ Name }) => Name)
  return [...new Set(names)].filter((name) => name !== '*').sort()
}

type ProtocolOf = (service: string) => string

function checkIntentions(source: EntrySource, service: string, protocolOf: ProtocolOf): void {
  const entry = source.get('service-intentions', service)
  if (!entry?.Sources?.some((from) => (from?.Permissions ?? []).length > 0)) return
  const protocol = protocolOf(service)
  if (seesRequests(protocol)) return
  throw meshError('ENTRY_INVALID', {
    problem: `service ${JSON.stringify(service)} has protocol ${JSON.stringify(protocol)}, which is incompatible with L7 intentions permissions`,
    kind: 'service-intentions',
    name: service,
  })
}

function checkIngress(
  source: EntrySource,
  gateway: string,
  only: ReadonlySet<string> | undefined,
  protocolOf: ProtocolOf,
): void {
  for (const { Protocol, Services } of source.get('ingress-gateway', gateway)?.Listeners ?? []) {
    for (const { Name } of Services ?? []) {
      if (Name === '*' || (only !== undefined && !only.has(Name))) continue
      const protocol = protocolOf(Name)
      if (protocol === Protocol) continue
      throw meshError('ENTRY_INVALID', {
        problem: `service ${JSON.stringify(Name)} has protocol ${JSON.stringify(protocol)}, which does not match defined listener protocol ${JSON.stringify(Protocol)}`,
        kind: 'ingress-gateway',
        name: gateway,
      })
    }
  }
}
