/**
 * What a write wants to commit, while its work runs: changes that are tried out in the tables and taken back at the end,
 * what they are stored as, and on what they rely.
 *
 * Each key is written on the condition that it is as it was seen. Deletions in bulk (a node with all that is on it, a
 * tree of keys) may be more than one transaction holds; then they are committed alone, and the work runs again on
 * what is left.
 */
import { MAX_TRANSACTION_KEYS, type Transaction, type Write } from '#store'
import { stateError } from './errors.ts'
import type { Row, Table } from './table.ts'
import type { Tables } from './tables.ts'
import type { Topic } from './watches.ts'

/** Keys of one round of a bulk deletion: leaves room in a transaction for what goes with it. */
const MAX_ROUND_KEYS = 96

/** The value of slots and guards: only their revision counts. */
const MARK = Buffer.from([1])

/** Thrown through the work when a round of a bulk deletion is full. */
const ROUND_FULL = Symbol('round full')

interface Planned {
  readonly value: Buffer | null
  readonly expect?: number
}

export interface PlannedTransaction {
  readonly transaction: Transaction
  /** The work has to run again after it. */
  readonly partial: boolean
  /** Keys that nobody else may write meanwhile. */
  readonly exclusive: readonly string[]
  /** All keys, those it relies on included. */
  readonly keys: readonly string[]
}

interface PlanOptions {
  readonly resumed?: boolean
  readonly whole?: boolean
}

interface PutOptions {
  /** The CreateIndex it has from another one. */
  readonly inherit?: number | undefined
  /** It is one of many, which may be more than a transaction holds. */
  readonly bulk?: boolean
}

/** One write after the other; there is one plan, because what works on it (a WriteTx) is costly to make. */
export class Plan {
  #resumed = false
  #whole = false
  #tables: Tables
  #revision = 0
  readonly #writes = new Map<string, Planned>()
  readonly #bulk = new Map<string, Planned>()
  readonly #conditions = new Map<string, number>()
  /** For each record that was there before: the slots of what it departed from. */
  readonly #departures = new Map<string, () => Iterable<string>>()
  readonly #undo: (() => void)[] = []
  #roundFull = false
  #over = true

  constructor(tables: Tables) {
    this.#tables = tables
  }

  /**
   * Begins anew, with nothing planned.
   *
   * @param revision - what records show as theirs until they are committed
   * @param resumed - whether a round of the same work was committed before
   * @param whole - nothing may be committed in rounds: all of it or none
   */
  begin(tables: Tables, revision: number, { resumed = false, whole = false }: PlanOptions = {}): void {
    this.#tables = tables
    this.#revision = revision
    this.#resumed = resumed
    this.#whole = whole
    this.#writes.clear()
    this.#bulk.clear()
    this.#conditions.clear()
    this.#departures.clear()
    this.#undo.length = 0
    this.#roundFull = false
    this.#over = false
  }

  get resumed(): boolean {
    return this.#resumed
  }

  /** How many deletions in bulk are worth trying at a time: more than are done. */
  get bulkLimit(): number {
    return 1 + (this.#whole ? MAX_TRANSACTION_KEYS : MAX_ROUND_KEYS)
  }

  /** What records show as their index until they are committed. */
  get pendingIndex(): number {
    return this.#revision + this.#tables.base
  }

  /** @throws STATE_TRANSACTION_OVER */
  tables(): Tables {
    if (this.#over) throw stateError('STATE_TRANSACTION_OVER', {})
    return this.#tables
  }

  get trying(): boolean {
    return this.#undo.length > 0
  }

  /** A point read must still hold at the commit. */
  see({ record }: Topic): void {
    if (record) this.#rely(record.key, record.revision)
  }

  #rely(key: string, revision: number): void {
    if (!this.#writes.has(key) && !this.#bulk.has(key) && !this.#conditions.has(key)) {
      this.#conditions.set(key, revision)
    }
  }

  /** Whatever else touches this guard may not happen between. */
  relyOnGuard(name: string): void {
    const key = this.#tables.guards.keyOf(name)
    const revision = this.#tables.guards.revisionOf(name)
    const touched = this.#writes.get(key)
    if (touched) this.#writes.set(key, { ...touched, expect: revision })
    else this.#conditions.set(key, revision)
  }

  /** Lets those notice who rely on this guard; many may touch it at a time. */
  touchGuard(name: string): void {
    const key = this.#tables.guards.keyOf(name)
    this.#write(this.#writes, key, MARK, this.#conditions.get(key) ?? this.#writes.get(key)?.expect)
  }

  /** One at a time. */
  takeGuard(name: string): void {
    this.touchGuard(name)
    this.relyOnGuard(name)
  }

  #write(into: Map<string, Planned>, key: string, value: Buffer | null, expect: number | undefined): void {
    this.#conditions.delete(key)
    const other = into === this.#writes ? this.#bulk : this.#writes
    other.delete(key)
    into.set(key, { value, expect })
  }

  /** Puts a record. @returns whether that changes anything */
  put<T extends object>(table: Table<T>, key: string, given: T, { inherit, bulk }: PutOptions = {}): boolean {
    const old = table.get(key)
    const inherited = inherit ?? old?.inherited ?? 0
    const { bytes, record } = table.encode(given, key, inherited)
    if (old && table.isStoredAs(old, record, bytes)) return false
    const created =
      old && 'CreateIndex' in old.value ? Number(old.value.CreateIndex) - this.#tables.base : this.#revision
    const next = table.stamp(record, key, created, this.#revision)
    this.#plan(bulk && !this.#whole ? this.#bulk : this.#writes, table, key, old, next, bytes)
    this.#endFullRound()
    return true
  }

  /** Deletes a record. `bulk`: it is one of many. @returns whether it was there */
  delete<T extends object>(table: Table<T>, key: string, bulk = false): boolean {
    const old = table.get(key)
    if (old === undefined) return false
    this.#plan(bulk && !this.#whole ? this.#bulk : this.#writes, table, key, old, undefined, null)
    this.#endFullRound()
    return true
  }

  #endFullRound(): void {
    // What it relies on is committed with the round, and counted against the same limit.
    if (this.#bulk.size === 0 || this.#bulk.size + this.#conditions.size < MAX_ROUND_KEYS) return
    this.#roundFull = true
    throw ROUND_FULL
  }

  #plan<T extends object>(
    into: Map<string, Planned>,
    table: Table<T>,
    key: string,
    old: Row<T> | undefined,
    next: Row<T> | undefined,
    bytes: Buffer | null,
  ): void {
    table.set(key, next)
    this.#undo.push(() => table.set(key, old))
    const stored = table.storedKey(key)
    const before = this.#writes.get(stored) ?? this.#bulk.get(stored)
    this.#write(into, stored, bytes, before ? before.expect : (old?.revision ?? 0))
    if (before || old === undefined) return
    // What is at the end decides what was left; until then it counts for how full a round is.
    this.#departures.set(stored, () => table.departures(old, table.get(key)))
    if (into === this.#bulk) this.#mark(into, table.departures(old, next))
  }

  #mark(into: Map<string, Planned>, slots: Iterable<string>): void {
    for (const slot of slots) into.set(this.#tables.left.keyOf(slot), { value: MARK })
  }

  /** Whether the work was ended because a round is full, by what it threw. */
  endedByRound(thrown: unknown): boolean {
    return this.#roundFull && thrown === ROUND_FULL
  }

  /** Takes everything back, so that the tables are what the store says. The plan is over. */
  rollback(): void {
    for (const [key, departures] of this.#departures) {
      this.#mark(this.#bulk.has(key) ? this.#bulk : this.#writes, departures())
    }
    for (const undo of this.#undo.reverse()) undo()
    this.#undo.length = 0
    this.#over = true
  }

  /** What to commit; undefined where nothing is to be written. */
  transaction(): PlannedTransaction | undefined {
    const whole = this.#fitted(this.#bulk.size === 0 ? this.#writes : new Map([...this.#bulk, ...this.#writes]))
    if (whole.size === 0) return undefined
    const partial = this.#roundFull || (this.#bulk.size > 0 && this.#tooMany(whole))
    const writes: Write[] = []
    const conditions: { readonly key: string; readonly expect: number }[] = []
    const exclusive: string[] = []
    const keys: string[] = []
    for (const [key, { value, expect }] of partial ? this.#bulk : whole) {
      writes.push(expect === undefined ? { key, value } : { key, value, expect })
      if (expect !== undefined) exclusive.push(key)
      keys.push(key)
    }
    for (const [key, expect] of this.#conditions) {
      conditions.push({ key, expect })
      keys.push(key)
    }
    return { transaction: { writes, conditions }, partial, exclusive, keys }
  }

  /** What must be one transaction gives up telling its departures apart before it is refused. */
  #fitted(writes: Map<string, Planned>): Map<string, Planned> {
    if (!this.#whole || writes.size <= MAX_TRANSACTION_KEYS) return writes
    const { left } = this.#tables
    return new Map([...writes].filter(([key]) => !left.has(key))).set(left.keyOfEvery, { value: MARK })
  }

  #tooMany(writes: ReadonlyMap<string, Planned>): boolean {
    return writes.size + this.#conditions.size > MAX_TRANSACTION_KEYS
  }
}
