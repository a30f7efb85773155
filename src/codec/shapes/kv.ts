/**
 * The key/value store's entries, requests and replies.
 */
import { bytes, jsonOmitEmpty, list, string, struct, uint, uint64 } from '../schema.ts'
import { queryMeta, queryOptions, raftIndex } from './common.ts'

export const DirEntry = struct('DirEntry', {
  LockIndex: uint,
  Key: string,
  Flags: uint64,
  Value: bytes,
  Session: jsonOmitEmpty(string),
  ...raftIndex,
})
export type DirEntry = ReturnType<typeof DirEntry.of>

/** `Op`: set, delete, delete-tree, delete-cas, cas, lock, unlock. */
export const KVSRequest = struct('KVSRequest', { Datacenter: string, Op: string, DirEnt: DirEntry, Token: string })
export type KVSRequest = ReturnType<typeof KVSRequest.of>

export const KeyRequest = struct('KeyRequest', { Datacenter: string, Key: string, ...queryOptions })
export type KeyRequest = ReturnType<typeof KeyRequest.of>

/** `Seperator` is spelled so on the wire. */
export const KeyListRequest = struct('KeyListRequest', {
  Datacenter: string,
  Prefix: string,
  Seperator: string,
  ...queryOptions,
})
export type KeyListRequest = ReturnType<typeof KeyListRequest.of>

export const IndexedDirEntries = struct('IndexedDirEntries', { Entries: list(DirEntry), ...queryMeta })
export type IndexedDirEntries = ReturnType<typeof IndexedDirEntries.of>
export const IndexedKeyList = struct('IndexedKeyList', { Keys: list(string), ...queryMeta })
export type IndexedKeyList = ReturnType<typeof IndexedKeyList.of>
