/**
 * ConfigEntry.*: what the mesh is told, by kind and name. Written in the primary only; every secondary has a copy, so
 * reads are answered from the tables here also while the primary is away.
 *
 * Source: RPC wire notes §4, §10, §11.
 */
import {
  bool,
  type ConfigEntry,
  ConfigEntryDeleteResponse,
  type ConfigEntryKind,
  ConfigEntryListAllRequest,
  ConfigEntryQuery,
  ConfigEntryRequest,
  ConfigEntryResponse,
  compileFilter,
  configEntryName,
  IndexedConfigEntries,
  IndexedGenericConfigEntries,
  isConfigEntryKind,
  ServiceConfigRequest,
  ServiceConfigResponse,
} from '#codec'
import { checkDelete, checkWrite, meshError, resolveServiceConfig as resolve, storedEntry, validateEntry } from '#mesh'
import { carried, META_FIELDS } from './carried.ts'
import { maySee, needsRead, needsWrite } from './config-entry-rights.ts'
import { entrySource, entrySourceForWrites } from './entry-source.ts'
import { endpointError } from './errors.ts'
import { configEntryFields } from './filter-fields.ts'
import { type CallContext, readOperation, writeOperation } from './operation.ts'
import { keep } from './rights.ts'

const request = carried(ConfigEntryRequest, { Kind: true, Op: true, Datacenter: true, Entry: true, Token: true })

/** The kinds that callers know who do not say which they know. */
const LEGACY_KINDS: readonly ConfigEntryKind[] = [
  'service-defaults',
  'proxy-defaults',
  'service-router',
  'service-splitter',
  'service-resolver',
  'ingress-gateway',
  'terminating-gateway',
]

const UPSERTS: ReadonlySet<string> = new Set(['', 'upsert', 'upsert-with-status'])
const CONDITIONAL_UPSERTS: ReadonlySet<string> = new Set(['cas', 'upsert-cas'])

/** @throws HanseError ENTRY_KIND for a kind that is not known here */
function entryOf({ Kind, Entry }: ConfigEntryRequest): ConfigEntry {
  if (Entry === null) throw meshError('ENTRY_KIND', { kind: Kind })
  return Entry
}

/** @throws HanseError ENTRY_KIND */
function kindOf(kind: string): ConfigEntryKind {
  if (!isConfigEntryKind(kind)) throw meshError('ENTRY_KIND', { kind })
  return kind
}

/** Writes an entry, or with a `cas` operation only if it has `ModifyIndex` still. False: the condition did not hold. */
export const apply = writeOperation({
  name: 'ConfigEntry.Apply',
  args: request,
  reply: bool,
  scope: 'primary',
  authorize: (args, rights) => needsWrite(entryOf(args), rights),
  async run(context, args) {
    const given = entryOf(args)
    if (args.Op === 'delete' || args.Op === 'delete-cas') return remove(context, given, args.Op === 'delete-cas')
    const conditional = CONDITIONAL_UPSERTS.has(args.Op)
    if (!conditional && !UPSERTS.has(args.Op)) {
      throw endpointError('INVALID_REQUEST', { text: `Invalid config entry operation "${args.Op}"` })
    }
    validateEntry(storedEntry(given))
    return upsert(context, given, conditional)
  },
})

async function upsert({ state, datacenter }: CallContext, entry: ConfigEntry, conditional: boolean): Promise<boolean> {
  const name = configEntryName(entry)
  const { value } = await state.write((tx) => {
    const old = tx.configEntries.get(entry.Kind, name)
    if (conditional && (old?.ModifyIndex ?? 0) !== entry.ModifyIndex) return false
    tx.putConfigEntry(checkWrite(entrySourceForWrites(tx), entry, datacenter))
    return true
  })
  return value
}

async function remove({ state, datacenter }: CallContext, entry: ConfigEntry, conditional: boolean): Promise<boolean> {
  const name = configEntryName(entry)
  const { value } = await state.write((tx) => {
    const old = tx.configEntries.get(entry.Kind, name)
    if (conditional && (old?.ModifyIndex ?? 0) !== entry.ModifyIndex) return false
    // What is not there is deleted already.
    if (old === undefined) return true
    checkDelete(entrySourceForWrites(tx), entry.Kind, name, datacenter)
    return tx.deleteConfigEntry(entry.Kind, name)
  })
  return value
}

/** Deletes an entry, with `delete-cas` only if it has `ModifyIndex` still. */
export const destroy = writeOperation({
  name: 'ConfigEntry.Delete',
  args: request,
  reply: ConfigEntryDeleteResponse,
  scope: 'primary',
  authorize: (args, rights) => needsWrite(entryOf(args), rights),
  async run(context, args) {
    return { Deleted: await remove(context, entryOf(args), args.Op === 'delete-cas') }
  },
})

export const get = readOperation({
  name: 'ConfigEntry.Get',
  args: ConfigEntryQuery,
  reply: carried(ConfigEntryResponse, { Entry: true, ...META_FIELDS }),
  scope: 'datacenter',
  check: ({ Kind }) => void kindOf(Kind),
  authorize: ({ Kind, Name }, rights) => needsRead(kindOf(Kind), Name, rights),
  query: (tx, { Kind, Name }) => {
    const Entry = tx.configEntries.get(kindOf(Kind), Name) ?? null
    return { ...ConfigEntryResponse.zero(), Entry }
  },
})

/** All entries of a kind. */
export const list = readOperation({
  name: 'ConfigEntry.List',
  args: ConfigEntryQuery,
  reply: carried(IndexedConfigEntries, { Kind: true, Entries: true, ...META_FIELDS }),
  scope: 'datacenter',
  check: ({ Kind }) => void kindOf(Kind),
  query: (tx, { Kind, Filter }) => {
    const Entries = narrowed(tx.configEntries.ofKind(kindOf(Kind)), Filter)
    return { ...IndexedConfigEntries.zero(), Kind, Entries }
  },
  filter(reply, rights) {
    const { items, filtered } = keep(reply.Entries, (entry) => maySee(entry.Kind, configEntryName(entry), rights))
    return { reply: { ...reply, Entries: items }, filtered }
  },
})

/** Entries of the kinds that the caller knows: one that it does not know would spoil the whole answer for it. */
export const listAll = readOperation({
  name: 'ConfigEntry.ListAll',
  args: ConfigEntryListAllRequest,
  reply: carried(IndexedGenericConfigEntries, { Entries: true, ...META_FIELDS }),
  scope: 'datacenter',
  query: (tx, { Kinds, Filter }) => {
    const known: ReadonlySet<string> = new Set(Kinds?.length ? Kinds : LEGACY_KINDS)
    const entries = tx.configEntries.all().filter(({ Kind }) => known.has(Kind))
    return { ...IndexedGenericConfigEntries.zero(), Entries: narrowed(entries, Filter) }
  },
  filter(reply, rights) {
    const { items, filtered } = keep(reply.Entries, (entry) => maySee(entry.Kind, configEntryName(entry), rights))
    return { reply: { ...reply, Entries: items ?? [] }, filtered }
  },
})

/** @throws HanseError FILTER_INVALID, with Consul's text */
function narrowed(entries: readonly ConfigEntry[], filter: string): readonly ConfigEntry[] {
  if (filter === '') return entries
  const holds = compileFilter(filter, configEntryFields)
  return entries.filter((entry) => holds({ ...entry, Name: configEntryName(entry) }))
}

/** The defaults that hold for one service and its upstreams, merged. */
export const resolveServiceConfig = readOperation({
  name: 'ConfigEntry.ResolveServiceConfig',
  args: ServiceConfigRequest,
  reply: carried(ServiceConfigResponse, {
    ProxyConfig: true,
    UpstreamConfigs: true,
    MeshGateway: true,
    Expose: true,
    TransparentProxy: true,
    MutualTLSMode: true,
    Mode: true,
    Destination: true,
    AccessLogs: true,
    RateLimits: true,
    Meta: true,
    EnvoyExtensions: true,
    ...META_FIELDS,
  }),
  scope: 'datacenter',
  authorize: ({ Name }, rights) => rights.need(rights.allows.serviceRead(Name), 'service:read', Name),
  query: (tx, { Name, Mode, MeshGateway, UpstreamServiceNames }) =>
    resolve(entrySource(tx), {
      service: Name,
      mode: Mode,
      meshGatewayMode: MeshGateway.Mode,
      upstreams: UpstreamServiceNames ?? [],
    }),
})
