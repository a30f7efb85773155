/**
 * Totals: a reporter for `node --test` that writes the run's counts as one line of JSON.
 *
 * It runs beside the reporter that people read; test-runs.mjs reads the line, so that no one parses text for people.
 */

export default async function* totals(events) {
  let counts
  for await (const event of events) {
    // One summary for each file, then one without a file for all of them.
    if (event.type === 'test:summary' && event.data.file === undefined) counts = event.data.counts
  }
  if (counts !== undefined) yield `${JSON.stringify(counts)}\n`
}
