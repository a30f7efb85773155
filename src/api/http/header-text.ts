/**
 * Text from outside as a header value: names may have any letters, headers may not.
 */

/** Control characters, and letters beyond Latin-1. */
const NOT_IN_HEADERS = /[^\t\x20-\x7e\x80-\xff]/gu

/** The same text with "?" for what cannot stand in a header. */
export function headerText(text: string): string {
  return text.replace(NOT_IN_HEADERS, '?')
}
