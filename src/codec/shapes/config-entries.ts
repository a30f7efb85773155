/**
 * Config entries of every kind, and the calls that carry them.
 *
 * These calls have bodies of their own: one raw string that holds further values, the kind before the entry, because a
 * reader has to know which type to make. proxy-defaults is wrapped once more wherever it stands.
 *
 * Source: RPC wire notes §4.
 */
import type { Kind } from '../kind.ts'
import { MsgpackReader } from '../msgpack-reader.ts'
import type { MsgpackWriter } from '../msgpack-writer.ts'
import { bool, encode, list, type Struct, string, struct } from '../schema.ts'
import { QueryMeta, queryMeta, queryOptions } from './common.ts'
import {
  ApiGateway,
  BoundApiGateway,
  FileSystemCertificate,
  HttpRoute,
  InlineCertificate,
  TcpRoute,
} from './config-entries-api-gateway.ts'
import { rawBody } from './config-entries-body.ts'
import { Mesh, ProxyDefaults, ServiceDefaults } from './config-entries-defaults.ts'
import {
  ExportedServices,
  IngressGateway,
  JwtProvider,
  SamenessGroup,
  TerminatingGateway,
} from './config-entries-gateways.ts'
import { ServiceIntentions } from './config-entries-intentions.ts'
import type { LenientReadOptions, ReadProblems } from './config-entries-kinds.ts'
import { ServiceResolver, ServiceRouter, ServiceSplitter } from './config-entries-routing.ts'

/** The entry of each kind. The order is the one in which a 1.21 server names the kinds it knows. */
export const ENTRY_STRUCTS = {
  'service-defaults': ServiceDefaults,
  'proxy-defaults': ProxyDefaults,
  'service-router': ServiceRouter,
  'service-splitter': ServiceSplitter,
  'service-resolver': ServiceResolver,
  'ingress-gateway': IngressGateway,
  'terminating-gateway': TerminatingGateway,
  'service-intentions': ServiceIntentions,
  mesh: Mesh,
  'exported-services': ExportedServices,
  'sameness-group': SamenessGroup,
  'api-gateway': ApiGateway,
  'bound-api-gateway': BoundApiGateway,
  'http-route': HttpRoute,
  'tcp-route': TcpRoute,
  'file-system-certificate': FileSystemCertificate,
  'inline-certificate': InlineCertificate,
  'jwt-provider': JwtProvider,
}

export type ConfigEntryKind = keyof typeof ENTRY_STRUCTS
/** The entry of one kind. */
export type EntryOf<K extends ConfigEntryKind> = ReturnType<(typeof ENTRY_STRUCTS)[K]['of']>
export type ConfigEntry = { readonly [K in ConfigEntryKind]: EntryOf<K> }[ConfigEntryKind]

export const CONFIG_ENTRY_KINDS: readonly ConfigEntryKind[] = Object.keys(ENTRY_STRUCTS).filter(isConfigEntryKind)

export function isConfigEntryKind(kind: string): kind is ConfigEntryKind {
  return Object.hasOwn(ENTRY_STRUCTS, kind)
}

/** The struct of a kind. An entry's own kind says which it belongs to, so any of them may be handed to it. */
function structOf(kind: ConfigEntryKind): Struct<ConfigEntry> {
  return ENTRY_STRUCTS[kind] as Struct<ConfigEntry>
}

/** The name under which an entry is kept; `mesh` has none of its own. */
export function configEntryName(entry: ConfigEntry): string {
  return entry.Kind === 'mesh' ? 'mesh' : entry.Name
}

/** The JSON of an entry as the API shows it. */
export function configEntryToJson(entry: ConfigEntry): unknown {
  return structOf(entry.Kind).toJson(entry)
}

/** Reads the JSON of an entry, leniently; what could not be read is in `problems`. */
export function configEntryFromJson(
  kind: ConfigEntryKind,
  json: unknown,
): { readonly entry: ConfigEntry; readonly problems: ReadProblems } {
  const problems: ReadProblems = { unknown: [], errors: [] }
  const options: LenientReadOptions = { unknownKeys: 'refuse', problems }
  return { entry: structOf(kind).fromJson(json, '', options), problems }
}

const wrappedProxyDefaults = rawBody(
  'ProxyConfigEntry',
  ProxyDefaults.zero,
  (writer, entry) => ProxyDefaults.write(writer, entry),
  (reader, depth) => ProxyDefaults.read(reader, depth),
)

function writeEntry(writer: MsgpackWriter, entry: ConfigEntry): void {
  if (entry.Kind === 'proxy-defaults') wrappedProxyDefaults.write(writer, entry)
  else structOf(entry.Kind).write(writer, entry)
}

function readEntry(kind: ConfigEntryKind, reader: MsgpackReader, depth: number): ConfigEntry {
  return kind === 'proxy-defaults' ? wrappedProxyDefaults.read(reader, depth) : structOf(kind).read(reader, depth)
}

/** One entry as a value of its own: kind, then entry; for stores and for hashes. */
export function encodeConfigEntry(entry: ConfigEntry): Buffer {
  return encode(structOf(entry.Kind), entry)
}

/** The inverse of encodeConfigEntry(). */
export function decodeConfigEntry(kind: ConfigEntryKind, encoded: Uint8Array): ConfigEntry {
  return structOf(kind).read(new MsgpackReader(encoded), 0)
}

/** An entry whose kind was told before it; null where it is nil or of a kind that is not known here. */
const entryOf = (kind: string): Kind<ConfigEntry | null> => ({
  kindName: 'ConfigEntry',
  zero: () => null,
  isEmpty: (value) => value === null,
  write: (writer, value) => (value === null ? writer.nil() : writeEntry(writer, value)),
  read: (reader, depth) => {
    if (reader.nil()) return null
    if (isConfigEntryKind(kind)) return readEntry(kind, reader, depth)
    reader.skip()
    return null
  },
  toJson: (value) => (value === null ? null : configEntryToJson(value)),
  fromJson: () => null,
})

const requestBody = (kind: string) =>
  struct('ConfigEntryRequest', { Op: string, Datacenter: string, Entry: entryOf(kind), Token: string })

export interface ConfigEntryRequest {
  /** Kept beside the entry: a kind that is not known here has no entry. */
  readonly Kind: string
  readonly Op: string
  readonly Datacenter: string
  readonly Entry: ConfigEntry | null
  readonly Token: string
}
/** ConfigEntry.Apply and Delete. `Op`: upsert, cas, upsert-with-status, delete, delete-cas. */
export const ConfigEntryRequest: Kind<ConfigEntryRequest> = rawBody<ConfigEntryRequest>(
  'ConfigEntryRequest',
  () => ({ Kind: '', ...requestBody('').zero() }),
  (writer, { Kind, ...body }) => {
    writer.string(Kind)
    requestBody(Kind).write(writer, body)
  },
  (reader, depth) => {
    const kind = reader.string()
    return { Kind: kind, ...requestBody(kind).read(reader, depth) }
  },
)

export type ConfigEntryResponse = QueryMeta & { readonly Entry: ConfigEntry | null }
/** ConfigEntry.Get: kind (empty when there is none), entry, facts about the answer. */
export const ConfigEntryResponse: Kind<ConfigEntryResponse> = rawBody<ConfigEntryResponse>(
  'ConfigEntryResponse',
  () => ({ Entry: null, ...QueryMeta.zero() }),
  (writer, { Entry, ...meta }) => {
    writer.string(Entry?.Kind ?? '')
    if (Entry !== null) writeEntry(writer, Entry)
    QueryMeta.write(writer, meta)
  },
  (reader, depth) => {
    const kind = reader.string()
    const Entry = kind === '' ? null : entryOf(kind).read(reader, depth)
    return { Entry, ...QueryMeta.read(reader, depth) }
  },
)

const listBody = (kind: string) =>
  struct('IndexedConfigEntries', { Kind: string, Entries: list(entryOf(kind)), ...queryMeta })

export interface IndexedConfigEntries extends QueryMeta {
  readonly Kind: string
  readonly Entries: readonly ConfigEntry[] | null
}
/** ConfigEntry.List: how many, their kind, then all at once. */
export const IndexedConfigEntries: Kind<IndexedConfigEntries> = rawBody<IndexedConfigEntries>(
  'IndexedConfigEntries',
  () => ({ Kind: '', Entries: null, ...QueryMeta.zero() }),
  (writer, value) => {
    writer.int(value.Entries?.length ?? 0)
    writer.string(value.Kind)
    listBody(value.Kind).write(writer, value)
  },
  (reader, depth) => {
    reader.uint()
    const kind = reader.string()
    const body = listBody(kind).read(reader, depth)
    return { ...body, Entries: body.Entries?.filter((entry) => entry !== null) ?? null }
  },
)

export type IndexedGenericConfigEntries = QueryMeta & { readonly Entries: readonly ConfigEntry[] }
/** ConfigEntry.ListAll: how many, kind and entry of each. Entries of kinds that are not known here are left out. */
export const IndexedGenericConfigEntries: Kind<IndexedGenericConfigEntries> = rawBody<IndexedGenericConfigEntries>(
  'IndexedGenericConfigEntries',
  () => ({ Entries: [], ...QueryMeta.zero() }),
  (writer, { Entries, ...meta }) => {
    writer.int(Entries.length)
    for (const entry of Entries) {
      writer.string(entry.Kind)
      writeEntry(writer, entry)
    }
    QueryMeta.write(writer, meta)
  },
  (reader, depth) => {
    const Entries: ConfigEntry[] = []
    for (let left = reader.uint(); left > 0; left--) {
      const entry = entryOf(reader.string()).read(reader, depth)
      if (entry !== null) Entries.push(entry)
    }
    return { Entries, ...QueryMeta.read(reader, depth) }
  },
)

export const ConfigEntryQuery = struct('ConfigEntryQuery', {
  Kind: string,
  Name: string,
  Datacenter: string,
  ...queryOptions,
})
export type ConfigEntryQuery = ReturnType<typeof ConfigEntryQuery.of>
export const ConfigEntryListAllRequest = struct('ConfigEntryListAllRequest', {
  Kinds: list(string),
  Datacenter: string,
  ...queryOptions,
})
export type ConfigEntryListAllRequest = ReturnType<typeof ConfigEntryListAllRequest.of>
export const ConfigEntryDeleteResponse = struct('ConfigEntryDeleteResponse', { Deleted: bool })
export type ConfigEntryDeleteResponse = ReturnType<typeof ConfigEntryDeleteResponse.of>
