/**
 * Many pool cores on one seeded network in memory: datagrams with delay and loss, streams, partitions, kills.
 *
 * Time stands still between events; a run of the same seed is the same to the byte.
 */
import { ManualClock, messageOf, type Random, seededRandom, type Timer } from '#base'
import {
  type GossipTiming,
  gossipTiming,
  type Keyring,
  type Member,
  type PacketLayers,
  PoolCore,
  type PoolEffect,
  type StreamMessage,
  StreamReader,
} from '#gossip'

export interface SimulationOptions {
  readonly seed: number
  readonly lossShare?: number
  readonly timing?: Partial<GossipTiming>
  readonly keyring?: () => Keyring
}

export interface SimNode {
  readonly name: string
  readonly address: string
  readonly layers: PacketLayers
  core: PoolCore
  alive: boolean
  /** Every event that the core emitted, "type name". */
  readonly events: string[]
  wake: { readonly atMs: number; readonly timer: Timer } | undefined
}

const PORT = 8301
const MIN_DELAY_MS = 0.2
const MAX_DELAY_MS = 2

export class GossipNetwork {
  readonly clock = new ManualClock()
  readonly nodes = new Map<string, SimNode>()
  readonly random: Random
  datagrams = 0
  readonly #byAddress = new Map<string, SimNode>()
  readonly #options: SimulationOptions
  #sides: ((node: SimNode) => number) | undefined

  constructor(options: SimulationOptions) {
    this.#options = options
    this.random = seededRandom(options.seed)
  }

  add(name: string): SimNode {
    const index = this.nodes.size + 1
    const address = `10.0.${index >> 8}.${index & 255}`
    const layers = { label: '', keyring: this.#options.keyring?.() }
    const core = this.#core(name, address, layers)
    const node: SimNode = { name, address, layers, core, alive: true, events: [], wake: undefined }
    this.nodes.set(name, node)
    this.#byAddress.set(address, node)
    this.#step(node, (core, now) => core.step({ kind: 'tick' }, now))
    return node
  }

  #core(name: string, address: string, layers: PacketLayers): PoolCore {
    const { timing } = this.#options
    return new PoolCore(
      {
        name,
        address,
        port: PORT,
        timing: gossipTiming('lan', timing),
        layers,
        identity: { pool: 'lan', localName: name, datacenter: 'dc1', nodeId: name },
        tags: { dc: 'dc1', role: 'node', id: name },
        streamPingAllowed: () => true,
      },
      { random: seededRandom(this.random.int(2 ** 31)), nowMs: this.clock.nowMs() },
    )
  }

  /** A process that is gone without a word. */
  kill(name: string): void {
    this.get(name).alive = false
  }

  /** The same name and address with nothing remembered. */
  restart(name: string): SimNode {
    const node = this.get(name)
    node.core = this.#core(name, node.address, node.layers)
    node.alive = true
    this.#step(node, (core, now) => core.step({ kind: 'tick' }, now))
    return node
  }

  get(name: string): SimNode {
    const node = this.nodes.get(name)
    if (!node) throw new Error(`no node ${name}`)
    return node
  }

  living(): SimNode[] {
    return [...this.nodes.values()].filter((node) => node.alive)
  }

  /** Nodes reach each other only within their side; undefined heals. */
  partition(sides: ((node: SimNode) => number) | undefined): void {
    this.#sides = sides
  }

  /** Runs a request on a node and carries its effects out. */
  act(name: string, request: (core: PoolCore) => void): void {
    this.#step(this.get(name), (core, now) => core.act(now, request))
  }

  join(name: string, target: string): void {
    const { address } = this.get(target)
    this.act(name, (core) => core.join([{ name: '', address, port: PORT }], false, () => {}))
  }

  run(ms: number): void {
    this.clock.advance(ms)
  }

  /** Advances second by second until `condition` holds; false when it does not within `limitMs`. */
  runUntil(condition: () => boolean, limitMs: number): boolean {
    for (let passedMs = 0; passedMs < limitMs; passedMs += 200) {
      if (condition()) return true
      this.run(200)
    }
    return condition()
  }

  /** Whether every living node sees every node with the wanted status. */
  agree(wanted: (name: string) => Member['status'] | undefined): boolean {
    return this.living().every((node) => {
      const seen = new Map(node.core.members().map((member) => [member.name, member.status]))
      return [...this.nodes.keys()].every((name) => seen.get(name) === wanted(name))
    })
  }

  #step(node: SimNode, run: (core: PoolCore, nowMs: number) => readonly PoolEffect[]): void {
    if (!node.alive) return
    for (const effect of run(node.core, this.clock.nowMs())) this.#carryOut(node, effect)
    this.#wake(node)
  }

  #wake(node: SimNode): void {
    const dueMs = node.core.nextDueMs()
    if (dueMs === node.wake?.atMs) return
    node.wake?.timer.cancel()
    const timer = this.clock.after(dueMs - this.clock.nowMs(), () => {
      node.wake = undefined
      this.#step(node, (core, now) => core.step({ kind: 'tick' }, now))
    })
    node.wake = { atMs: dueMs, timer }
  }

  #reach(from: SimNode, address: string): SimNode | undefined {
    const to = this.#byAddress.get(address)
    if (!to?.alive || (this.#sides && this.#sides(from) !== this.#sides(to))) return undefined
    return to
  }

  #later(task: () => void): void {
    this.clock.after(MIN_DELAY_MS + this.random.float() * (MAX_DELAY_MS - MIN_DELAY_MS), task)
  }

  #carryOut(node: SimNode, effect: PoolEffect): void {
    if (effect.kind === 'event') {
      const { event } = effect
      const about = 'members' in event ? event.members.map((member) => member.name).join() : ''
      node.events.push(`${event.type} ${'name' in event ? event.name : about}`)
    } else if (effect.kind === 'send') {
      this.datagrams++
      const to = this.#reach(node, effect.to.address)
      if (!to || this.random.float() < (this.#options.lossShare ?? 0)) return
      const { bytes } = effect
      this.#later(() =>
        this.#step(to, (core, now) => core.step({ kind: 'datagram', bytes, address: node.address, port: PORT }, now)),
      )
    } else if (effect.kind === 'exchange') this.#exchange(node, effect)
  }

  /** A stream: the request is read by the other core, its answer by ours. */
  #exchange(node: SimNode, { exchange, to, bytes }: PoolEffect & { kind: 'exchange' }): void {
    const target = this.#reach(node, to.address)
    this.#later(() => {
      if (!target || !this.#reach(node, to.address)) {
        const error = 'connect: no route to host'
        this.#step(node, (core, now) => core.step({ kind: 'failed', exchange, error }, now))
        return
      }
      let answer: Buffer | undefined
      this.#step(target, (core, now) => {
        const input = readStream(bytes, target.layers, 'initiator')
        const request =
          'message' in input
            ? ({ kind: 'request', stream: 1, address: node.address, message: input.message } as const)
            : ({ kind: 'badRequest', stream: 1, address: node.address, ...input } as const)
        return core.step(request, now).filter((effect) => {
          if (effect.kind !== 'answer') return true
          answer = effect.bytes
          return false
        })
      })
      this.#later(() => this.#answer(node, exchange, answer))
    })
  }

  #answer(node: SimNode, exchange: number, bytes: Buffer | undefined): void {
    this.#step(node, (core, now) => {
      const read = bytes ? readStream(bytes, node.layers, 'responder') : { error: 'EOF' }
      return core.step(
        'message' in read
          ? { kind: 'answered', exchange, message: read.message }
          : { kind: 'failed', exchange, error: read.error },
        now,
      )
    })
  }
}

function readStream(
  bytes: Buffer,
  layers: PacketLayers,
  writer: 'initiator' | 'responder',
): { message: StreamMessage } | { error: string } {
  try {
    const message = new StreamReader(layers, writer).push(bytes)
    return message ? { message } : { error: 'EOF' }
  } catch (thrown) {
    return { error: messageOf(thrown) }
  }
}
