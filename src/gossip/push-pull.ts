/**
 * Push/pull: two nodes exchange all they know, at a join and now and then, so that lost gossip does no lasting harm.
 *
 * Source: gossip wire notes §6.
 */
import type { Destination } from './effects.ts'
import type { Exchanges } from './exchanges.ts'
import type { Membership } from './membership.ts'
import { AckResp, encodeMessage, MESSAGE, type PushNodeState, VERSION_BYTES } from './messages.ts'
import { encodeErr, encodePushPull, type PushPull, type StreamMessage, sealStream } from './stream.ts'
import type { SwimContext } from './swim-context.ts'
import { pushPullScale } from './timing.ts'

export interface ExchangeOptions {
  readonly join: boolean
  /** Do not replay events from before. */
  readonly ignoreOldEvents?: boolean
}

export class PushPuller {
  readonly #context: SwimContext
  readonly #membership: Membership
  readonly #exchanges: Exchanges

  constructor(context: SwimContext, modules: { membership: Membership; exchanges: Exchanges }) {
    this.#context = context
    this.#membership = modules.membership
    this.#exchanges = modules.exchanges
  }

  start(): void {
    const { runtime, timing, nodes, name } = this.#context
    if (timing.pushPullIntervalMs <= 0) return
    runtime.repeat(
      () => timing.pushPullIntervalMs * pushPullScale(nodes.size),
      () => {
        const [node] = nodes.pick(1, (candidate) => candidate.name !== name && candidate.state === 'alive')
        if (node && !this.#membership.leaving)
          this.exchange(node, { join: false }, (error) => this.#logFailure(node, error))
      },
    )
  }

  #logFailure(node: Destination, error: string | undefined): void {
    if (error !== undefined) this.#context.runtime.log('warn', 'push/pull failed', { node: node.name, error })
  }

  /** @param done - gets the reason when it failed or was refused */
  exchange(to: Destination, options: ExchangeOptions, done: (error: string | undefined) => void): void {
    const { timing } = this.#context
    const { join, ignoreOldEvents = false } = options
    this.#exchanges.open(to, this.#ourState(join, 'initiator'), timing.tcpTimeoutMs, ({ message, error }) => {
      if (message?.kind === 'pushPull') done(this.#merge(message.state, ignoreOldEvents))
      else if (message?.kind === 'err') done(message.error)
      else done(error ?? 'unexpected answer')
    })
  }

  /** Answers a stream that the other side opened. Our state goes out before theirs is judged. */
  answer(stream: number, message: StreamMessage, from: string): void {
    const { runtime, layers, delegate, name } = this.#context
    const reply = (bytes: Buffer | undefined) => runtime.emit({ kind: 'answer', stream, bytes })
    switch (message.kind) {
      case 'pushPull': {
        reply(this.#ourState(message.state.join, 'responder'))
        const refused = this.#merge(message.state, false)
        if (refused !== undefined) runtime.log('debug', 'refused a push/pull', { from, reason: refused })
        return
      }
      case 'ping': {
        if (message.ping.Node !== '' && message.ping.Node !== name) {
          reply(undefined)
          return
        }
        const ack = encodeMessage(MESSAGE.ackResp, AckResp, { SeqNo: message.ping.SeqNo, Payload: null })
        reply(sealStream(ack, layers, runtime.random, 'responder'))
        return
      }
      case 'user':
        reply(undefined)
        delegate.userMessage(message.bytes)
        return
      default:
        reply(undefined)
        return
    }
  }

  /** Tells the other side of a stream why it could not be read. */
  refuse(stream: number, error: string): void {
    const { runtime, layers } = this.#context
    runtime.emit({ kind: 'answer', stream, bytes: sealStream(encodeErr(error), layers, runtime.random, 'responder') })
  }

  #ourState(join: boolean, side: 'initiator' | 'responder'): Buffer {
    const { layers, runtime, delegate } = this.#context
    const nodes = this.#membership.states()
    const state = encodePushPull({ join, nodes, userState: delegate.localState() })
    return sealStream(state, layers, runtime.random, side)
  }

  /** @returns why nothing was merged */
  #merge(state: PushPull, ignoreOldEvents: boolean): string | undefined {
    const { delegate } = this.#context
    const refused = this.#versionConflict(state.nodes) ?? (state.join ? delegate.refuseMerge(state.nodes) : undefined)
    if (refused !== undefined) return refused
    this.#membership.mergeStates(state.nodes)
    if (state.userState.length > 0) delegate.mergeState(state.userState, ignoreOldEvents)
    return undefined
  }

  /**
   * Every node's current versions, dead ones' too, must lie within what all living nodes understand.
   *
   * @returns why they do not
   */
  #versionConflict(remote: readonly PushNodeState[]): string | undefined {
    const local = this.#membership.states()
    const limits = { protocolMin: 0, protocolMax: 255, delegateMin: 0, delegateMax: 255 }
    for (const { State, Vsn } of [...local, ...remote]) {
      if (State !== 0 || !Vsn || Vsn.length < VERSION_BYTES) continue
      limits.protocolMin = Math.max(limits.protocolMin, Vsn[0]!)
      limits.protocolMax = Math.min(limits.protocolMax, Vsn[1]!)
      limits.delegateMin = Math.max(limits.delegateMin, Vsn[3]!)
      limits.delegateMax = Math.min(limits.delegateMax, Vsn[4]!)
    }
    for (const { Name, Vsn } of [...local, ...remote]) {
      const protocol = Vsn?.[2] ?? 0
      const delegate = Vsn?.[5] ?? 0
      if (protocol < limits.protocolMin || protocol > limits.protocolMax) {
        return `Node '${Name}' protocol version (${protocol}) is incompatible: [${limits.protocolMin}, ${limits.protocolMax}]`
      }
      if (delegate < limits.delegateMin || delegate > limits.delegateMax) {
        return `Node '${Name}' delegate protocol version (${delegate}) is incompatible: [${limits.delegateMin}, ${limits.delegateMax}]`
      }
    }
    return undefined
  }
}
