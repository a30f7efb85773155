/**
 * LZW as gossip compresses with it: least significant bit first, 8-bit literals, clear 256, end 257, codes of 9 to 12 bits.
 *
 * Reading is a must (peers compress every stream), writing saves bytes in datagrams. Both are pure; the size of what comes
 * out is bounded by the caller, because a few kilobytes can unfold into megabytes.
 *
 * Source: gossip wire notes §4.
 */

const CLEAR = 256
const END = 257
const MAX_CODE = 4095
const MAX_WIDTH = 12
const NO_CODE = -1

/** Slots of the encoder's hash table: a power of two, four times the number of codes, so that runs stay short. */
const TABLE_SLOTS = 16_384
const TABLE_MASK = TABLE_SLOTS - 1
const EMPTY = -1

// Both tables are scratch space of one synchronous call; keeping them saves 64 KiB of allocation for each datagram.
const tableKeys = new Int32Array(TABLE_SLOTS)
const tableCodes = new Uint16Array(TABLE_SLOTS)

/** Slot that holds `key`, or the free one where it belongs. */
function slotOf(key: number): number {
  let slot = (Math.imul(key, 0x9e3779b1) >>> 18) & TABLE_MASK
  while (tableKeys[slot] !== EMPTY && tableKeys[slot] !== key) slot = (slot + 1) & TABLE_MASK
  return slot
}

/** Compresses `bytes`. Never fails; the answer may be longer than the input (at most 1.5 times, plus 4 bytes). */
export function compressLzw(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(Math.ceil((bytes.length * MAX_WIDTH) / 8) + 8 + (bytes.length >> 9))
  let length = 0
  let bits = 0
  let bitCount = 0
  let width = 9
  let highest = END
  let overflow = 512

  const emit = (code: number) => {
    bits |= code << bitCount
    bitCount += width
    while (bitCount >= 8) {
      out[length++] = bits & 0xff
      bits >>>= 8
      bitCount -= 8
    }
  }
  // Returns whether the table is still the same one, so that a new pair may be stored in it.
  const advance = (): boolean => {
    highest++
    if (highest === overflow) {
      width++
      overflow <<= 1
    }
    if (highest !== MAX_CODE) return true
    emit(CLEAR)
    width = 9
    highest = END
    overflow = 512
    tableKeys.fill(EMPTY)
    return false
  }

  emit(CLEAR)
  if (bytes.length > 0) {
    tableKeys.fill(EMPTY)
    let code = bytes[0]!
    for (let i = 1; i < bytes.length; i++) {
      const byte = bytes[i]!
      const key = (code << 8) | byte
      const slot = slotOf(key)
      if (tableKeys[slot] === key) {
        code = tableCodes[slot]!
        continue
      }
      emit(code)
      code = byte
      if (advance()) {
        tableKeys[slot] = key
        tableCodes[slot] = highest
      }
    }
    emit(code)
    advance()
  }
  emit(END)
  if (bitCount > 0) out[length++] = bits & 0xff
  return out.subarray(0, length)
}

// Where the string of each code stands in the output that is being written, and how long it is.
const stringAt = new Uint32Array(MAX_CODE + 1)
const stringBytes = new Uint32Array(MAX_CODE + 1)

/**
 * Decompresses to at most `maxBytes`.
 *
 * @returns undefined when the bytes are no complete LZW stream, or unfold to more than `maxBytes`
 */
export function decompressLzw(bytes: Uint8Array, maxBytes: number): Buffer | undefined {
  let out = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(64, bytes.length * 3)))
  let length = 0
  let bits = 0
  let bitCount = 0
  let at = 0
  let width = 9
  let highest = END
  let overflow = 512
  // The string written last: every new code stands for it and one more byte, which is the next one in the output.
  let lastAt = NO_CODE
  let lastBytes = 0

  for (;;) {
    while (bitCount < width) {
      if (at >= bytes.length) return undefined
      bits |= bytes[at++]! << bitCount
      bitCount += 8
    }
    const code = bits & ((1 << width) - 1)
    bits >>>= width
    bitCount -= width

    if (code === END) return out.subarray(0, length)
    if (code === CLEAR) {
      width = 9
      highest = END
      overflow = 512
      lastAt = NO_CODE
      continue
    }

    if (lastAt !== NO_CODE) {
      stringAt[highest] = lastAt
      stringBytes[highest] = lastBytes + 1
    }
    if (code > highest) return undefined
    const count = code > END ? stringBytes[code]! : 1
    if (length + count > maxBytes) return undefined
    if (length + count > out.length) {
      const grown = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(out.length * 2, length + count)))
      out.copy(grown, 0, 0, length)
      out = grown
    }
    lastAt = length
    lastBytes = count
    if (code < CLEAR) out[length++] = code
    // Byte by byte: the string may run into the byte that is written right now.
    else for (let from = stringAt[code]!, end = from + count; from < end; from++) out[length++] = out[from]!

    highest++
    if (highest >= overflow) {
      if (width === MAX_WIDTH) {
        lastAt = NO_CODE
        highest--
      } else {
        width++
        overflow <<= 1
      }
    }
  }
}
