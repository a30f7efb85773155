/**
 * Chance as a value that can be handed in. Production draws from the operating system; simulations from a seed.
 */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform integer in [0, below). */
  int(below: number): number
  /** `length` unpredictable bytes (predictable from the seed in a simulation). */
  bytes(length: number): Buffer
}

/** Draws from the operating system for bytes, from the engine's generator for everything that is not a secret. */
export const systemRandom: Random = {
  float: () => Math.random(),
  int: (below) => Math.floor(Math.random() * below),
  bytes: (length) => randomBytes(length),
}

/** The same sequence for the same seed (mulberry32). Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const float = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (below: number) => Math.floor(float() * below)
  return {
    float,
    int,
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(256))),
  }
}

/** A random UUID (version 4 layout) in lower case, as node IDs and session IDs are written. */
export function uuid(random: Random = systemRandom): string {
  const bytes = random.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A shuffled copy (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], random: Random = systemRandom): T[] {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.int(i + 1)
    const held = out[i]!
    out[i] = out[j]!
    out[j] = held
  }
  return out
}
