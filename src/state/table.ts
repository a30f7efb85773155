/**
 * A table: rows by key, buckets of rows by secondary index, and the topics of both.
 *
 * Declared by name, key, shape and indexes; everything else (stored form, topics, the index of what is no longer there)
 * follows. `set()` changes rows and buckets only; `touch()` and `leave()` say at which index they changed, so that a
 * write can try its changes out and take them back without a trace.
 */
import { stateError } from './errors.ts'
import { orderOf } from './keys.ts'
import {
  createIndexOf,
  decodeRecord,
  deepFreeze,
  differPlainly,
  encodeRecord,
  type RecordShape,
  withIndexes,
} from './records.ts'
import type { Slots } from './slots.ts'
import { SortedRows } from './sorted-rows.ts'
import type { Topic } from './watches.ts'

export interface Row<T> {
  readonly key: string
  readonly order: string
  /** Frozen. */
  readonly value: T
  /** Revision that wrote it last; with the base added, its index. */
  readonly revision: number
  /** CreateIndex as stored: 0 unless it was inherited. */
  readonly inherited: number
}

export interface IndexDeclaration<T> {
  /** Under which values the record stands. */
  of(record: T, key: string): readonly string[]
  /** The slot of a value, by name: where a coarser one than its own will do, a departure writes fewer keys. */
  slot?(value: string): string
}

export interface TableDeclaration<T extends object> {
  /** As in the stored keys. */
  readonly name: string
  readonly shape: RecordShape<T>
  /** Whether the record may stand under this key; what is stored otherwise is corrupt. */
  fits(record: T, key: string): boolean
  readonly indexes: Readonly<Record<string, IndexDeclaration<T>>>
  /** Slots that a departed record leaves its index in: first that of the record, by default one of its own. */
  slots?(key: string): readonly string[]
  /** Last touch to a decoded record, for memory's sake. */
  compact?(record: T): T
}

export interface Bucket<T> {
  readonly rows: SortedRows<Row<T>>
  /** Highest index that changed what is read through it. */
  index: number
}

/** Where the topics that changed are collected, and at which index. */
export interface Touch {
  readonly index: number
  readonly revision: number
  /** None while loading: nobody waits yet. */
  readonly touched?: Set<string>
  /** Adds the prefixes of a key that somebody waits for. */
  touchPrefixes?(table: string, key: string): void
}

export class Table<T extends object> {
  readonly declaration: TableDeclaration<T>
  readonly name: string
  readonly #slots: Slots
  readonly #base: number
  readonly #onSet: ((row: Row<T>) => void) | undefined
  readonly #rows = new Map<string, Row<T>>()
  readonly #sorted = new SortedRows<Row<T>>()
  readonly #buckets: ReadonlyMap<string, { declaration: IndexDeclaration<T>; buckets: Map<string, Bucket<T>> }>
  /** What these bytes say, of those that were made here: they come back in the stream as they are. */
  readonly #written = new WeakMap<Uint8Array, T>()
  #index = 0

  /**
   * @param base - what is added to a revision to make an index
   * @param onSet - hears of every row that comes or goes, tried out or real
   */
  constructor(declaration: TableDeclaration<T>, slots: Slots, base: number, onSet?: (row: Row<T>) => void) {
    this.#onSet = onSet
    this.declaration = declaration
    this.name = declaration.name
    this.#slots = slots
    this.#base = base
    this.#buckets = new Map(
      Object.entries(declaration.indexes).map(([name, index]) => [name, { declaration: index, buckets: new Map() }]),
    )
  }

  get(key: string): Row<T> | undefined {
    return this.#rows.get(key)
  }

  get rows(): SortedRows<Row<T>> {
    return this.#sorted
  }

  /** The rows under a value of an index. */
  bucket(index: string, value: string): SortedRows<Row<T>> | undefined {
    return this.#buckets.get(index)?.buckets.get(value)?.rows
  }

  /** The values of an index that rows stand under. */
  valuesOf(index: string): readonly string[] {
    const buckets = this.#buckets.get(index)?.buckets ?? new Map<string, Bucket<T>>()
    return [...buckets].filter(([, { rows }]) => rows.size > 0).map(([value]) => value)
  }

  storedKey(key: string): string {
    return `${this.name}/${key}`
  }

  /** The row that stored bytes make. @throws STATE_RECORD_CORRUPT */
  row(key: string, bytes: Uint8Array, createRevision: number, revision: number): Row<T> {
    return this.stamp(this.#written.get(bytes) ?? this.#decode(key, bytes), key, createRevision, revision)
  }

  /** The bytes to store, and the record as every reader of them will see it. `inherited`: see Row. */
  encode(record: T, key: string, inherited: number): { bytes: Buffer; record: T } {
    const bytes = encodeRecord(this.declaration.shape, record, inherited)
    const decoded = this.#decode(key, bytes)
    this.#written.set(bytes, decoded)
    return { bytes, record: decoded }
  }

  /** Whether a row's record is stored as these bytes, which say `record`. */
  isStoredAs(row: Row<T>, record: T, bytes: Buffer): boolean {
    if (differPlainly(row.value, record)) return false
    return encodeRecord(this.declaration.shape, row.value, row.inherited).equals(bytes)
  }

  #decode(key: string, bytes: Uint8Array): T {
    const { shape, compact } = this.declaration
    const decoded = decodeRecord(shape, this.name, key, bytes)
    if (!this.declaration.fits(decoded, key)) {
      throw stateError('STATE_RECORD_CORRUPT', { table: this.name, key, reason: 'it is stored under another key' })
    }
    return compact ? compact(decoded) : decoded
  }

  stamp(record: T, key: string, createRevision: number, revision: number): Row<T> {
    const inherited = createIndexOf(record)
    const indexes = {
      CreateIndex: inherited > 0 ? inherited : createRevision + this.#base,
      ModifyIndex: revision + this.#base,
    }
    const value = deepFreeze(withIndexes(this.declaration.shape, record, indexes))
    return { key, order: orderOf(key), value, revision, inherited }
  }

  /** Puts a row or takes it away (undefined); returns the one that was there. Buckets that empty stay until leave(). */
  set(key: string, row: Row<T> | undefined): Row<T> | undefined {
    const old = this.#rows.get(key)
    if (old) {
      this.#onSet?.(old)
      this.#unlink(old, row)
    }
    if (row) {
      this.#rows.set(key, row)
      this.#sorted.put(row)
      for (const { declaration, buckets } of this.#buckets.values()) {
        for (const value of declaration.of(row.value, key)) bucketFor(buckets, value).rows.put(row)
      }
    } else if (old) {
      this.#rows.delete(key)
      this.#sorted.delete(old.order)
    }
    if (row) this.#onSet?.(row)
    return old
  }

  #unlink(old: Row<T>, next: Row<T> | undefined): void {
    for (const { declaration, buckets } of this.#buckets.values()) {
      const left = declaration.of(old.value, old.key)
      if (left.length === 0) continue
      const stay = next ? declaration.of(next.value, next.key) : []
      for (const value of left) {
        if (stay.includes(value)) continue
        const bucket = buckets.get(value)
        bucket?.rows.delete(old.order)
        // Made by a write that is taken back: nothing was ever read through it.
        if (bucket?.rows.size === 0 && bucket.index === 0) buckets.delete(value)
      }
    }
  }

  /** Says that everything a row can be read through changed at `touch.index`. */
  touch(row: Row<T>, touch: Touch): void {
    touch.touched?.add(recordTopicId(this.name, row.key))
    this.touchAll(touch)
    this.touchLists(row, touch, this.#buckets.keys())
  }

  /** Says so of the table as a whole. */
  touchAll(touch: Touch): void {
    touch.touched?.add(this.name)
    this.#index = Math.max(this.#index, touch.index)
  }

  /** Says so of what the row can be read through by these indexes. */
  touchLists(row: Row<T>, touch: Touch, indexes: Iterable<string>): void {
    for (const name of indexes) {
      const index = this.#buckets.get(name)
      if (index === undefined) continue
      for (const value of index.declaration.of(row.value, row.key)) {
        touch.touched?.add(bucketTopicId(this.name, name, value))
        const bucket = index.buckets.get(value)
        if (bucket) bucket.index = Math.max(bucket.index, touch.index)
      }
    }
  }

  /** Keeps the index of what a row departed from, and drops the buckets that it left empty. */
  leave(old: Row<T>, next: Row<T> | undefined, revision: number): void {
    for (const slot of this.departures(old, next)) this.#slots.raise(slot, revision)
    for (const { declaration, buckets } of this.#buckets.values()) {
      for (const value of declaration.of(old.value, old.key)) {
        if (buckets.get(value)?.rows.size === 0) buckets.delete(value)
      }
    }
  }

  /** Names of the slots that keep the index of what a row departs from, when `next` takes its place or nothing does. */
  departures(old: Row<T>, next: { readonly value: T; readonly key: string } | undefined): Set<string> {
    const slots = new Set<string>()
    if (!next) {
      slots.add(this.name)
      for (const slot of this.#recordSlots(old.key)) slots.add(slot)
    }
    for (const [name, { declaration }] of this.#buckets) {
      const left = declaration.of(old.value, old.key)
      if (left.length === 0) continue
      const stay = next ? declaration.of(next.value, next.key) : []
      for (const value of left) if (!stay.includes(value)) slots.add(this.#bucketSlot(name, value))
    }
    return slots
  }

  #recordSlots(key: string): readonly string[] {
    return this.declaration.slots?.(key) ?? [recordTopicId(this.name, key)]
  }

  #bucketSlot(index: string, value: string): string {
    return this.declaration.indexes[index]?.slot?.(value) ?? bucketTopicId(this.name, index, value)
  }

  #departedIndex(key: string): number {
    return this.slotIndex(this.#recordSlots(key)[0] ?? this.name)
  }

  slotIndex(slot: string): number {
    const revision = this.#slots.revisionOf(slot)
    return revision === 0 ? 0 : revision + this.#base
  }

  /** The topic of one record, there or not. */
  recordTopic(key: string): Topic {
    const revision = this.#rows.get(key)?.revision ?? 0
    return {
      id: recordTopicId(this.name, key),
      index: () => {
        const row = this.#rows.get(key)
        return row ? row.revision + this.#base : this.#departedIndex(key)
      },
      record: { key: this.storedKey(key), revision },
    }
  }

  /** The topic of the rows under a value of an index. */
  bucketTopic(index: string, value: string): Topic {
    const slot = this.#bucketSlot(index, value)
    const buckets = this.#buckets.get(index)?.buckets
    return {
      id: bucketTopicId(this.name, index, value),
      index: () => Math.max(buckets?.get(value)?.index ?? 0, this.slotIndex(slot)),
    }
  }

  /** The topic of the whole table. */
  allTopic(): Topic {
    return { id: this.name, index: () => Math.max(this.#index, this.slotIndex(this.name)) }
  }
}

function bucketFor<T>(buckets: Map<string, Bucket<T>>, value: string): Bucket<T> {
  let bucket = buckets.get(value)
  if (bucket === undefined) {
    bucket = { rows: new SortedRows(), index: 0 }
    buckets.set(value, bucket)
  }
  return bucket
}

function recordTopicId(table: string, key: string): string {
  return `${table}/${key}`
}

function bucketTopicId(table: string, index: string, value: string): string {
  return `${table}.${index}:${value}`
}
