/**
 * Several errors in one text, in the form that Consul's users know.
 */

/** `1 error occurred:`, one line each, an empty line at the end. */
export function multierror(errors: readonly string[]): string {
  const head = errors.length === 1 ? '1 error occurred:' : `${errors.length} errors occurred:`
  return `${head}\n${errors.map((error) => `\t* ${error}`).join('\n')}\n\n`
}
