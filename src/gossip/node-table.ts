/**
 * The nodes that SWIM knows, in the shuffled order in which they are probed, and random picks among them.
 */
import { type Random, shuffled } from '#base'
import type { Deadline } from './deadlines.ts'
import type { NodeState } from './messages.ts'
import type { Suspicion } from './suspicion.ts'

export interface NodeRecord {
  readonly name: string
  address: string
  port: number
  meta: Buffer
  /** Six bytes, see messages.ts; empty until an alive message brought them. */
  versions: Buffer
  incarnation: number
  state: NodeState
  stateChangedMs: number
  suspicion: { readonly rule: Suspicion; deadline: Deadline } | undefined
}

/** Most nodes one pool may know; further ones are ignored. */
export const MAX_NODES = 50_000

export const isGone = (node: NodeRecord): boolean => node.state === 'dead' || node.state === 'left'

export class NodeTable {
  readonly #byName = new Map<string, NodeRecord>()
  #order: NodeRecord[] = []
  #probeIndex = 0
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get size(): number {
    return this.#byName.size
  }

  get(name: string): NodeRecord | undefined {
    return this.#byName.get(name)
  }

  all(): readonly NodeRecord[] {
    return this.#order
  }

  /** Alive and suspect nodes. */
  liveCount(): number {
    let count = 0
    for (const node of this.#order) if (!isGone(node)) count++
    return count
  }

  /** Adds a node at a random place of the probe order. */
  add(node: NodeRecord): void {
    this.#byName.set(node.name, node)
    const at = this.#random.int(this.#order.length + 1)
    this.#order.push(node)
    const last = this.#order.length - 1
    const held = this.#order[at]!
    this.#order[at] = node
    this.#order[last] = held
  }

  /** Up to `count` different nodes that `accept` takes. Gives up after three draws per node, as a full scan gains little. */
  pick(count: number, accept: (node: NodeRecord) => boolean): NodeRecord[] {
    const picked: NodeRecord[] = []
    const total = this.#order.length
    for (let draw = 0; draw < 3 * total && picked.length < count; draw++) {
      const node = this.#order[this.#random.int(total)]!
      if (!picked.includes(node) && accept(node)) picked.push(node)
    }
    return picked
  }

  /** The next node of the walk that `accept` takes; at the end of a round `onWrap` runs, then the order is shuffled. */
  nextToProbe(accept: (node: NodeRecord) => boolean, onWrap: () => void): NodeRecord | undefined {
    for (let checked = 0; checked <= this.#order.length; ) {
      if (this.#probeIndex >= this.#order.length) {
        onWrap()
        this.#order = shuffled(this.#order, this.#random)
        this.#probeIndex = 0
        checked++
        if (this.#order.length === 0) return undefined
      }
      const node = this.#order[this.#probeIndex++]!
      checked++
      if (accept(node)) return node
    }
    return undefined
  }

  /** Forgets the nodes that `gone` names. */
  removeWhere(gone: (node: NodeRecord) => boolean): void {
    this.#order = this.#order.filter((node) => {
      if (!gone(node)) return true
      this.#byName.delete(node.name)
      return false
    })
  }
}
