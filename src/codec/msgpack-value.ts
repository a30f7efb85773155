/**
 * Values without a schema, and how they are written.
 */
import type { MsgpackWriter } from './msgpack-writer.ts'

/** What a value without a schema decodes to: raw strings become text, as the peer's untyped decoding does. */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly MsgpackValue[]
  | { readonly [key: string]: MsgpackValue }

/** Writes a value without a schema, map keys sorted as we always write them. Numbers that are no integers are floats. */
export function writeValue(writer: MsgpackWriter, value: MsgpackValue): void {
  if (value === null) writer.nil()
  else if (typeof value === 'boolean') writer.bool(value)
  else if (typeof value === 'bigint') writer.int(value)
  else if (typeof value === 'number') {
    if (Number.isInteger(value)) writer.int(value)
    else writer.float(value)
  } else if (typeof value === 'string') writer.string(value)
  else if (value instanceof Uint8Array) writer.raw(value)
  else if (isArray(value)) {
    writer.arrayHeader(value.length)
    for (const item of value) writeValue(writer, item)
  } else {
    const keys = Object.keys(value).sort()
    writer.mapHeader(keys.length)
    for (const key of keys) {
      writer.string(key)
      writeValue(writer, value[key] ?? null)
    }
  }
}

function isArray(value: MsgpackValue): value is readonly MsgpackValue[] {
  return Array.isArray(value)
}
