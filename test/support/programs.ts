/**
 * Processes of a test: started with their output kept, all of them findable afterwards by a mark in their environment.
 *
 * The mark is inherited, so that grandchildren whose parents are gone are found as well. Processes stop by themselves
 * when the test process ends, however it ends: they watch their standard input.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'

export const HANSE = fileURLToPath(new URL('../../bin/hanse', import.meta.url))

const MARK = 'HANSE_TEST_MARK'
/** Output that is kept of one process. */
const MAX_OUTPUT_CHARACTERS = 1_000_000
const STOP_TIMEOUT_MS = 10_000

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class Program {
  readonly name: string
  readonly pid: number
  readonly ended: Promise<Ending>
  readonly #child: ChildProcess
  #output = ''
  #ending: Ending | undefined

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.pid = child.pid ?? 0
    this.#child = child
    const keep = (chunk: string) => {
      this.#output = (this.#output + chunk).slice(-MAX_OUTPUT_CHARACTERS)
    }
    child.stdout?.setEncoding('utf8').on('data', keep)
    child.stderr?.setEncoding('utf8').on('data', keep)
    child.stdin?.on('error', () => {
      // The process is gone: its ending says the rest.
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.#ending = { code, signal }
        resolve(this.#ending)
      })
    })
    this.ended.catch(() => undefined)
  }

  /** What it wrote so far, standard output and error in one. */
  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.#ending === undefined
  }

  /** Sends a signal to the whole process group, as a terminal does for Ctrl-C; only for one started as a group. */
  interruptGroup(): void {
    process.kill(-this.pid, 'SIGINT')
  }

  /** Sends a signal and waits for the end; what does not end is killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    if (this.#ending) return this.#ending
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    try {
      return await this.ended
    } finally {
      clearTimeout(timer)
    }
  }

  /** Waits until it has written `text`, or fails with what it wrote when it ends before. */
  says(text: string | RegExp, options: { timeoutMs?: number } = {}): Promise<number> {
    return eventually(
      `${this.name} says ${text}`,
      () => {
        if (typeof text === 'string' ? this.#output.includes(text) : text.test(this.#output)) return
        throw new Error(`it has written so far:\n${this.#output.slice(-2_000)}`)
      },
      options,
    )
  }
}

/** All processes of one test. */
export class Programs {
  readonly #mark = randomUUID()
  readonly started: Program[] = []

  /** @param options - `group`: in a process group of its own, as a terminal gives a command */
  start(
    name: string,
    command: readonly string[],
    { env = {}, group = false }: { env?: Record<string, string>; group?: boolean } = {},
  ): Program {
    const [program = '', ...args] = command
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, HANSE_STOP_WITH_STDIN: '1', ...env, [MARK]: this.#mark },
      detached: group,
    })
    const made = new Program(name, child)
    this.started.push(made)
    return made
  }

  /** Runs `hanse` with these words to its end. */
  async hanse(words: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
    const program = this.start(`hanse ${words[0]}`, [HANSE, ...words], { env })
    const { code } = await program.ended
    return { code: code ?? 1, output: program.output }
  }

  /** Every process that was started here, by whomever, and still runs: "pid command line". */
  running(): readonly string[] {
    const mark = `${MARK}=${this.#mark}`
    return existsSync('/proc/self/environ') ? markedByProc(mark) : markedByPs(mark)
  }

  /** Ends all that still run. */
  async stop(): Promise<void> {
    await Promise.all(this.started.map((program) => program.stop('SIGKILL').catch(() => undefined)))
  }
}

function markedByProc(mark: string): readonly string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)) return []
        return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`]
      } catch {
        // It has ended meanwhile, or is somebody else's.
        return []
      }
    })
}

/** Where there is no /proc: the letter e shows environments. */
function markedByPs(mark: string): readonly string[] {
  const { stdout } = spawnSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8' })
  return stdout.split('\n').filter((line) => line.includes(mark))
}
