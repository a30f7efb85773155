/**
 * Encoded answers by the bytes of their question, so that a repeated question costs a copy.
 *
 * An entry holds several encodings of one resolution, each in another random order; they are used in turn, and from
 * time to time one is made anew, so that over many questions every instance has its share. An entry is good until
 * something that it was made from changes.
 */
import type { Resolution } from './resolution.ts'

/** Questions kept; the oldest goes first. */
export const MAX_ENTRIES = 4096
/** Longest question that is kept. */
export const MAX_KEY_BYTES = 320
/** Orders kept per question. */
const VARIANTS = 8
/** An order is made anew after this many answers from the entry. */
const RENEW_EVERY = 64

interface Entry {
  readonly sources: NonNullable<Resolution['sources']>
  readonly encode: () => Buffer
  readonly balanced: boolean
  readonly variants: Buffer[]
  uses: number
}

export class AnswerCache {
  readonly #entries = new Map<string, Entry>()

  get size(): number {
    return this.#entries.size
  }

  /** A copy of a kept answer with the question's ID, or undefined. */
  answer(key: string, message: Buffer): Buffer | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    for (const source of entry.sources) {
      if (source.fired) {
        this.#entries.delete(key)
        return undefined
      }
    }
    const variant = next(entry)
    const out = Buffer.allocUnsafe(variant.length)
    variant.copy(out)
    out[0] = message[0] ?? 0
    out[1] = message[1] ?? 0
    return out
  }

  /** @param encode - makes the answer in a new random order each time */
  keep(key: string, found: Resolution, encode: () => Buffer): void {
    if (found.sources === undefined) return
    if (this.#entries.size >= MAX_ENTRIES) {
      const oldest = this.#entries.keys().next().value
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    const balanced = found.balanced && found.units.length > 1
    this.#entries.set(key, { sources: found.sources, encode, balanced, variants: [], uses: 0 })
  }

  clear(): void {
    this.#entries.clear()
  }
}

function next(entry: Entry): Buffer {
  const use = entry.uses++
  const slot = entry.balanced ? use % VARIANTS : 0
  const known = entry.variants[slot]
  // Also where there is one order: the zone's serial in it moves on.
  const renew = known === undefined || use % RENEW_EVERY === RENEW_EVERY - 1
  if (!renew) return known
  const made = entry.encode()
  entry.variants[slot] = made
  return made
}
