/**
 * The parameters that all reads share → the query options of their operation.
 *
 * `index` and `wait` (blocking), `stale`, `consistent`, `leader`, `max_stale`, `cached`, `filter`, `near`, `node-meta`,
 * `tag`.
 */
import { parseDuration } from '#base'
import { QuerySource } from '#codec'
import { apiError } from '../errors.ts'
import { isSet } from './request.ts'

/** Fields of `queryOptions` that come from parameters. */
export interface ReadOptions {
  readonly MinQueryIndex: number
  readonly MaxQueryTime: number
  readonly AllowStale: boolean
  readonly RequireConsistent: boolean
  readonly UseCache: boolean
  readonly MaxStaleDuration: number
  readonly Filter: string
}

/** @throws HanseError BAD_PARAMETER with the recorded text */
export function readOptions(query: URLSearchParams): ReadOptions {
  const stale = isSet(query, 'stale')
  const consistent = isSet(query, 'consistent')
  const MinQueryIndex = indexOf(query.get('index'))
  const MaxQueryTime = waitOf(query.get('wait'))
  const MaxStaleDuration = maxStaleOf(query.get('max_stale'))
  if (stale && consistent) throw bad('Cannot specify ?stale with ?consistent, conflicting semantics.')
  return {
    MinQueryIndex,
    MaxQueryTime,
    AllowStale: stale,
    RequireConsistent: consistent,
    UseCache: isSet(query, 'cached'),
    MaxStaleDuration,
    Filter: query.get('filter') ?? '',
  }
}

function bad(text: string): Error {
  return apiError('BAD_PARAMETER', { text })
}

/** Indexes beyond 2^53 (event lists have such) wait like the highest that we can hold. */
function indexOf(text: string | null): number {
  if (text === null || text === '') return 0
  if (!/^\d{1,20}$/.test(text)) throw bad('Invalid index')
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER)
}

function waitOf(text: string | null): number {
  if (text === null || text === '') return 0
  const ns = parseDuration(text)
  if (ns === undefined) throw bad('Invalid wait time')
  return Math.min(Math.max(ns, 0), Number.MAX_SAFE_INTEGER)
}

function maxStaleOf(text: string | null): number {
  if (text === null || text === '') return 0
  const ns = parseDuration(text)
  if (ns === undefined) throw bad(`Invalid max_stale value ${JSON.stringify(text)}`)
  return ns
}

/** `?near=`: sort by distance from a node; `_agent` is the one that was asked. */
export function sourceOf(
  query: URLSearchParams,
  datacenter: string,
  agentNode: string,
): ReturnType<typeof QuerySource.of> {
  const near = query.get('near') ?? ''
  if (near === '') return QuerySource.of()
  return QuerySource.of({ Datacenter: datacenter, Node: near === '_agent' ? agentNode : near })
}

/** `?node-meta=key:value`, any number of them; null without. */
export function nodeMetaOf(query: URLSearchParams): Readonly<Record<string, string>> | null {
  const pairs = query.getAll('node-meta')
  if (pairs.length === 0) return null
  return Object.fromEntries(
    pairs.map((pair): [string, string] => {
      const colon = pair.indexOf(':')
      return colon === -1 ? [pair, ''] : [pair.slice(0, colon), pair.slice(colon + 1)]
    }),
  )
}
