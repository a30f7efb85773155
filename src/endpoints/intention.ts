/**
 * Intention.*: who may call whom, one source and one destination at a time. A view of service-intentions entries, which
 * are what is stored and replicated; written in the primary only.
 *
 * Source: RPC wire notes §10.
 */
import { aclError } from '#acl'
import { uuid } from '#base'
import {
  IndexedIntentionMatches,
  IndexedIntentions,
  type Intention,
  IntentionCheckResponse,
  IntentionListRequest,
  IntentionQueryRequest,
  IntentionRequest,
  type ServiceIntentions,
  string,
} from '#codec'
import {
  checkDelete,
  checkIntention,
  checkWrite,
  createLegacyIntention,
  type EntrySource,
  exactIntention,
  intentionById,
  listIntentions,
  matchIntentions,
  meshError,
  removeIntention,
  removeLegacyIntention,
  updateLegacyIntention,
  upsertIntention,
} from '#mesh'
import type { WriteTx } from '#state'
import { entrySource, entrySourceForWrites } from './entry-source.ts'
import { endpointError } from './errors.ts'
import { intentionFields } from './filter-fields.ts'
import { callOperation, readOperation, writeOperation } from './operation.ts'
import { type Facts, keep, type Rights } from './rights.ts'
import { filtered } from './selection.ts'

/** How the primary says where intentions are kept: in config entries, so that there are none of the old kind to copy. */
const DATA_ORIGIN = 'config'

const invalid = (text: string): Error => endpointError('INVALID_REQUEST', { text })

/** @throws HanseError INVALID_REQUEST */
function intentionOf({ Intention: given }: IntentionRequest): Intention {
  if (given === null) throw invalid('Must provide an intention')
  return given
}

/** What a change makes of the entry of one destination: it takes its place, or it goes (null). */
interface EntryChange {
  readonly destination: string
  readonly entry: ServiceIntentions | null
  /** What the caller is told: the ID of an intention that has one. */
  readonly id: string
}

/** Changes one intention. `Op`: upsert and delete by names; create, update and delete by ID, as old clients do. */
export const apply = writeOperation({
  name: 'Intention.Apply',
  args: IntentionRequest,
  reply: string,
  scope: 'primary',
  authorize(args, rights, facts) {
    const allowed = destinationsOf(args, facts).every((name) => rights.allows.intentionWrite(name))
    if (!allowed) throw aclError('PERMISSION_REFUSED', { reason: '' })
  },
  async run({ state, datacenter, clock, random }, args) {
    const given = intentionOf(args)
    const issue = { id: given.ID === '' ? uuid(random) : given.ID, now: new Date(clock.wallMs()).toISOString() }
    const { value } = await state.write((tx) => {
      const entries = entrySourceForWrites(tx)
      const change = changeOf(entries, args.Op, given, issue)
      if (change === undefined) return ''
      commit(tx, entries, change, datacenter)
      return change.id
    })
    return value
  },
})

/** The destinations that a change is about: the one it names, and the one it is at now. */
function destinationsOf(args: IntentionRequest, { look }: Facts): readonly string[] {
  const { ID, DestinationName } = intentionOf(args)
  const now = ID === '' ? undefined : look((tx) => intentionById(entrySource(tx), ID))?.DestinationName
  return [...new Set([now ?? '', DestinationName])].filter((name) => name !== '')
}

function changeOf(
  entries: EntrySource,
  operation: string,
  given: Intention,
  issue: { readonly id: string; readonly now: string },
): EntryChange | undefined {
  const { SourceName: source, DestinationName: destination } = given
  switch (operation) {
    case 'create':
      if (given.ID !== '') throw invalid('ID must be empty when creating a new intention')
      return { destination, entry: createLegacyIntention(entries, given, issue), id: issue.id }
    case 'update':
      return { destination, entry: updateLegacyIntention(entries, given, issue), id: issue.id }
    case 'upsert':
      return { destination, entry: upsertIntention(entries, { source, destination, intention: given }), id: '' }
    case 'delete': {
      if (given.ID !== '') {
        const left = removeLegacyIntention(entries, given.ID)
        if (left === undefined) throw meshError('INTENTION_NOT_FOUND', {})
        return { ...left, id: given.ID }
      }
      const entry = removeIntention(entries, source, destination)
      return entry === undefined ? undefined : { destination, entry, id: '' }
    }
    default:
      throw invalid(`Invalid intention operation "${operation}"`)
  }
}

/** Written like any other entry, and refused like it. */
function commit(tx: WriteTx, entries: EntrySource, { entry, destination }: EntryChange, datacenter: string): void {
  if (entry !== null) {
    tx.putConfigEntry(checkWrite(entries, entry, datacenter))
    return
  }
  checkDelete(entries, 'service-intentions', destination, datacenter)
  tx.deleteConfigEntry('service-intentions', destination)
}

/** One intention: of exactly a source and a destination, or with an ID. @throws HanseError INTENTION_NOT_FOUND */
export const get = readOperation({
  name: 'Intention.Get',
  args: IntentionQueryRequest,
  reply: IndexedIntentions,
  scope: 'datacenter',
  check({ IntentionID, Exact }) {
    if (IntentionID === '' && Exact === null) throw invalid('must specify IntentionID or Exact')
    if (IntentionID !== '' && IntentionID.length !== UUID_CHARACTERS) {
      throw endpointError('INTENTION_ID_INVALID', {})
    }
  },
  authorize({ IntentionID, Exact }, rights, { look }) {
    const found = IntentionID === '' ? undefined : look((tx) => intentionById(entrySource(tx), IntentionID))
    const name = found?.DestinationName ?? Exact?.DestinationName
    if (name !== undefined) needsRead(name, rights)
  },
  query(tx, { IntentionID, Exact }) {
    const entries = entrySource(tx)
    const found =
      IntentionID !== ''
        ? intentionById(entries, IntentionID)
        : exactIntention(entries, Exact?.SourceName ?? '', Exact?.DestinationName ?? '')
    if (found === undefined) throw meshError('INTENTION_NOT_FOUND', {})
    return IndexedIntentions.of({ Intentions: [found] })
  },
})

const UUID_CHARACTERS = 36

function needsRead(name: string, rights: Rights): void {
  rights.need(rights.allows.intentionRead(name), 'intention:read', name)
}

const isVisible =
  ({ allows }: Rights) =>
  (intention: Intention | null): boolean =>
    intention !== null &&
    (allows.intentionRead(intention.DestinationName) || allows.intentionRead(intention.SourceName))

/** All intentions, the most precise first. */
export const list = readOperation({
  name: 'Intention.List',
  args: IntentionListRequest,
  reply: IndexedIntentions,
  scope: 'datacenter',
  query(tx, { Legacy, Filter }) {
    // Who asks so copies the old kind of intentions; they come with the entries.
    const intentions = Legacy ? [] : listIntentions(entrySource(tx))
    return IndexedIntentions.of({ Intentions: filtered(intentions, Filter, intentionFields), DataOrigin: DATA_ORIGIN })
  },
  filter(reply, rights) {
    const { items, filtered: left } = keep(reply.Intentions, isVisible(rights))
    return { reply: { ...reply, Intentions: items }, filtered: left }
  },
})

/** For each name that is asked for: the intentions that apply to it, in the order in which they are asked. */
export const match = readOperation({
  name: 'Intention.Match',
  args: IntentionQueryRequest,
  reply: IndexedIntentionMatches,
  scope: 'datacenter',
  check({ Match }) {
    if (Match === null) throw invalid('must specify Match')
    if (Match.Type !== 'source' && Match.Type !== 'destination') {
      throw invalid("'by' parameter must be one of 'source' or 'destination'")
    }
  },
  authorize({ Match }, rights) {
    for (const { Name } of Match?.Entries ?? []) needsRead(Name, rights)
  },
  query(tx, { Match }) {
    const entries = entrySource(tx)
    const by = Match?.Type === 'source' ? 'source' : 'destination'
    const Matches = (Match?.Entries ?? []).map(({ Name }) => orNull(matchIntentions(entries, { by, name: Name })))
    return IndexedIntentionMatches.of({ Matches })
  },
})

const orNull = <T>(items: readonly T[]): readonly T[] | null => (items.length === 0 ? null : items)

/** Whether a source may open connections to a destination. */
export const check = callOperation({
  name: 'Intention.Check',
  args: IntentionQueryRequest,
  reply: IntentionCheckResponse,
  scope: 'datacenter',
  authorize({ Check }, rights) {
    const name = Check?.DestinationName ?? ''
    rights.need(rights.allows.serviceRead(name), 'service:read', name)
  },
  async run({ state, rights }, { Check }) {
    if (Check === null) throw invalid('must specify Check')
    const { SourceType, SourceName: source, DestinationName: destination } = Check
    if (SourceType !== '' && SourceType !== 'consul') {
      throw invalid(`unsupported SourceType: ${JSON.stringify(SourceType)}`)
    }
    const question = { source, destination, defaultAllow: rights.allows.intentionDefaultAllow() }
    const { value } = state.read((tx) => checkIntention(entrySource(tx), question))
    return { Allowed: value.allowed }
  },
})
