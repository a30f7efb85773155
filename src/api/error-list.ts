/**
 * Several problems as one text, in the form that Consul's servers give them and its tools show.
 */

/** `2 errors occurred:` and a line for each, with an empty line behind. */
export function errorList(lines: readonly string[]): string {
  const head = lines.length === 1 ? '1 error occurred:' : `${lines.length} errors occurred:`
  return `${head}\n${lines.map((line) => `\t* ${line}\n`).join('')}\n`
}
