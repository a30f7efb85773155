/**
 * How a list is narrowed and ordered: node metadata, tags, filter expressions, distance.
 */
import { compileFilter, type FilterFields, type QuerySource } from '#codec'
import type { ReadContext } from './operation.ts'

type Metadata = Readonly<Record<string, string>> | null

/** True when every wanted pair is there; a null or empty `wanted` wants everything. */
export function hasMetadata(wanted: Metadata, meta: Metadata): boolean {
  if (wanted === null) return true
  return Object.entries(wanted).every(
    ([key, value]) => meta !== null && Object.hasOwn(meta, key) && meta[key] === value,
  )
}

interface TagQuery {
  readonly TagFilter: boolean
  readonly ServiceTag: string
  readonly ServiceTags: readonly string[] | null
}

/** Tells whether tags hold all those wanted, without regard to case. `ServiceTag` is what old callers send. */
export function tagTest(query: TagQuery): (tags: readonly string[] | null) => boolean {
  const asked = query.ServiceTags?.length ? query.ServiceTags : [query.ServiceTag]
  const wanted = asked.filter((tag) => tag !== '').map((tag) => tag.toLowerCase())
  if (!query.TagFilter || wanted.length === 0) return () => true
  return (tags) => {
    const present = new Set(tags?.map((tag) => tag.toLowerCase()))
    return wanted.every((tag) => present.has(tag))
  }
}

/** What a filter expression keeps. @throws HanseError FILTER_INVALID, with Consul's text */
export function filtered<T>(items: readonly T[], text: string, fields: FilterFields): readonly T[] {
  if (text === '') return items
  return items.filter(compileFilter(text, fields))
}

/** Nearest first, seen from the asker; the order stays where distances are unknown or nobody asked. */
export function nearestFirst<T>(
  items: readonly T[],
  source: QuerySource,
  context: ReadContext,
  nodeOf: (item: T) => string,
): readonly T[] {
  const distanceS = context.distancesFrom(source)
  if (distanceS === undefined) return items
  return items
    .map((item) => ({ item, away: distanceS(nodeOf(item)) }))
    .sort((a, b) => (a.away === b.away ? 0 : a.away - b.away))
    .map(({ item }) => item)
}
