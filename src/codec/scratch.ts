/**
 * The buffer that messages are written in: one is kept from message to message, because to make and to fill new ones
 * costs more than what is written into them. What is finished is copied out.
 */

/** Room for a first message. */
const FIRST_BYTES = 4_096
/** The largest buffer that is kept for the next message. */
const MAX_KEPT_BYTES = 262_144

/** Undefined while a message is being written. */
let kept: Buffer | undefined

/** A buffer to write in; its content is anything. */
export function takeScratch(): Buffer {
  const buffer = kept ?? Buffer.allocUnsafeSlow(FIRST_BYTES)
  kept = undefined
  return buffer
}

/** One that has room for `needed` bytes and begins as the first `length` of this one. */
export function largerScratch(buffer: Buffer, length: number, needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * buffer.length))
  buffer.copy(larger, 0, 0, length)
  return larger
}

/** The first `length` bytes, in a buffer of their own. Whoever wrote them writes no more: the next message does. */
export function giveBackScratch(buffer: Buffer, length: number): Buffer {
  const written = Buffer.allocUnsafe(length)
  buffer.copy(written, 0, 0, length)
  if (buffer.length <= MAX_KEPT_BYTES) kept = buffer
  return written
}

/** What a writer holds that has given its scratch back. */
export const NO_SCRATCH: Buffer = Buffer.alloc(0)
