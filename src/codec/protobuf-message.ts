/**
 * One schema per protobuf message: its fields with their numbers. Writing, reading and the TypeScript type come from it.
 *
 * Fields are declared in the order of their numbers, in which they are written. What is empty is not written; what a
 * peer always writes, empty or not, is `nested`. Fields that a schema does not name are passed over. Lists and maps are
 * `null` when nothing of them is there.
 */
import { codecError } from './errors.ts'
import { setKey } from './kind.ts'
import { MAX_DEPTH } from './msgpack-reader.ts'
import { fieldOf, ProtobufReader, ProtobufWriter, readMapEntry, WIRE, wireOf } from './protobuf.ts'

/** Takes the appearances of one field in one message, and makes its value of them. */
export interface Gathering<T> {
  add(reader: ProtobufReader, depth: number): void
  value(): T
}

export interface ProtobufField<T> {
  readonly number: number
  /** How it is written on the wire, one of WIRE. */
  readonly wire: number
  /** Its value when it does not appear. */
  readonly zero: T
  write(writer: ProtobufWriter, value: T): void
  /** Reads one appearance, where the last one counts and nothing is to be gathered. */
  readonly read?: (reader: ProtobufReader, depth: number) => T
  gather(): Gathering<T>
}

export interface ProtobufMessage<T> {
  encode(value: T): Buffer
  /** Writes the fields where the writer is. */
  write(writer: ProtobufWriter, value: T): void
  /** @throws HanseError PROTOBUF_TRUNCATED, PROTOBUF_INVALID */
  decode(bytes: Uint8Array, depth?: number): T
}

/** The value that a message describes. */
export type MessageOf<M> = M extends ProtobufMessage<infer T> ? T : never

type Fields = Readonly<Record<string, ProtobufField<unknown>>>
type Shape<F> = { readonly [K in keyof F]: F[K] extends ProtobufField<infer T> ? T : never }

/** Declares a message. */
export function message<F extends Fields>(fields: F): ProtobufMessage<Shape<F>> {
  // A field is looked up by its own name, so value and field always belong together.
  const entries = Object.entries<ProtobufField<unknown>>(fields)
  // All numbers are small, and an array is quicker than a map.
  const byNumber: { readonly name: string; readonly field: ProtobufField<unknown> }[] = []
  for (const [name, field] of entries) byNumber[field.number] = { name, field }
  const zeros: Readonly<Record<string, unknown>> = Object.fromEntries(entries.map(([name, { zero }]) => [name, zero]))
  const write = (writer: ProtobufWriter, value: Shape<F>) => {
    const values: Readonly<Record<string, unknown>> = value
    for (const [name, field] of entries) field.write(writer, values[name])
  }
  return {
    write,
    encode(value) {
      const writer = new ProtobufWriter()
      write(writer, value)
      return writer.finish()
    },
    decode(bytes, depth = 0) {
      if (depth > MAX_DEPTH) throw codecError('PROTOBUF_INVALID', { what: 'messages nested too deep', offset: 0 })
      // A copy; by spreading it is slower, where one line makes all types.
      const value: Record<string, unknown> = Object.assign({}, zeros)
      let gathered: Map<string, Gathering<unknown>> | undefined
      const reader = new ProtobufReader(bytes)
      for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
        const entry = byNumber[fieldOf(tag)]
        if (entry === undefined) {
          reader.skip(wireOf(tag))
          continue
        }
        const { name, field } = entry
        reader.expect(fieldOf(tag), wireOf(tag), field.wire)
        if (field.read !== undefined) value[name] = field.read(reader, depth)
        else {
          gathered ??= new Map()
          const gathering = gathered.get(name) ?? field.gather()
          gathered.set(name, gathering)
          gathering.add(reader, depth)
        }
      }
      if (gathered !== undefined) for (const [name, gathering] of gathered) value[name] = gathering.value()
      return value as Shape<F>
    },
  }
}

interface Single<T> {
  readonly wire: number
  readonly zero: T
  write(writer: ProtobufWriter, value: T): void
  read(reader: ProtobufReader, depth: number): T
}

/** A field with one value: the last one counts. */
function single<T>(number: number, { wire, zero, write, read }: Single<T>): ProtobufField<T> {
  const gather = (): Gathering<T> => {
    let last = zero
    return {
      add(reader, depth) {
        last = read(reader, depth)
      },
      value: () => last,
    }
  }
  return { number, wire, zero, write, read, gather }
}

export function text(number: number): ProtobufField<string> {
  return single(number, {
    wire: WIRE.bytes,
    zero: '',
    write: (writer, value) => void (value !== '' && writer.string(number, value)),
    read: (reader) => reader.string(),
  })
}

/** An integer that is never negative: an index, an enumeration. */
export function count(number: number): ProtobufField<number> {
  return integer(number, (reader) => reader.uint())
}

export function int32(number: number): ProtobufField<number> {
  return integer(number, (reader) => reader.int32())
}

function integer(number: number, read: (reader: ProtobufReader) => number): ProtobufField<number> {
  const write = (writer: ProtobufWriter, value: number) => void (value !== 0 && writer.varint(number, value))
  return single(number, { wire: WIRE.varint, zero: 0, write, read })
}

/** An integer of 64 bits that is an id, not a number to count with. */
export function uint64(number: number): ProtobufField<bigint> {
  return single(number, {
    wire: WIRE.varint,
    zero: 0n,
    write: (writer, value) => void (value !== 0n && writer.varint(number, value)),
    read: (reader) => reader.varint(),
  })
}

export function flag(number: number): ProtobufField<boolean> {
  return single(number, {
    wire: WIRE.varint,
    zero: false,
    write: (writer, value) => void (value && writer.varint(number, 1)),
    read: (reader) => reader.varint() !== 0n,
  })
}

/** A message that is written elsewhere: its bytes, null where it is not there. */
export function encoded(number: number): ProtobufField<Buffer | null> {
  return single<Buffer | null>(number, {
    wire: WIRE.bytes,
    zero: null,
    write: (writer, value) => void (value && writer.bytes(number, value)),
    read: (reader) => reader.bytes(),
  })
}

function writeNested<T>(writer: ProtobufWriter, number: number, type: ProtobufMessage<T>, value: T): void {
  const begun = writer.begin(number)
  type.write(writer, value)
  writer.end(begun)
}

/** A message that is always there. */
export function nested<T>(number: number, type: ProtobufMessage<T>): ProtobufField<T> {
  return single(number, {
    wire: WIRE.bytes,
    zero: type.decode(new Uint8Array()),
    write: (writer, value) => writeNested(writer, number, type, value),
    read: (reader, depth) => type.decode(reader.bytes(), depth + 1),
  })
}

/** A message that may not be there. */
export function optional<T>(number: number, type: ProtobufMessage<T>): ProtobufField<T | null> {
  return single<T | null>(number, {
    wire: WIRE.bytes,
    zero: null,
    write: (writer, value) => void (value !== null && writeNested(writer, number, type, value)),
    read: (reader, depth) => type.decode(reader.bytes(), depth + 1),
  })
}

export function texts(number: number): ProtobufField<readonly string[] | null> {
  return listOf<string>(
    number,
    (writer, each) => writer.string(number, each),
    (reader) => reader.string(),
  )
}

export function messages<T>(number: number, type: ProtobufMessage<T>): ProtobufField<readonly T[] | null> {
  return listOf<T>(
    number,
    (writer, each) => writeNested(writer, number, type, each),
    (reader, depth) => type.decode(reader.bytes(), depth + 1),
  )
}

/** Messages that are written elsewhere: their bytes. */
export function encodedList(number: number): ProtobufField<readonly Buffer[] | null> {
  return listOf<Buffer>(
    number,
    (writer, each) => writer.bytes(number, each),
    (reader) => reader.bytes(),
  )
}

function listOf<T>(
  number: number,
  write: (writer: ProtobufWriter, each: T) => void,
  read: (reader: ProtobufReader, depth: number) => T,
): ProtobufField<readonly T[] | null> {
  return {
    number,
    wire: WIRE.bytes,
    zero: null,
    write(writer, value) {
      for (const each of value ?? []) write(writer, each)
    },
    gather() {
      const items: T[] = []
      return { add: (reader, depth) => void items.push(read(reader, depth)), value: () => items }
    },
  }
}

type Values<T> = Readonly<Record<string, T>> | null

/** Text by text. An entry's key and value are always written. */
export function textMap(number: number): ProtobufField<Values<string>> {
  return mapOf<string>(number, {
    wire: WIRE.bytes,
    zero: '',
    write: (writer, value) => writer.string(2, value),
    read: (reader) => reader.string(),
  })
}

/** Messages by text. */
export function messageMap<T>(number: number, type: ProtobufMessage<T>): ProtobufField<Values<T>> {
  return mapOf<T>(number, {
    wire: WIRE.bytes,
    zero: type.decode(new Uint8Array()),
    write: (writer, value) => writeNested(writer, 2, type, value),
    read: (reader, depth) => type.decode(reader.bytes(), depth + 1),
  })
}

/** A map is a list of entries {1 key, 2 value}; of two with one key the last counts. */
function mapOf<T>(number: number, value: Single<T>): ProtobufField<Values<T>> {
  return {
    number,
    wire: WIRE.bytes,
    zero: null,
    write(writer, values) {
      for (const [key, each] of Object.entries(values ?? {})) {
        const entry = writer.begin(number)
        writer.string(1, key)
        value.write(writer, each)
        writer.end(entry)
      }
    },
    gather() {
      const values: Record<string, T> = {}
      const add = (reader: ProtobufReader, depth: number) => {
        const [key, each] = readMapEntry(reader.bytes(), value.zero, (entry) => value.read(entry, depth + 1))
        setKey(values, key, each)
      }
      return { add, value: () => values }
    },
  }
}
