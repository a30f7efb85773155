/**
 * BLAKE2b with 32 bytes of output, unkeyed: what Consul hashes its ACL objects with. The platform has only the 64-byte
 * form, and the length of the output is part of the hash.
 *
 * For change detection between datacenters, not for secrets. Words of 64 bits as BigInt: objects are small and written
 * seldom.
 *
 * Source: RFC 7693.
 */

const BLOCK_BYTES = 128
const DIGEST_BYTES = 32
const ROUNDS = 12
const WORD = (1n << 64n) - 1n

const IV = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
] as const

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
  const state: bigint[] = [...IV]
  state[0] = IV[0] ^ BigInt(0x01010000 ^ DIGEST_BYTES)
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK_BYTES))
  const padded = Buffer.alloc(blocks * BLOCK_BYTES)
  padded.set(data)
  for (let block = 0; block < blocks; block++) {
    const last = block === blocks - 1
    const counted = last ? data.length : (block + 1) * BLOCK_BYTES
    compress(state, padded.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES), BigInt(counted), last)
  }
  const out = Buffer.alloc(DIGEST_BYTES)
  for (let word = 0; word < DIGEST_BYTES / 8; word++) out.writeBigUInt64LE(at(state, word), word * 8)
  return out
}

function compress(state: bigint[], block: Buffer, counted: bigint, last: boolean): void {
  const v: bigint[] = [...state, ...IV]
  v[12] = IV[4] ^ counted
  if (last) v[14] = IV[6] ^ WORD
  const message = Array.from({ length: 16 }, (_, word) => block.readBigUInt64LE(word * 8))
  for (let round = 0; round < ROUNDS; round++) {
    const sigma = SIGMA[round % SIGMA.length] ?? SIGMA[0]
    for (const [step, [a, b, c, d]] of STEPS.entries()) {
      mix(v, a, b, c, d, at(message, sigma[step * 2] ?? 0), at(message, sigma[step * 2 + 1] ?? 0))
    }
  }
  for (let word = 0; word < 8; word++) state[word] = at(state, word) ^ at(v, word) ^ at(v, word + 8)
}

function mix(v: bigint[], a: number, b: number, c: number, d: number, x: bigint, y: bigint): void {
  v[a] = (at(v, a) + at(v, b) + x) & WORD
  v[d] = rotateRight(at(v, d) ^ at(v, a), 32n)
  v[c] = (at(v, c) + at(v, d)) & WORD
  v[b] = rotateRight(at(v, b) ^ at(v, c), 24n)
  v[a] = (at(v, a) + at(v, b) + y) & WORD
  v[d] = rotateRight(at(v, d) ^ at(v, a), 16n)
  v[c] = (at(v, c) + at(v, d)) & WORD
  v[b] = rotateRight(at(v, b) ^ at(v, c), 63n)
}

function rotateRight(word: bigint, bits: bigint): bigint {
  return ((word >> bits) | (word << (64n - bits))) & WORD
}

function at(words: readonly bigint[], index: number): bigint {
  return words[index] ?? 0n
}
