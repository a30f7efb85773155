/**
 * Timers of a pure core: tasks with a due time in a binary heap. Whoever drives the core asks when the next one is due
 * and runs what fell due; nothing here reads a clock.
 */

export interface Deadline {
  cancel(): void
}

interface Entry {
  readonly atMs: number
  readonly order: number
  task: (() => void) | undefined
}

/** Cancelled entries may make up this part of the heap before it is cleaned. */
const MAX_CANCELLED_SHARE = 0.5
const CLEAN_FROM_ENTRIES = 256

export class Deadlines {
  #heap: Entry[] = []
  #order = 0
  #cancelled = 0

  schedule(atMs: number, task: () => void): Deadline {
    const entry: Entry = { atMs, order: this.#order++, task }
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1)
    return {
      cancel: () => {
        if (entry.task === undefined) return
        entry.task = undefined
        this.#cancelled++
        this.#clean()
      },
    }
  }

  /** When the next task is due; Infinity when there is none. */
  nextMs(): number {
    while (this.#heap[0] !== undefined && this.#heap[0].task === undefined) {
      this.#pop()
      this.#cancelled--
    }
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY
  }

  /** Runs what is due at `nowMs`, earliest first. Tasks that these add for the same time run too. */
  runDue(nowMs: number): void {
    while (this.nextMs() <= nowMs) {
      const task = this.#pop()?.task
      task?.()
    }
  }

  #clean(): void {
    if (this.#heap.length < CLEAN_FROM_ENTRIES || this.#cancelled < this.#heap.length * MAX_CANCELLED_SHARE) return
    const kept = this.#heap.filter((entry) => entry.task !== undefined)
    this.#heap = []
    this.#cancelled = 0
    for (const entry of kept) {
      this.#heap.push(entry)
      this.#up(this.#heap.length - 1)
    }
  }

  #before(a: number, b: number): boolean {
    const left = this.#heap[a]!
    const right = this.#heap[b]!
    return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a]!
    this.#heap[a] = this.#heap[b]!
    this.#heap[b] = held
  }

  #up(index: number): void {
    let at = index
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #pop(): Entry | undefined {
    const top = this.#heap[0]
    const last = this.#heap.pop()
    if (top === undefined || last === undefined || top === last) return top
    this.#heap[0] = last
    let at = 0
    for (;;) {
      const left = at * 2 + 1
      if (left >= this.#heap.length) return top
      const child = left + 1 < this.#heap.length && this.#before(left + 1, left) ? left + 1 : left
      if (!this.#before(child, at)) return top
      this.#swap(at, child)
      at = child
    }
  }
}
