/**
 * User events: small named messages that reach every member once.
 *
 * The last 512 Lamport times are remembered, to drop repetitions and to tell newcomers what they missed.
 *
 * Source: gossip wire notes §11.
 */
import { gossipError } from './errors.ts'
import type { SerfContext } from './serf-context.ts'
import { encodeSerf, SERF_MESSAGE, type SerfPushPull, SerfUserEvent } from './serf-messages.ts'

/** Lamport times that are remembered. */
export const EVENT_BUFFER_SLOTS = 512
/** Longest name and payload together. */
export const MAX_USER_EVENT_BYTES = 512
/** Most events kept for one Lamport time; only a flood from one broken peer reaches it. */
export const MAX_EVENTS_PER_SLOT = 256
/** Longest event taken from others, encoded. */
const MAX_FOREIGN_EVENT_BYTES = 9 * 1024

interface Slot {
  readonly LTime: number
  readonly Events: { readonly Name: string; readonly Payload: Buffer | null }[]
}

const NO_BYTES = Buffer.alloc(0)

export class UserEvents {
  /** Older events are not delivered. */
  minTime = 0
  readonly #context: SerfContext
  readonly #slots: (Slot | undefined)[] = Array<Slot | undefined>(EVENT_BUFFER_SLOTS).fill(undefined)

  constructor(context: SerfContext) {
    this.#context = context
  }

  /** @throws HanseError GOSSIP_EVENT_TOO_LARGE */
  fire(name: string, payload: Buffer, coalesce: boolean): void {
    if (Buffer.byteLength(name) + payload.length > MAX_USER_EVENT_BYTES) {
      throw gossipError('GOSSIP_EVENT_TOO_LARGE', { limit: MAX_USER_EVENT_BYTES })
    }
    const LTime = this.#context.eventClock.increment()
    const message = { LTime, Name: name, Payload: payload, CC: coalesce }
    this.receive(message)
    this.#context.events.add({ message: encodeSerf(SERF_MESSAGE.userEvent, SerfUserEvent, message) })
  }

  /** @returns whether it was news that others should hear too */
  receive(message: SerfUserEvent): boolean {
    const { eventClock, runtime } = this.#context
    eventClock.witness(message.LTime)
    const oldest = eventClock.time - EVENT_BUFFER_SLOTS
    if (message.LTime < this.minTime || message.LTime < oldest) return false
    if (Buffer.byteLength(message.Name) + (message.Payload?.length ?? 0) > MAX_FOREIGN_EVENT_BYTES) return false
    const index = message.LTime % EVENT_BUFFER_SLOTS
    let slot = this.#slots[index]
    const payload = message.Payload ?? NO_BYTES
    if (slot?.LTime === message.LTime) {
      const seen = slot.Events.some((e) => e.Name === message.Name && (e.Payload ?? NO_BYTES).equals(payload))
      if (seen || slot.Events.length >= MAX_EVENTS_PER_SLOT) return false
    } else {
      slot = { LTime: message.LTime, Events: [] }
      this.#slots[index] = slot
    }
    const kept = Buffer.from(payload)
    slot.Events.push({ Name: message.Name, Payload: message.Payload === null ? null : kept })
    runtime.count('consul.serf.events')
    runtime.emit({
      kind: 'event',
      event: { type: 'user', name: message.Name, payload: kept, ltime: message.LTime, coalesce: message.CC },
    })
    return true
  }

  /** The buffer as a push/pull carries it, empty slots included. */
  buffered(): SerfPushPull['Events'] {
    return this.#slots.map((slot) => slot ?? null)
  }

  /** Delivers what a newcomer missed. */
  replay(slots: NonNullable<SerfPushPull['Events']>): void {
    for (const slot of slots) {
      for (const event of slot?.Events ?? []) {
        this.receive({ LTime: slot?.LTime ?? 0, Name: event.Name, Payload: event.Payload, CC: false })
      }
    }
  }
}
