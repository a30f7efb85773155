/**
 * The snapshot file: which members were alive and how far the clocks were, so that a restarted node finds its pool again.
 *
 * Lines are appended as things happen and replayed at the start. This file knows their text; snapshot-file.ts the disk.
 *
 * Source: gossip wire notes §14.
 */
import { formatHostPort } from '#base'

/** Most members a snapshot holds. */
export const MAX_SNAPSHOT_MEMBERS = 50_000

export const aliveLine = (name: string, address: string, port: number): string =>
  `alive: ${name} ${formatHostPort(address, port)}`
export const notAliveLine = (name: string): string => `not-alive: ${name}`
export const clockLine = (kind: 'clock' | 'event-clock' | 'query-clock', time: number): string => `${kind}: ${time}`
export const LEAVE_LINE = 'leave'

export class SnapshotState {
  /** Name → "ip:port". */
  readonly alive = new Map<string, string>()
  clock = 0
  eventClock = 0
  queryClock = 0
  readonly #rejoinAfterLeave: boolean

  constructor(options: { rejoinAfterLeave: boolean }) {
    this.#rejoinAfterLeave = options.rejoinAfterLeave
  }

  /** Applies one line; what is not understood is skipped, as a crash may have cut the last line. */
  apply(line: string): void {
    if (line === LEAVE_LINE) {
      if (!this.#rejoinAfterLeave) this.#clear()
      return
    }
    const colon = line.indexOf(': ')
    if (colon < 0) return
    const value = line.slice(colon + 2)
    switch (line.slice(0, colon)) {
      case 'alive': {
        const space = value.lastIndexOf(' ')
        if (space <= 0 || (this.alive.size >= MAX_SNAPSHOT_MEMBERS && !this.alive.has(value.slice(0, space)))) return
        this.alive.set(value.slice(0, space), value.slice(space + 1))
        return
      }
      case 'not-alive':
        this.alive.delete(value)
        return
      case 'clock':
        this.clock = readTime(value, this.clock)
        return
      case 'event-clock':
        this.eventClock = readTime(value, this.eventClock)
        return
      case 'query-clock':
        this.queryClock = readTime(value, this.queryClock)
    }
  }

  replay(text: string): void {
    for (const line of text.split('\n')) if (line !== '' && !line.startsWith('#')) this.apply(line)
  }

  #clear(): void {
    this.alive.clear()
    this.clock = 0
    this.eventClock = 0
    this.queryClock = 0
  }

  /** The shortest text that replays to this state. */
  compact(): string {
    const lines = [...this.alive].map(([name, address]) => `alive: ${name} ${address}`)
    lines.push(clockLine('clock', this.clock), clockLine('event-clock', this.eventClock))
    lines.push(clockLine('query-clock', this.queryClock))
    return `${lines.join('\n')}\n`
  }
}

function readTime(text: string, current: number): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : current
}
