/**
 * Values deep inside JSON of unknown shape: answers of identity providers, claims of tokens.
 */
import { type JsonObject, type JsonValue, parseGoJson } from '#codec'

/** A JSON text that should be an object; undefined when it is none. */
export function jsonObject(text: string): JsonObject | undefined {
  try {
    const value = parseGoJson(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The value at a path of keys; undefined where there is none. */
export function valueAt(value: JsonValue, path: readonly string[]): JsonValue | undefined {
  let at: JsonValue | undefined = value
  for (const key of path) {
    if (Array.isArray(at)) at = /^\d{1,6}$/.test(key) ? at[Number(key)] : undefined
    else at = isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined
  }
  return at
}

/** The text at a path; empty where there is none. */
export function textAt(value: JsonValue, path: readonly string[]): string {
  const found = valueAt(value, path)
  return typeof found === 'string' ? found : ''
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
