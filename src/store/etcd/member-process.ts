/**
 * One member of etcd as a process beside this server: started with what it must know, started again when it dies.
 *
 * It outlives a server that is killed, so the others keep their quorum; the next start of the server ends it first and
 * starts its own. etcd guards its data directory with a lock of its own as well.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type Clock, codeOf, type Logger, messageOf, sleep, type Timer } from '#base'
import { storeError } from '../errors.ts'

/** The oldest etcd whose interface Hanse knows. */
const MIN_VERSION = [3, 4]
/** Between a death and the next start, doubled from one to the next. */
const RESTART_MS = 500
const MAX_RESTART_MS = 10_000
/** A life as long as this makes the next restart quick again. */
const STEADY_MS = 30_000
/** How long it may take to end by itself. */
const STOP_MS = 10_000
/** Data of 8 GiB, the most that etcd recommends. */
const QUOTA_BYTES = 8_589_934_592
/** History for those who follow from behind; who is farther behind loads anew. */
const HISTORY = '10m'
/** How long it may take to end after it was removed: some versions go on without doing anything. */
const REMOVED_MS = 2_000
/** Lines of its output that an error repeats. */
const MAX_LAST_LINES = 5
/** What etcd says when the others have removed it. */
const REMOVED = /the member has been permanently removed/

/** Files of mutual TLS, the same for clients and for the other members. */
export interface EtcdTlsFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Only certificates with this name may connect. */
  readonly allowedName: string
}

export interface EtcdMemberOptions {
  readonly binary: string
  readonly name: string
  readonly dataDir: string
  /** IP to listen on. */
  readonly bindAddress: string
  readonly clientPort: number
  readonly peerPort: number
  readonly clientUrl: string
  readonly peerUrl: string
  readonly tls: EtcdTlsFiles | undefined
  /** Every member, this one included, when it is made or added. */
  readonly cluster: readonly { readonly name: string; readonly peerUrl: string }[]
  readonly founding: boolean
  /** The same for all founders, and for no others. */
  readonly token: string
}

export interface EtcdMemberModules {
  readonly clock: Clock
  readonly log: Logger
  /** The other members have removed this one: it is over. */
  readonly onRemoved: () => void
}

/** What a binary of etcd can do. */
export interface EtcdBinary {
  readonly version: string
  /** All that its help says. */
  readonly help: string
}

/** @throws ETCD_NOT_FOUND, ETCD_TOO_OLD */
export async function inspectEtcd(binary: string): Promise<EtcdBinary> {
  const version = /etcd Version:\s*(\d+)\.(\d+)\.(\d+)/.exec(await run(binary, '--version'))
  if (version === null) throw storeError('ETCD_NOT_FOUND', { binary, reason: 'its --version is not that of etcd' })
  const [text, ...numbers] = version
  const [major = 0, minor = 0] = numbers.map(Number)
  const [minMajor = 0, minMinor = 0] = MIN_VERSION
  const found = numbers.join('.')
  if (major < minMajor || (major === minMajor && minor < minMinor)) {
    throw storeError('ETCD_TOO_OLD', { binary, version: found, least: MIN_VERSION.join('.') })
  }
  return { version: found, help: `${text}\n${await run(binary, '--help')}` }
}

function run(binary: string, argument: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(binary, [argument], { timeout: 10_000 }, (error, stdout, stderr) => {
      if (error) {
        const reason = codeOf(error) === 'ENOENT' ? 'there is no such program' : messageOf(error)
        reject(storeError('ETCD_NOT_FOUND', { binary, reason }, error))
      } else resolve(stdout + stderr)
    })
  })
}

export class EtcdMemberProcess {
  readonly #options: EtcdMemberOptions
  readonly #modules: EtcdMemberModules
  readonly #arguments: readonly string[]
  #child: ChildProcess | undefined
  #startedMs = 0
  #restarts = 0
  #restart: Timer | undefined
  #lastLines: string[] = []
  #stopping = false
  #gone = Promise.resolve()

  constructor(options: EtcdMemberOptions, binary: EtcdBinary, modules: EtcdMemberModules) {
    this.#options = options
    this.#modules = modules
    this.#arguments = argumentsOf(options, binary)
  }

  /** Ends what an earlier server left running, and starts. */
  async start(): Promise<void> {
    await this.#endEarlier()
    this.#launch()
  }

  /** The last lines it has said, for those who wait for it in vain. */
  get lastWords(): string {
    return this.#lastLines.join('; ')
  }

  get #pidFile(): string {
    return join(this.#options.dataDir, '..', 'etcd.pid')
  }

  /** A process is ours only if its command line names our data directory: ids are used again. */
  async #endEarlier(): Promise<void> {
    const { clock, log } = this.#modules
    const pid = existsSync(this.#pidFile) ? Number(readFileSync(this.#pidFile, 'utf8')) : 0
    const isOurs = () => pid > 1 && commandLine(pid).includes(this.#options.dataDir)
    if (!isOurs()) return
    log.info('etcd of an earlier start is still running, ending it', { pid })
    kill(pid, 'SIGTERM')
    for (let waitedMs = 0; isOurs(); waitedMs += 100) {
      if (waitedMs === STOP_MS) kill(pid, 'SIGKILL')
      await sleep(clock, 100)
    }
  }

  #launch(): void {
    const { clock, log, onRemoved } = this.#modules
    const { binary, dataDir } = this.#options
    this.#startedMs = clock.nowMs()
    const child = spawn(binary, this.#arguments, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gone = promise
    if (child.pid !== undefined) writeFileSync(this.#pidFile, `${child.pid}\n`, { mode: 0o600 })
    let removed = false
    const read = (stream: Readable) =>
      createInterface({ input: stream }).on('line', (line) => {
        const { level, text } = parseLine(line)
        if (!removed && REMOVED.test(text)) {
          removed = true
          clock.after(REMOVED_MS, () => child.kill('SIGKILL'))
        }
        this.#lastLines = [...this.#lastLines, text].slice(-MAX_LAST_LINES)
        log[level](text)
      })
    read(child.stdout)
    read(child.stderr)
    let ended = false
    const onEnd = (how: string) => {
      if (ended) return
      ended = true
      resolve()
      this.#child = undefined
      if (this.#stopping) return
      if (removed) {
        onRemoved()
        return
      }
      if (clock.nowMs() - this.#startedMs > STEADY_MS) this.#restarts = 0
      const delayMs = Math.min(RESTART_MS * 2 ** this.#restarts++, MAX_RESTART_MS)
      log.error('etcd beside this server has ended, starting it again', { how, dataDir, last: this.lastWords })
      this.#restart = clock.after(delayMs, () => this.#launch())
    }
    child.once('error', (error) => onEnd(messageOf(error)))
    child.once('close', (code, signal) => onEnd(signal === null ? `exit code ${code}` : `signal ${signal}`))
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
    rmSync(this.#pidFile, { force: true })
    if (destroy) rmSync(this.#options.dataDir, { recursive: true, force: true })
  }
}

function argumentsOf(options: EtcdMemberOptions, { help }: EtcdBinary): string[] {
  const { name, dataDir, bindAddress, clientPort, peerPort, clientUrl, peerUrl, tls, cluster, founding, token } =
    options
  const scheme = tls ? 'https' : 'http'
  const host = bindAddress.includes(':') ? `[${bindAddress}]` : bindAddress
  const given: Record<string, string> = {
    name,
    'data-dir': dataDir,
    'listen-client-urls': `${scheme}://${host}:${clientPort}`,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': `${scheme}://${host}:${peerPort}`,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': cluster.map((member) => `${member.name}=${member.peerUrl}`).join(','),
    'initial-cluster-state': founding ? 'new' : 'existing',
    'initial-cluster-token': token,
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': HISTORY,
    'quota-backend-bytes': String(QUOTA_BYTES),
    // Half of etcd's default: a server and its member that die together are replaced within five seconds.
    'heartbeat-interval': '100',
    'election-timeout': '500',
    logger: 'zap',
    'log-level': 'info',
    // It would need a certificate for connecting to itself, and nobody here speaks JSON to etcd.
    'enable-grpc-gateway': 'false',
  }
  if (tls) {
    for (const prefix of ['', 'peer-']) {
      given[`${prefix}trusted-ca-file`] = tls.ca
      given[`${prefix}cert-file`] = tls.cert
      given[`${prefix}key-file`] = tls.key
      given[`${prefix}client-cert-auth`] = 'true'
    }
    given['client-cert-allowed-hostname'] = tls.allowedName
    given['peer-cert-allowed-hostname'] = tls.allowedName
    // Certificates are made for servers, not for the address that one happens to connect from.
    for (const flag of ['experimental-peer-skip-client-san-verification', 'peer-skip-client-san-verification']) {
      if (help.includes(`--${flag} `)) given[flag] = 'true'
    }
  }
  return Object.entries(given).map(([flag, value]) => `--${flag}=${value}`)
}

type Level = 'debug' | 'info' | 'warn' | 'error'
const LEVELS: Readonly<Record<string, Level>> = { warn: 'warn', error: 'error', fatal: 'error', panic: 'error' }

/** etcd's log lines are JSON; what is none is kept as it is. Its routine goes to our debug level. */
function parseLine(line: string): { level: Level; text: string } {
  try {
    const { level, msg, error } = Object(JSON.parse(line))
    if (typeof msg !== 'string') return { level: 'debug', text: line.slice(0, 500) }
    const text = typeof error === 'string' ? `${msg}: ${error}` : msg
    return { level: LEVELS[String(level)] ?? 'debug', text }
  } catch {
    return { level: 'warn', text: line.slice(0, 500) }
  }
}

/** Empty where there is no such process. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
