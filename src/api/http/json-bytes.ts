/**
 * Reply values → the bytes of Consul's JSON: Go's escaping, and the indented form of `?pretty`.
 */

/** What Go escapes beyond JSON.stringify; inside JSON text they can only stand in strings. */
const GO_ESCAPED = /[<>&\u2028\u2029]/
const GO_ESCAPED_ALL = /[<>&\u2028\u2029]/g
const PRETTY_INDENT = 4

/**
 * The bytes of a JSON body.
 *
 * @param value - what JSON.stringify takes, as `kind.toJson()` gives it
 */
export function jsonBytes(value: unknown, pretty: boolean): Buffer {
  const text = pretty ? `${JSON.stringify(value, null, PRETTY_INDENT)}\n` : JSON.stringify(value)
  if (!GO_ESCAPED.test(text)) return Buffer.from(text)
  return Buffer.from(text.replace(GO_ESCAPED_ALL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`))
}
