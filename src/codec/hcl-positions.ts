/**
 * Where a key stood in its text: beside the parsed value, not inside it.
 *
 * Parsers return plain objects and lists, as decoders expect them, and note the place of every key and element here,
 * keyed by the object that holds it. A later check can so say `server.hcl:12` about a key it does not like.
 */

/** A parsed configuration value. Integers above 2^53 lose digits, as in every JSON reader for people. */
export type TextValue = string | number | boolean | null | TextValue[] | TextObject
export interface TextObject {
  [key: string]: TextValue
}

/** 1-based; columns count UTF-16 units. */
export interface Position {
  readonly line: number
  readonly column: number
}

const places = new WeakMap<object, Map<string, Position>>()

/** Notes where `key` of `holder` (an index for a list) stood. */
export function setPosition(holder: object, key: string | number, position: Position): void {
  let known = places.get(holder)
  if (!known) {
    known = new Map()
    places.set(holder, known)
  }
  known.set(String(key), position)
}

/** Where `key` of `holder` stood; undefined for values that came from no text. */
export function positionOf(holder: object, key: string | number): Position | undefined {
  return places.get(holder)?.get(String(key))
}

/** Sets an own property whatever its name, `__proto__` included. */
export function setOwn(holder: TextObject, key: string, value: TextValue): void {
  if (key === '__proto__') {
    Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true })
  } else {
    holder[key] = value
  }
}

/** Own property or undefined, never one of Object's own (`constructor`, `toString`). */
export function getOwn(holder: TextObject, key: string): TextValue | undefined {
  return Object.hasOwn(holder, key) ? holder[key] : undefined
}

export function isTextObject(value: TextValue | undefined): value is TextObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Line and column of an offset. */
export function positionAt(text: string, offset: number): Position {
  let line = 1
  let start = 0
  for (let next = text.indexOf('\n'); next !== -1 && next < offset; next = text.indexOf('\n', next + 1)) {
    line++
    start = next + 1
  }
  return { line, column: offset - start + 1 }
}
