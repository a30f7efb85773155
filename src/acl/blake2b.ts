/**
 * BLAKE2b with 32 bytes of output, unkeyed: what Consul hashes its ACL objects with. The platform has only the 64-byte
 * form, and the length of the output is part of the hash.
 *
 * For change detection between datacenters, not for secrets.
 *
 * Source: RFC 7693.
 */

const BLOCK_BYTES = 128
const DIGEST_BYTES = 32
const ROUNDS = 12
/** Words of 64 bits in halves, the low one first. */
const IV = Uint32Array.of(
  0xf3bcc908,
  0x6a09e667,
  0x84caa73b,
  0xbb67ae85,
  0xfe94f82b,
  0x3c6ef372,
  0x5f1d36f1,
  0xa54ff53a,
  0xade682d1,
  0x510e527f,
  0x2b3e6c1f,
  0x9b05688c,
  0xfb41bd6b,
  0x1f83d9ab,
  0x137e2179,
  0x5be0cd19,
)

const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
] as const

/** Columns, then diagonals: which four words each mixing step takes. */
const STEPS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const

/** The 32-byte BLAKE2b hash of `data`. */
export function blake2b256(data: Uint8Array): Buffer {
  const state = Uint32Array.from(IV)
  state[0] = word(state, 0) ^ 0x01010000 ^ DIGEST_BYTES
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK_BYTES))
  const padded = Buffer.alloc(blocks * BLOCK_BYTES)
  padded.set(data)
  const mixer = new Mixer()
  for (let block = 0; block < blocks; block++) {
    const last = block === blocks - 1
    const counted = last ? data.length : (block + 1) * BLOCK_BYTES
    mixer.compress(state, padded, block * BLOCK_BYTES, counted, last)
  }
  const out = Buffer.alloc(DIGEST_BYTES)
  for (let half = 0; half < DIGEST_BYTES / 4; half++) out.writeUInt32LE(word(state, half), half * 4)
  return out
}

/** The working words, kept from block to block. */
class Mixer {
  readonly #v = new Uint32Array(32)
  readonly #message = new Uint32Array(32)

  compress(state: Uint32Array, data: Buffer, offset: number, counted: number, last: boolean): void {
    const v = this.#v
    const message = this.#message
    v.set(state)
    v.set(IV, 16)
    v[24] = word(v, 24) ^ (counted >>> 0)
    v[25] = word(v, 25) ^ Math.floor(counted / 2 ** 32)
    if (last) {
      v[28] = ~word(v, 28)
      v[29] = ~word(v, 29)
    }
    for (let half = 0; half < 32; half++) message[half] = data.readUInt32LE(offset + half * 4)
    for (let round = 0; round < ROUNDS; round++) {
      const sigma = SIGMA[round % SIGMA.length] ?? SIGMA[0]
      for (let step = 0; step < STEPS.length; step++) {
        const [a, b, c, d] = STEPS[step] ?? STEPS[0]
        this.#half(a, b, c, d, sigma[step * 2] ?? 0, 32, 24)
        this.#half(a, b, c, d, sigma[step * 2 + 1] ?? 0, 16, 63)
      }
    }
    for (let half = 0; half < 16; half++) state[half] = word(state, half) ^ word(v, half) ^ word(v, half + 16)
  }

  /** Half a mixing step: a word of the message into a, then d, c and b. */
  #half(a: number, b: number, c: number, d: number, m: number, turnD: number, turnB: number): void {
    const v = this.#v
    this.#add(a, v, b)
    this.#add(a, this.#message, m)
    this.#xorRotate(d, a, turnD)
    this.#add(c, v, d)
    this.#xorRotate(b, c, turnB)
  }

  #add(into: number, from: Uint32Array, index: number): void {
    const v = this.#v
    const low = word(v, into * 2) + word(from, index * 2)
    v[into * 2] = low
    v[into * 2 + 1] = word(v, into * 2 + 1) + word(from, index * 2 + 1) + (low > 0xffffffff ? 1 : 0)
  }

  /** `into` = (`into` xor `other`), rotated to the right. */
  #xorRotate(into: number, other: number, bits: number): void {
    const v = this.#v
    let low = word(v, into * 2) ^ word(v, other * 2)
    let high = word(v, into * 2 + 1) ^ word(v, other * 2 + 1)
    if (bits >= 32) [low, high] = [high, low]
    const rest = bits % 32
    if (rest === 0) {
      v[into * 2] = low
      v[into * 2 + 1] = high
      return
    }
    v[into * 2] = (low >>> rest) | (high << (32 - rest))
    v[into * 2 + 1] = (high >>> rest) | (low << (32 - rest))
  }
}

function word(words: Uint32Array, index: number): number {
  return words[index] ?? 0
}
