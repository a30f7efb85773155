/**
 * Parsed configuration texts as the agent handles them: plain values, and beside them where each key stood.
 */
import type { parseHcl, parseJson } from '#codec'

/** What a JSON or HCL text holds. */
export type TextValue = ReturnType<typeof parseJson>
export type TextObject = ReturnType<typeof parseHcl>

interface Position {
  readonly line: number
  readonly column: number
}

const places = new WeakMap<object, Map<string, Position>>()

/** For the parsers: notes where `key` of `holder` stood. */
export function notePlace(holder: object, key: string | number, position: Position): void {
  const known = places.get(holder) ?? new Map<string, Position>()
  known.set(String(key), position)
  places.set(holder, known)
}

/** Where `key` of `holder` stood; undefined for values that came from no text, such as flags. */
export function positionOf(holder: object, key: string | number): Position | undefined {
  return places.get(holder)?.get(String(key))
}
