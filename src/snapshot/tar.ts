/**
 * The tar archive around a snapshot: three plain files with fixed names, one after another.
 *
 * Written here, because all that such an archive needs is one header for each file; and because a reader that knows
 * only these three cannot be led to any other: names with paths, links, devices, extensions are all refused alike.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format".
 */
import { snapshotError } from './errors.ts'

export const BLOCK_BYTES = 512
const FILE_MODE = 0o600
/** Where a header's fields begin, and how long they are. */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 6],
  version: [263, 2],
} as const

/** What fills a file up to the next block. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
}

/** Two empty blocks end an archive. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES)

function checksumOf(header: Buffer): number {
  const [at, length] = FIELD.checksum
  let sum = length * 0x20
  for (const [index, byte] of header.entries()) if (index < at || index >= at + length) sum += byte
  return sum
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')

/** The block before a file. @param mtimeS - seconds since 1970 */
export function tarHeader(name: string, size: number, mtimeS: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES)
  const put = ([at]: readonly [number, number], text: string) => header.write(text, at, 'latin1')
  put(FIELD.name, name)
  put(FIELD.mode, octal(FILE_MODE, 7))
  put(FIELD.uid, octal(0, 7))
  put(FIELD.gid, octal(0, 7))
  put(FIELD.size, octal(size, 11))
  put(FIELD.mtime, octal(mtimeS, 11))
  put(FIELD.type, '0')
  put(FIELD.magic, 'ustar\0')
  put(FIELD.version, '00')
  put(FIELD.checksum, `${octal(checksumOf(header), 6)}\0 `)
  return header
}

/** The size of a file, if this is the header of a plain file of that name. @throws SNAPSHOT_DAMAGED, SNAPSHOT_FOREIGN */
export function readTarHeader(header: Buffer, wanted: string): number {
  const text = ([at, length]: readonly [number, number]) => header.toString('latin1', at, at + length)
  const number = (field: readonly [number, number]) => {
    const digits = /^ *([0-7]+)[\0 ]*$/.exec(text(field))?.[1]
    return digits === undefined ? Number.NaN : Number.parseInt(digits, 8)
  }
  if (!text(FIELD.magic).startsWith('ustar'))
    throw snapshotError('SNAPSHOT_FOREIGN', { reason: 'it is no tar archive' })
  if (number(FIELD.checksum) !== checksumOf(header)) {
    throw snapshotError('SNAPSHOT_DAMAGED', { reason: `the header of "${wanted}" does not match its checksum` })
  }
  const name = text(FIELD.name).split('\0', 1)[0] ?? ''
  const plain = ['0', '\0'].includes(text(FIELD.type)) && Number.isSafeInteger(number(FIELD.size))
  if (name !== wanted || !plain) {
    throw snapshotError('SNAPSHOT_FOREIGN', { reason: `${JSON.stringify(name)} is where the file "${wanted}" belongs` })
  }
  return number(FIELD.size)
}
