/**
 * Vivaldi network coordinates: where this node stands in a space whose distances are round-trip times.
 *
 * Every acknowledged probe carries the other's coordinate; together with the measured time it pulls or pushes ours.
 * Pure: times come in as arguments, chance as a Random. All times here are seconds, as they travel on the wire.
 *
 * Source: Dabek et al., "Vivaldi"; Ledlie et al., "Network coordinates in the wild"; gossip wire notes §13.
 */
import type { Random } from '#base'

export interface Coordinate {
  readonly Vec: readonly number[]
  readonly Error: number
  readonly Adjustment: number
  readonly Height: number
}

export const DIMENSIONS = 8
const ERROR_MAX = 1.5
const CE = 0.25
const CC = 0.25
const ADJUSTMENT_WINDOW = 20
const HEIGHT_MIN = 1e-5
const LATENCY_SAMPLES = 3
const GRAVITY_RHO = 150
const RTT_MAX_S = 10
const RTT_MIN_S = 1e-6
const ZERO_DISTANCE = 1e-6
/** Peers whose latency samples are kept; the oldest is forgotten beyond it. */
const MAX_LATENCY_PEERS = 10_000

/** Where every node begins. */
export function originCoordinate(): Coordinate {
  return { Vec: Array<number>(DIMENSIONS).fill(0), Error: ERROR_MAX, Adjustment: 0, Height: HEIGHT_MIN }
}

export function isValidCoordinate(c: Coordinate): boolean {
  return (
    c.Vec.length === DIMENSIONS &&
    c.Vec.every(Number.isFinite) &&
    Number.isFinite(c.Error) &&
    Number.isFinite(c.Adjustment) &&
    Number.isFinite(c.Height)
  )
}

const difference = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value - (b[i] ?? 0))
const magnitude = (v: readonly number[]): number => Math.sqrt(v.reduce((sum, value) => sum + value * value, 0))
const rawDistanceS = (a: Coordinate, b: Coordinate): number => magnitude(difference(a.Vec, b.Vec)) + a.Height + b.Height

/** Estimated round-trip time between two coordinates, in seconds. */
export function coordinateDistanceS(a: Coordinate, b: Coordinate): number {
  const raw = rawDistanceS(a, b)
  const adjusted = raw + a.Adjustment + b.Adjustment
  return adjusted > 0 ? adjusted : raw
}

/** A vector of length 1 from `b` to `a`, and how far they were apart; any direction when they coincide. */
function unitVector(a: readonly number[], b: readonly number[], random: Random): { unit: number[]; apart: number } {
  const direct = difference(a, b)
  const apart = magnitude(direct)
  if (apart > ZERO_DISTANCE) return { unit: direct.map((value) => value / apart), apart }
  const drawn = direct.map(() => random.float() - 0.5)
  const length = magnitude(drawn)
  if (length > ZERO_DISTANCE) return { unit: drawn.map((value) => value / length), apart: 0 }
  return { unit: direct.map((_, index) => (index === 0 ? 1 : 0)), apart: 0 }
}

function withForce(c: Coordinate, force: number, other: Coordinate, random: Random): Coordinate {
  const { unit, apart } = unitVector(c.Vec, other.Vec, random)
  const Vec = c.Vec.map((value, index) => value + unit[index]! * force)
  const Height =
    apart > ZERO_DISTANCE ? Math.max(((c.Height + other.Height) * force) / apart + c.Height, HEIGHT_MIN) : c.Height
  return { ...c, Vec, Height }
}

/** Our coordinate and what it was learnt from. */
export class CoordinateClient {
  resets = 0
  #current = originCoordinate()
  #window: number[] = []
  #windowIndex = 0
  readonly #latencies = new Map<string, number[]>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get coordinate(): Coordinate {
    return this.#current
  }

  /** Forgets the latency samples of a node that is gone. */
  forget(node: string): void {
    this.#latencies.delete(node)
  }

  /**
   * Moves our coordinate by one observation.
   *
   * @param rttS - measured round-trip time in seconds
   * @returns false when the observation was refused
   */
  update(node: string, other: Coordinate, rttS: number): boolean {
    if (!isValidCoordinate(other) || !(rttS >= 0 && rttS <= RTT_MAX_S)) return false
    const rtt = this.#medianLatencyS(node, rttS)
    this.#applyVivaldi(other, rtt)
    this.#applyAdjustment(other, rtt)
    this.#applyGravity()
    if (!isValidCoordinate(this.#current)) {
      this.#current = originCoordinate()
      this.resets++
    }
    return true
  }

  #medianLatencyS(node: string, rttS: number): number {
    const samples = this.#latencies.get(node) ?? []
    samples.push(rttS)
    if (samples.length > LATENCY_SAMPLES) samples.shift()
    this.#latencies.delete(node)
    this.#latencies.set(node, samples)
    if (this.#latencies.size > MAX_LATENCY_PEERS) {
      for (const oldest of this.#latencies.keys()) {
        this.#latencies.delete(oldest)
        break
      }
    }
    return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)]!
  }

  #applyVivaldi(other: Coordinate, rttS: number): void {
    const current = this.#current
    const distance = coordinateDistanceS(current, other)
    const rtt = Math.max(rttS, RTT_MIN_S)
    const wrongness = Math.abs(distance - rtt) / rtt
    const totalError = Math.max(current.Error + other.Error, ZERO_DISTANCE)
    const weight = current.Error / totalError
    const error = Math.min(CE * weight * wrongness + current.Error * (1 - CE * weight), ERROR_MAX)
    const force = CC * weight * (rtt - distance)
    this.#current = withForce({ ...current, Error: error }, force, other, this.#random)
  }

  #applyAdjustment(other: Coordinate, rttS: number): void {
    this.#window[this.#windowIndex] = rttS - rawDistanceS(this.#current, other)
    this.#windowIndex = (this.#windowIndex + 1) % ADJUSTMENT_WINDOW
    const sum = this.#window.reduce((total, value) => total + value, 0)
    this.#current = { ...this.#current, Adjustment: sum / (2 * ADJUSTMENT_WINDOW) }
  }

  #applyGravity(): void {
    const origin = originCoordinate()
    const distance = coordinateDistanceS(origin, this.#current)
    const force = -1 * (distance / GRAVITY_RHO) ** 2
    this.#current = withForce(this.#current, force, origin, this.#random)
  }
}
