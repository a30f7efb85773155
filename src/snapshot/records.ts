/**
 * state.bin: stored records one after another, each as two lengths (32 bits, big endian), key and value, in the order of
 * their keys.
 *
 * Read as a stream of chunks that end anywhere; nothing larger than one record is held.
 */
import { snapshotError } from './errors.ts'
import { MAX_RECORD_BYTES, MAX_RECORD_KEY_BYTES } from './limits.ts'

export interface SnapshotRecord {
  readonly key: string
  readonly value: Uint8Array
}

const FRAME_BYTES = 8

/** Bytes that a record takes. */
export function recordBytes({ key, value }: SnapshotRecord): number {
  return FRAME_BYTES + Buffer.byteLength(key) + value.byteLength
}

export function encodeRecords(records: readonly SnapshotRecord[]): Buffer {
  const bytes = Buffer.allocUnsafe(records.reduce((sum, record) => sum + recordBytes(record), 0))
  let at = 0
  for (const { key, value } of records) {
    const keyBytes = bytes.write(key, at + FRAME_BYTES)
    bytes.writeUInt32BE(keyBytes, at)
    bytes.writeUInt32BE(value.byteLength, at + 4)
    at += FRAME_BYTES + keyBytes
    bytes.set(value, at)
    at += value.byteLength
  }
  return bytes
}

const damaged = (reason: string) => snapshotError('SNAPSHOT_DAMAGED', { reason })

export class RecordReader {
  #rest: Buffer = Buffer.alloc(0)
  #last: Buffer = Buffer.alloc(0)
  #count = 0

  /** Records read so far. */
  get count(): number {
    return this.#count
  }

  /** The records that are whole with this chunk. Their values are views into it. @throws SNAPSHOT_DAMAGED */
  push(chunk: Buffer): SnapshotRecord[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const records: SnapshotRecord[] = []
    let at = 0
    while (bytes.length - at >= FRAME_BYTES) {
      const keyBytes = bytes.readUInt32BE(at)
      const valueBytes = bytes.readUInt32BE(at + 4)
      if (keyBytes === 0 || keyBytes > MAX_RECORD_KEY_BYTES || keyBytes + valueBytes > MAX_RECORD_BYTES) {
        throw damaged(`record ${this.#count + 1} has an impossible length`)
      }
      const end = at + FRAME_BYTES + keyBytes + valueBytes
      if (end > bytes.length) break
      const key = bytes.subarray(at + FRAME_BYTES, at + FRAME_BYTES + keyBytes)
      records.push({ key: this.#readKey(key), value: bytes.subarray(at + FRAME_BYTES + keyBytes, end) })
      this.#count++
      at = end
    }
    this.#rest = bytes.subarray(at)
    return records
  }

  #readKey(bytes: Buffer): string {
    const key = bytes.toString('utf8')
    if (!Buffer.from(key).equals(bytes)) throw damaged(`the key of record ${this.#count + 1} is not valid Unicode`)
    if (Buffer.compare(bytes, this.#last) <= 0) throw damaged(`record ${this.#count + 1} is out of order`)
    this.#last = Buffer.from(bytes)
    return key
  }

  /** After the last chunk. @throws SNAPSHOT_DAMAGED */
  end(records: number): void {
    if (this.#rest.length > 0) throw damaged('its last record is cut')
    if (this.#count !== records) throw damaged(`it has ${this.#count} records and says ${records}`)
  }
}
