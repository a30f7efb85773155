/**
 * Bodies that are one raw string of further msgpack: types with a marshaller of their own.
 *
 * Source: RPC wire notes §4.
 */
import { deeper, type Kind } from '../kind.ts'
import { MsgpackReader } from '../msgpack-reader.ts'
import { MsgpackWriter } from '../msgpack-writer.ts'

/** A value that is written as a raw string of further msgpack. */
export function rawBody<T>(
  kindName: string,
  zero: () => T,
  write: (writer: MsgpackWriter, value: T) => void,
  read: (reader: MsgpackReader, depth: number) => T,
): Kind<T> {
  return {
    kindName,
    zero,
    isEmpty: () => false,
    write: (writer, value) => {
      const inner = new MsgpackWriter()
      write(inner, value)
      writer.raw(inner.finish())
    },
    read: (reader, depth) => {
      deeper(reader, depth)
      return read(new MsgpackReader(reader.raw()), depth + 1)
    },
    toJson: () => null,
    fromJson: zero,
  }
}
