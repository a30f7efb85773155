/**
 * `npm run bench`: asks all benchmarks, or those named (`npm run bench -- http dns`), prints what they answered, and
 * keeps it in bench/results/: latest.json to compare with, README.md to read.
 *
 * One that is not reached is marked and fails nothing: the machine may be busy. One that throws fails the run.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import { asMarkdown, asText, type Results } from './report.ts'
import type { BenchResult } from './result.ts'

const BENCHMARKS: Readonly<Record<string, () => Promise<{ run(): Promise<readonly BenchResult[]> }>>> = {
  http: () => import('./http.ts'),
  dns: () => import('./dns.ts'),
  gossip: () => import('./gossip.ts'),
  memory: () => import('./memory.ts'),
  state: () => import('./state.ts'),
  store: () => import('./store.ts'),
  etcd: () => import('./etcd.ts'),
}
const FOLDER = new URL('./results/', import.meta.url)

function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  const memoryGb = Math.round(totalmem() / 2 ** 30)
  const system = `${platform()} ${release().split('-')[0]} ${arch()}`
  return `${cpus().length} × ${model}, ${memoryGb} GB, ${system}, Node ${process.versions.node}`
}

/** What earlier runs left; nothing where there is no file yet. */
function earlier(): Results {
  try {
    return JSON.parse(readFileSync(new URL('latest.json', FOLDER), 'utf8'))
  } catch {
    return {}
  }
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !Object.hasOwn(BENCHMARKS, name))
  if (unknown.length > 0) {
    process.stderr.write(`no benchmark "${unknown.join('", "')}": there are ${Object.keys(BENCHMARKS).join(', ')}\n`)
    return 2
  }
  const fresh: Record<string, Results[string]> = {}
  let failures = 0
  for (const [name, load] of Object.entries(BENCHMARKS)) {
    if (names.length > 0 && !names.includes(name)) continue
    process.stdout.write(`\n${name}\n`)
    try {
      const results = await (await load()).run()
      fresh[name] = { machine: machine(), day: new Date().toISOString().slice(0, 10), results }
      process.stdout.write(asText(results))
    } catch (error) {
      failures++
      process.stdout.write(`  FAILED: ${error instanceof Error ? error.stack : String(error)}\n`)
    }
  }
  const all = { ...earlier(), ...fresh }
  const inOrder = Object.fromEntries(Object.keys(BENCHMARKS).flatMap((name) => (all[name] ? [[name, all[name]]] : [])))
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(new URL('latest.json', FOLDER), `${JSON.stringify(inOrder, undefined, 2)}\n`)
  writeFileSync(new URL('README.md', FOLDER), asMarkdown(inOrder))
  process.stdout.write('\nkept in bench/results/\n')
  return failures === 0 ? 0 : 1
}

process.exit(await main(process.argv.slice(2)))
