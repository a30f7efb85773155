/**
 * Starts bench/catalog-server.ts and talks with it: ports, commands, and the CPU time it used for a piece of work.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { Command, Report } from './catalog-server.ts'

const START_TIMEOUT_MS = 60_000

type Ready = Extract<Report, { kind: 'ready' }>

export class Child {
  readonly ports: Ready
  readonly #process: ChildProcess

  private constructor(child: ChildProcess, ports: Ready) {
    this.#process = child
    this.ports = ports
  }

  static async start(): Promise<Child> {
    const path = new URL('./catalog-server.ts', import.meta.url)
    const child = fork(path, { execArgv: ['--disable-warning=ExperimentalWarning'] })
    const timer = setTimeout(() => child.kill(), START_TIMEOUT_MS)
    const report = await next(child)
    clearTimeout(timer)
    if (report.kind !== 'ready') throw new Error('the server did not start')
    return new Child(child, report)
  }

  async command(command: Command): Promise<Report> {
    const answer = next(this.#process)
    this.#process.send(command)
    return answer
  }

  /** CPU time that the server used while `work` ran, in microseconds. */
  async cpuOf(work: () => Promise<void>): Promise<number> {
    const before = await this.#cpu()
    await work()
    return (await this.#cpu()) - before
  }

  async rssBytes(): Promise<number> {
    const report = await this.command({ kind: 'cpu' })
    return report.kind === 'cpu' ? report.rssBytes : 0
  }

  async #cpu(): Promise<number> {
    const report = await this.command({ kind: 'cpu' })
    return report.kind === 'cpu' ? report.cpuUs : 0
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#process.once('exit', () => resolve())
      this.#process.disconnect()
    })
  }
}

function next(child: ChildProcess): Promise<Report> {
  return new Promise((resolve, reject) => {
    const onMessage = (report: Report) => {
      child.off('exit', onExit)
      resolve(report)
    }
    const onExit = (code: number | null) => {
      child.off('message', onMessage)
      reject(new Error(`the server ended with ${code}`))
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
  })
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[sorted.length >> 1] ?? Number.NaN
}
