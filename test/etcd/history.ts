/**
 * Histories of concurrent calls, and the judge that says whether they are linearizable: Porcupine, in porcupine/.
 *
 * A call is a list of steps on keys of one object, done all or none. Every value is written once, so comparing values is
 * the same as comparing revisions. What is not known to have happened is said so, and may have happened or not.
 */
import { spawn } from 'node:child_process'
import { env } from 'node:process'
import { text } from 'node:stream/consumers'

export type Step =
  | { readonly verb: 'get' | 'delete'; readonly key: string }
  | { readonly verb: 'set'; readonly key: string; readonly value: string }
  /** `from` is '' for a key that is not there. */
  | { readonly verb: 'cas'; readonly key: string; readonly from: string; readonly value: string }
  | { readonly verb: 'lock' | 'unlock'; readonly key: string; readonly value: string; readonly session: string }
  | { readonly verb: 'end'; readonly key: string; readonly session: string }

/** `nothing`: it is known that nothing happened and nothing was looked at. */
export type Outcome =
  | { readonly ok: true; readonly reads?: readonly string[] }
  | { readonly ok: false }
  | 'unknown'
  | 'nothing'

export interface Call {
  readonly object: string
  readonly client: number
  /** In any unit, of one clock. */
  readonly call: number
  readonly return: number
  readonly steps: readonly Step[]
  /** null: unknown. */
  readonly ok: boolean | null
  readonly reads: readonly string[]
}

export class History {
  readonly calls: Call[] = []

  async record(client: number, object: string, steps: readonly Step[], act: () => Promise<Outcome>): Promise<Outcome> {
    const call = Math.round(performance.now() * 1_000)
    const outcome = await act()
    const end = Math.round(performance.now() * 1_000)
    if (outcome === 'nothing') return outcome
    const known = outcome !== 'unknown'
    // A read that was not answered says nothing.
    if (!known && steps.every(({ verb }) => verb === 'get')) return outcome
    const reads = known && outcome.ok ? (outcome.reads ?? []) : []
    this.calls.push({ object, client, call, return: end, steps, ok: known ? outcome.ok : null, reads })
    return outcome
  }

  said(): string {
    const count = (ok: boolean | null) => this.calls.filter((call) => call.ok === ok).length
    return `${this.calls.length} calls: ${count(true)} done, ${count(false)} refused, ${count(null)} unknown`
  }
}

/** Object → 'ok', 'illegal', or 'unknown' where the search took too long. */
export async function judge(calls: readonly Call[]): Promise<Readonly<Record<string, string>>> {
  const judgeProgram = env['HANSE_PORCUPINE']
  if (!judgeProgram) throw new Error('this test needs its judge: run "npm run test:etcd", or set HANSE_PORCUPINE')
  const child = spawn(judgeProgram, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(calls))
  return JSON.parse(await text(child.stdout))
}

/** Objects that are not linearizable, with what happened to them, short enough to read. */
export async function violations(calls: readonly Call[]): Promise<readonly string[]> {
  const verdicts = Object.entries(await judge(calls))
  return verdicts
    .filter(([, verdict]) => verdict !== 'ok')
    .map(([object, verdict]) => {
      const own = calls.filter((call) => call.object === object)
      return `${object}: ${verdict} of ${own.length} calls: ${JSON.stringify(own.slice(-30))}`
    })
}
