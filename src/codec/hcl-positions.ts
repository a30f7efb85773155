/**
 * Parsed configuration values, and where a key stood in its text: told beside the value, not inside it.
 *
 * Parsers return plain objects and lists, as decoders expect them, and tell the place of every key and element to whoever
 * asks (`TextSource.notePlace`). A later check can so say `server.hcl:12` about a key it does not like.
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

export interface TextSource {
  /** Named in errors. */
  readonly file: string
  /** Told where each key of an object, and each element of a list, stood. */
  readonly notePlace?: (holder: object, key: string | number, position: Position) => void
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
