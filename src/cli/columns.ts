/**
 * Columns as Consul prints them: left aligned, two spaces between, nothing behind the last.
 */

/** @param gutter - spaces between columns */
export function columns(rows: readonly (readonly string[])[], gutter = 2): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  return rows
    .map((row) =>
      row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd((widths[index] ?? 0) + gutter))).join(''),
    )
    .join('\n')
}
