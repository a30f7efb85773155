/**
 * What is left of the departed: a fixed number of slots, each with the revision of the last departure that hashed to it.
 *
 * An answer's index must not go back when the record that had the highest one is deleted, or leaves what was asked for
 * (a check that turns critical leaves the passing ones). So each departure writes a small key `meta/left/<slot>` in its
 * own transaction; the revision of that key is all there is to it. The index of a topic is the higher of what is
 * there and of its slot: the same on every server and after every restart. Two topics may share a slot; then a
 * departure from one raises the index of the other, which wakes nobody and costs an idle poll at worst.
 *
 * Guards work alike: a key `meta/guard/<slot>` that a transaction touches so that another one can notice.
 */
import { META_PREFIX } from '#store'

/** A transaction that has no room for the slots of all its departures raises every slot at once, with this one key; so
 * does a restore, after which all that is not there may just have departed. */
const EVERY_SLOT = 'all'

/** Slots of each sort; bounds both memory and the keys in the store. */
export const SLOT_COUNT = 4096

const SLOT_BITS = 12

/** FNV-1a over UTF-16 units, folded: part of the stored format, so it must never change. */
function slotOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return ((hash >>> 0) ^ (hash >>> SLOT_BITS)) & (SLOT_COUNT - 1)
}

export class Slots {
  readonly #prefix: string
  readonly #revisions = new Float64Array(SLOT_COUNT)
  #every = 0

  constructor(sort: 'left' | 'guard') {
    this.#prefix = `${META_PREFIX}${sort}/`
  }

  /** The stored key of a name's slot. */
  keyOf(name: string): string {
    return `${this.#prefix}${slotOf(name).toString(16).padStart(3, '0')}`
  }

  /** The stored key that raises every slot. */
  get keyOfEvery(): string {
    return `${this.#prefix}${EVERY_SLOT}`
  }

  /** Whether a stored key is one of these. */
  has(key: string): boolean {
    return key.startsWith(this.#prefix)
  }

  /** The revision of a name's slot, 0 if it was never written. */
  revisionOf(name: string): number {
    return Math.max(this.#every, this.#revisions[slotOf(name)] ?? 0)
  }

  raise(name: string, revision: number): void {
    this.#raise(slotOf(name), revision)
  }

  #raise(slot: number, revision: number): void {
    if (revision > (this.#revisions[slot] ?? 0)) this.#revisions[slot] = revision
  }

  /** Takes over a stored key; false if it is none of these. */
  take(key: string, revision: number): boolean {
    if (!this.has(key)) return false
    const text = key.slice(this.#prefix.length)
    if (text === EVERY_SLOT) {
      this.#every = Math.max(this.#every, revision)
      return true
    }
    if (!/^[0-9a-f]{3}$/.test(text)) return false
    this.#raise(Number.parseInt(text, 16), revision)
    return true
  }
}
