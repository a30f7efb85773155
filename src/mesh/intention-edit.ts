/**
 * Changes of one intention: an entry before → the entry after, to be written like any other.
 *
 * There are two ways in. Today's names source and destination; the old one gives every intention an ID and refuses to
 * touch entries that were written the new way.
 */
import { type Intention, ServiceIntentions, SourceIntention } from '#codec'
import type { EntrySource } from './entry-source.ts'
import { meshError } from './errors.ts'

/** What a caller may say about one intention. */
export interface IntentionEdit {
  readonly source: string
  readonly destination: string
  /** Of the body: Action or Permissions, Description, SourceType. */
  readonly intention: Intention
}

/**
 * Sets the intention of a source and a destination.
 *
 * @throws HanseError INTENTION_INVALID when it has Meta, which belongs to the entry
 */
export function upsertIntention(
  entries: EntrySource,
  { source, destination, intention }: IntentionEdit,
): ServiceIntentions {
  if (intention.Meta !== null && Object.keys(intention.Meta).length > 0) fail('Meta must not be specified')
  const value = SourceIntention.of({ ...said(intention), Name: source })
  return withSource(entries.get('service-intentions', destination), destination, value, ({ Name }) => Name === source)
}

/** What the intention says about its source. */
function said(intention: Intention): Partial<SourceIntention> {
  return {
    Name: intention.SourceName,
    Action: intention.Action,
    Permissions: intention.Permissions,
    Type: intention.SourceType,
    Description: intention.Description,
    Peer: intention.SourcePeer,
  }
}

/** Replaces the source that `same` finds, or adds one at the end. */
function withSource(
  entry: ServiceIntentions | undefined,
  destination: string,
  value: SourceIntention,
  same: (source: SourceIntention) => boolean,
): ServiceIntentions {
  const sources = (entry?.Sources ?? []).filter((source) => source !== null)
  const known = sources.some(same)
  const Sources = known ? sources.map((source) => (same(source) ? value : source)) : [...sources, value]
  return entry === undefined ? ServiceIntentions.of({ Name: destination, Sources }) : { ...entry, Sources }
}

/** What is left of an entry without one source: undefined when there was none, null when nothing is left. */
function withoutSource(
  entry: ServiceIntentions | undefined,
  same: (source: SourceIntention) => boolean,
): ServiceIntentions | null | undefined {
  const sources = (entry?.Sources ?? []).filter((source) => source !== null)
  if (entry === undefined || !sources.some(same)) return undefined
  const Sources = sources.filter((source) => !same(source))
  return Sources.length === 0 ? null : { ...entry, Sources }
}

/**
 * Removes the intention of a source and a destination.
 *
 * @returns the entry without it; null when the entry has to go; undefined when there is no such intention
 */
export function removeIntention(
  entries: EntrySource,
  source: string,
  destination: string,
): ServiceIntentions | null | undefined {
  return withoutSource(
    entries.get('service-intentions', destination),
    ({ Name, Peer }) => Name === source && Peer === '',
  )
}

/** Whether all of an entry was written the old way. */
function isLegacy(entry: ServiceIntentions): boolean {
  return (entry.Sources ?? []).every((source) => source !== null && source.LegacyID !== '')
}

function legacyEntry(entries: EntrySource, destination: string): ServiceIntentions | undefined {
  const entry = entries.get('service-intentions', destination)
  if (entry !== undefined && !isLegacy(entry)) {
    fail(
      `cannot use legacy intention API to edit intentions with a destination of ${JSON.stringify(destination)} after editing them via a service-intentions config entry`,
    )
  }
  return entry
}

/** Who gives IDs and knows the time. */
export interface LegacyIssue {
  readonly id: string
  /** RFC 3339 */
  readonly now: string
}

/**
 * Adds an intention the old way. That it does not exist yet is checked when the entry is.
 *
 * @throws HanseError INTENTION_INVALID when the entry was written the new way
 */
export function createLegacyIntention(
  entries: EntrySource,
  intention: Intention,
  issue: LegacyIssue,
): ServiceIntentions {
  const destination = intention.DestinationName
  return withSource(
    legacyEntry(entries, destination),
    destination,
    legacySource(intention, issue, issue.now),
    () => false,
  )
}

function legacySource(intention: Intention, { id, now }: LegacyIssue, created: string): SourceIntention {
  return SourceIntention.of({
    ...said(intention),
    LegacyID: id,
    LegacyMeta: intention.Meta,
    LegacyCreateTime: created,
    LegacyUpdateTime: now,
  })
}

/**
 * Changes the intention with an ID.
 *
 * @throws HanseError INTENTION_NOT_FOUND; INTENTION_INVALID when it would get another destination
 */
export function updateLegacyIntention(
  entries: EntrySource,
  intention: Intention,
  issue: LegacyIssue,
): ServiceIntentions {
  const entry = entryWithId(entries, issue.id)
  if (entry === undefined) throw meshError('INTENTION_NOT_FOUND', {})
  if (entry.Name !== intention.DestinationName) {
    fail('cannot change the destination of an intention: delete it and create another')
  }
  const before = entry.Sources?.find((source) => source?.LegacyID === issue.id)
  const value = legacySource(intention, issue, before?.LegacyCreateTime ?? issue.now)
  return withSource(legacyEntry(entries, entry.Name), entry.Name, value, ({ LegacyID }) => LegacyID === issue.id)
}

/** Removes the intention with an ID: what is left of its entry, null for nothing, undefined when there is none. */
export function removeLegacyIntention(
  entries: EntrySource,
  id: string,
): { readonly destination: string; readonly entry: ServiceIntentions | null } | undefined {
  const entry = entryWithId(entries, id)
  if (entry === undefined) return undefined
  return {
    destination: entry.Name,
    entry: withoutSource(legacyEntry(entries, entry.Name), (s) => s.LegacyID === id) ?? null,
  }
}

function entryWithId(entries: EntrySource, id: string): ServiceIntentions | undefined {
  return entries.all('service-intentions').find(({ Sources }) => Sources?.some((source) => source?.LegacyID === id))
}

function fail(problem: string): never {
  throw meshError('INTENTION_INVALID', { problem })
}
