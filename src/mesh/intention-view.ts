/**
 * Intentions one by one, as a view of service-intentions entries, and which of them apply to whom.
 */
import { createHash } from 'node:crypto'
import { Intention, type ServiceIntentions, type SourceIntention } from '#codec'
import type { EntrySource } from './entry-source.ts'

/** The intentions of one destination, in the order of its entry. */
export function intentionsOf(entry: ServiceIntentions): Intention[] {
  return (entry.Sources ?? []).flatMap((source) => (source === null ? [] : [intentionOf(entry, source)]))
}

function intentionOf(entry: ServiceIntentions, source: SourceIntention): Intention {
  const legacy =
    source.LegacyID === ''
      ? {}
      : {
          ID: source.LegacyID,
          Meta: source.LegacyMeta,
          ...(source.LegacyCreateTime === null ? {} : { CreatedAt: source.LegacyCreateTime }),
          ...(source.LegacyUpdateTime === null ? {} : { UpdatedAt: source.LegacyUpdateTime }),
        }
  const intention = Intention.of({
    Description: source.Description,
    SourcePeer: source.Peer,
    SourceSamenessGroup: source.SamenessGroup,
    SourceNS: 'default',
    SourceName: source.Name,
    DestinationNS: 'default',
    DestinationName: entry.Name,
    SourceType: source.Type,
    Action: source.Action,
    Permissions: source.Permissions,
    JWT: entry.JWT,
    Precedence: source.Precedence,
    CreateIndex: entry.CreateIndex,
    ModifyIndex: entry.ModifyIndex,
    ...legacy,
  })
  return source.LegacyID === '' ? intention : { ...intention, Hash: legacyHash(intention) }
}

/** 32 bytes over what an intention says; only intentions with an ID show one. */
function legacyHash(intention: Intention): Buffer {
  const { ID, Description, SourceName, DestinationName, SourceType, Action, Meta, Precedence } = intention
  const said = JSON.stringify([ID, Description, SourceName, DestinationName, SourceType, Action, Meta, Precedence])
  return createHash('sha256').update(said).digest()
}

/** The most particular first, then by name. */
export function byPrecedence(a: Intention, b: Intention): number {
  return (
    b.Precedence - a.Precedence ||
    compare(a.SourcePeer, b.SourcePeer) ||
    compare(a.SourceName, b.SourceName) ||
    compare(a.DestinationName, b.DestinationName)
  )
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** All intentions. */
export function listIntentions(source: EntrySource): Intention[] {
  return source.all('service-intentions').flatMap(intentionsOf).sort(byPrecedence)
}

export interface IntentionMatch {
  readonly by: 'source' | 'destination'
  readonly name: string
}

/** The intentions that apply to a service as a source, or as a destination. */
export function matchIntentions(source: EntrySource, { by, name }: IntentionMatch): Intention[] {
  const entries =
    by === 'source'
      ? source.all('service-intentions')
      : [name, ...(name === '*' ? [] : ['*'])].flatMap((key) => source.get('service-intentions', key) ?? [])
  const matches = ({ SourceName, SourcePeer }: Intention) =>
    by === 'destination' || (SourcePeer === '' && (SourceName === name || SourceName === '*'))
  return entries.flatMap(intentionsOf).filter(matches).sort(byPrecedence)
}

/** The intention of exactly this source and destination. */
export function exactIntention(source: EntrySource, from: string, to: string): Intention | undefined {
  const entry = source.get('service-intentions', to)
  const found = entry?.Sources?.find((one) => one?.Name === from && one.Peer === '')
  return entry && found ? intentionOf(entry, found) : undefined
}

/** The intention with an ID, which only the old API gives. */
export function intentionById(source: EntrySource, id: string): Intention | undefined {
  for (const entry of source.all('service-intentions')) {
    const found = entry.Sources?.find((one) => one?.LegacyID === id)
    if (found) return intentionOf(entry, found)
  }
  return undefined
}

export interface Decision {
  readonly allowed: boolean
  /** The intention that decided; none: the default did. */
  readonly intention: Intention | undefined
}

/**
 * Whether a source may open connections to a destination.
 *
 * An intention about requests allows no connection as such: only who reads the requests can tell.
 *
 * @param allowsRequests - what an intention about requests counts as
 */
export function decide(
  intentions: readonly Intention[],
  { source, defaultAllow, allowsRequests = false }: { source: string; defaultAllow: boolean; allowsRequests?: boolean },
): Decision {
  const applies = ({ SourceName, SourcePeer }: Intention) =>
    SourcePeer === '' && (SourceName === source || SourceName === '*')
  const intention = [...intentions].sort(byPrecedence).find(applies)
  if (intention === undefined) return { allowed: defaultAllow, intention }
  if ((intention.Permissions ?? []).length > 0) return { allowed: allowsRequests, intention }
  return { allowed: intention.Action === 'allow', intention }
}

/** Intention.Check: whether `source` may connect to `destination`. */
export function checkIntention(
  entries: EntrySource,
  question: { readonly source: string; readonly destination: string; readonly defaultAllow: boolean },
): Decision {
  return decide(matchIntentions(entries, { by: 'destination', name: question.destination }), question)
}
