/**
 * Rows in the order of their keys, in chunks: inserting moves at most one chunk, whatever the number of rows.
 *
 * A list that is loaded in order fills its chunks; a small one is a single array.
 */

/** Rows of one chunk; a fuller one is split in two. */
export const MAX_CHUNK_ROWS = 512

export interface Ordered {
  /** See orderOf(). */
  readonly order: string
}

export class SortedRows<R extends Ordered> {
  readonly #chunks: R[][] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The last chunk that begins at or before `order`; the first where none does. */
  #chunkAt(order: string): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const first = this.#chunks[middle]?.[0]
      if (first !== undefined && first.order <= order) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Inserts a row, or replaces the one with the same key. */
  put(row: R): void {
    const at = this.#chunkAt(row.order)
    const chunk = this.#chunks[at]
    if (chunk === undefined) {
      this.#chunks.push([row])
      this.#size++
      return
    }
    const position = positionIn(chunk, row.order)
    if (chunk[position]?.order === row.order) {
      chunk[position] = row
      return
    }
    this.#size++
    if (position === chunk.length) chunk.push(row)
    else chunk.splice(position, 0, row)
    if (chunk.length > MAX_CHUNK_ROWS) this.#split(at, chunk, position)
  }

  /** In the middle; at the end when rows come in order, so that chunks stay full. */
  #split(at: number, chunk: R[], position: number): void {
    const keep = position === chunk.length - 1 ? chunk.length - 1 : chunk.length >>> 1
    this.#chunks.splice(at + 1, 0, chunk.splice(keep))
  }

  delete(order: string): void {
    const at = this.#chunkAt(order)
    const chunk = this.#chunks[at]
    if (chunk === undefined) return
    const position = positionIn(chunk, order)
    if (chunk[position]?.order !== order) return
    chunk.splice(position, 1)
    this.#size--
    if (chunk.length === 0) this.#chunks.splice(at, 1)
  }

  /** All rows, in order. */
  *[Symbol.iterator](): Generator<R> {
    for (const chunk of this.#chunks) yield* chunk
  }

  /** Calls `visit` for the rows whose order begins with `prefix`, until it returns false. */
  visit(prefix: string, visit: (row: R) => boolean): void {
    let at = this.#chunkAt(prefix)
    let position = positionIn(this.#chunks[at] ?? [], prefix)
    for (; at < this.#chunks.length; at++, position = 0) {
      const chunk = this.#chunks[at] ?? []
      for (; position < chunk.length; position++) {
        const row = chunk[position]
        if (row === undefined || !row.order.startsWith(prefix) || !visit(row)) return
      }
    }
  }

  /** One value per row, but for those that have none. (Much faster than the iterator.) */
  map<T>(make: (row: R) => T | undefined): T[] {
    const out: T[] = []
    for (const chunk of this.#chunks) {
      for (const row of chunk) {
        const value = make(row)
        if (value !== undefined) out.push(value)
      }
    }
    return out
  }
}

/** Where `order` is or would be. */
function positionIn<R extends Ordered>(chunk: readonly R[], order: string): number {
  let low = 0
  let high = chunk.length
  const last = chunk[high - 1]
  if (last !== undefined && last.order < order) return high
  while (low < high) {
    const middle = (low + high) >>> 1
    const row = chunk[middle]
    if (row !== undefined && row.order < order) low = middle + 1
    else high = middle
  }
  return low
}
