/**
 * One member of etcd as a process beside this server: started with what it must know, started again when it dies.
 *
 * It outlives a server that is killed, so the others keep their quorum; the next start of the server ends it first and
 * starts its own. etcd guards its data directory with a lock of its own as well.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, type Logger, messageOf, type Timer } from '#base'
import { storeError } from '../errors.ts'
import { endEarlierMember, forgetPid, notePid } from './earlier-member.ts'
import { dataDirArgument, type EtcdMemberOptions, memberArguments } from './member-arguments.ts'
import { type EtcdBinary, memberEnvironment } from './member-binary.ts'
import { MemberOutput, parseLogLine } from './member-output.ts'

/** Between a death and the next start, doubled from one to the next. */
const RESTART_MS = 500
const MAX_RESTART_MS = 10_000
/** A life as long as this makes the next restart quick again. */
const STEADY_MS = 30_000
/** How long it may take to end by itself. */
const STOP_MS = 10_000
/** How long it may take to end after it was removed: some versions go on without doing anything. */
const REMOVED_MS = 2_000
/** Lines of its output that an error repeats. */
const MAX_LAST_LINES = 5
/** Deaths in a row after which one that never worked is given up. */
const MAX_FIRST_DEATHS = 5
/** What etcd says when the others have removed it. */
const REMOVED = /the member has been permanently removed/

export interface EtcdMemberModules {
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  /** The other members have removed this one: it is over. */
  readonly onRemoved: () => void
}

export class EtcdMemberProcess {
  readonly #options: EtcdMemberOptions
  readonly #modules: EtcdMemberModules
  readonly #arguments: readonly string[]
  #child: ChildProcess | undefined
  #startedMs = 0
  #deaths = 0
  #worked = false
  #restart: Timer | undefined
  #lastLines: readonly string[] = []
  #stopping = false
  #removed = false
  #launched = false
  #gone = Promise.resolve()

  constructor(options: EtcdMemberOptions, binary: EtcdBinary, modules: EtcdMemberModules) {
    this.#options = options
    this.#modules = modules
    this.#arguments = memberArguments(options, binary)
  }

  /** Ends what an earlier server left running, and starts. @throws STORE_LOCKED; the reason of the signal */
  async start(): Promise<void> {
    const { dataDir } = this.#options
    await endEarlierMember(this.#pidFile, dataDirArgument(dataDir), this.#modules)
    this.#launch()
  }

  /** The last lines it has said, for those who wait for it in vain. */
  get lastWords(): string {
    return this.#lastLines.join('; ')
  }

  /** It serves: from now on it is started again however often it dies. */
  worked(): void {
    this.#worked = true
  }

  /** @throws ETCD_ENDS where it has died again and again without ever having worked */
  assertAlive(): void {
    if (this.#worked || this.#deaths < MAX_FIRST_DEATHS) return
    throw storeError('ETCD_ENDS', { binary: this.#options.binary, deaths: this.#deaths, last: this.lastWords })
  }

  get #pidFile(): string {
    return join(this.#options.dataDir, '..', 'etcd.pid')
  }

  #launch(): void {
    const { clock } = this.#modules
    const { binary, dataDir } = this.#options
    this.#launched = true
    this.#startedMs = clock.nowMs()
    const output = new MemberOutput(join(dataDir, '..', 'etcd.log'), clock, (line) => this.#said(line))
    const { descriptor } = output
    const child = spawn(binary, this.#arguments, {
      stdio: ['ignore', descriptor, descriptor],
      env: memberEnvironment(),
      // Ctrl-C at a terminal reaches a whole group of processes; the member ends after its server.
      detached: true,
    })
    this.#child = child
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gone = promise
    if (child.pid !== undefined) notePid(this.#pidFile, child.pid)
    const onEnd = (how: string) => {
      if (this.#child !== child) return
      this.#child = undefined
      output.close()
      resolve()
      this.#ended(how)
    }
    child.once('error', (error) => onEnd(messageOf(error)))
    child.once('exit', (code, signal) => onEnd(signal === null ? `exit code ${code}` : `signal ${signal}`))
  }

  #said(line: string): void {
    const { level, text } = parseLogLine(line)
    this.#lastLines = [...this.#lastLines, text].slice(-MAX_LAST_LINES)
    this.#modules.log[level](text)
    if (this.#removed || !REMOVED.test(text)) return
    this.#removed = true
    const child = this.#child
    this.#modules.clock.after(REMOVED_MS, () => child?.kill('SIGKILL'))
  }

  #ended(how: string): void {
    const { clock, log, onRemoved } = this.#modules
    if (this.#stopping) return
    if (this.#removed) {
      forgetPid(this.#pidFile)
      onRemoved()
      return
    }
    if (clock.nowMs() - this.#startedMs > STEADY_MS) this.#deaths = 0
    const delayMs = Math.min(RESTART_MS * 2 ** this.#deaths++, MAX_RESTART_MS)
    log.error('etcd beside this server has ended, starting it again', {
      how,
      dataDir: this.#options.dataDir,
      last: this.lastWords,
    })
    this.#restart = clock.after(delayMs, () => this.#launch())
  }

  /** Ends it; with `destroy` its data is removed as well: the other members have it. */
  async stop({ destroy = false } = {}): Promise<void> {
    this.#stopping = true
    this.#restart?.cancel()
    const child = this.#child
    if (child !== undefined) {
      child.kill('SIGTERM')
      const timer = this.#modules.clock.after(STOP_MS, () => child.kill('SIGKILL'))
      await this.#gone
      timer.cancel()
    }
    if (this.#launched) forgetPid(this.#pidFile)
    if (destroy) rmSync(this.#options.dataDir, { recursive: true, force: true })
  }
}
