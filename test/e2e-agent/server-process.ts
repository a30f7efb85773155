/**
 * Real servers for tests and benchmarks: `bin/hanse` in a process of its own, on loopback, on free ports, with its data
 * in a temporary directory; and HTTP asked byte by byte.
 *
 * A server holds our end of a pipe and stops when that closes, so nothing is left even if a test is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PROGRAM: string = fileURLToPath(new URL('../../bin/hanse', import.meta.url))
const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 10_000
const RUN_TIMEOUT_MS = 30_000
/** There need not be an HTTP port. */
const SERVING = /serving: http=(?:\S*?:(\d+))?\S* dns=\S*?:(\d+) server=\S*?:(\d+)/

export type Settings = Readonly<Record<string, unknown>>

/** One server on loopback, without a port of its own choice and without a WAN pool. */
export function serverSettings(directory: string, more: Settings = {}): Settings {
  return {
    datacenter: 'dc1',
    node_name: 's1',
    server: true,
    data_dir: join(directory, 'data'),
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    ports: { http: 0, dns: 0, server: 0, serf_lan: 0, serf_wan: -1 },
    ...more,
  }
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'hanse-e2e-'))
}

type Environment = Readonly<Record<string, string>>

function spawnProgram(args: readonly string[], more: Environment = {}): ChildProcess {
  const child = spawn(PROGRAM, [...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...environment(), ...more } })
  child.stdin?.on('error', () => {
    // The child closed its end: its exit says the rest.
  })
  return child
}

/** No setting of the person who runs the tests reaches the program. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:CONSUL|HANSE|NODE)_/.test(name))
  return { ...Object.fromEntries(kept), HANSE_STOP_WITH_STDIN: '1' }
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command to its end; one that does not end by itself is stopped, and its code is null. */
export async function runProgram(args: readonly string[]): Promise<Finished> {
  const child = spawnProgram(args)
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString()
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS)
  await once(child, 'close')
  clearTimeout(timer)
  return { code: child.exitCode, ...output }
}

export class ServerProcess {
  readonly directory: string
  readonly #child: ChildProcess
  #output = ''
  #ports = { http: 0, dns: 0, server: 0 }

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory
    this.#child = child
  }

  /**
   * Starts a server and waits until it serves.
   *
   * @param settings - added to those of serverSettings()
   * @param environment - added to ours
   * @throws with what the program said when it ended instead
   */
  static async start(settings: Settings = {}, environment: Environment = {}): Promise<ServerProcess> {
    const directory = temporaryDirectory()
    const file = join(directory, 'server.json')
    writeFileSync(file, JSON.stringify(serverSettings(directory, settings)))
    const server = new ServerProcess(directory, spawnProgram(['agent', '-config-file', file], environment))
    try {
      await server.#serving()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get httpPort(): number {
    return this.#ports.http
  }

  get dnsPort(): number {
    return this.#ports.dns
  }

  get rpcPort(): number {
    return this.#ports.server
  }

  /** What the server printed so far. */
  get output(): string {
    return this.#output
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #serving(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const fail = (how: string) => reject(new Error(`the server ${how}:\n${this.#output}`))
      const timer = setTimeout(() => {
        this.#child.kill('SIGKILL')
        fail('did not serve in time')
      }, START_TIMEOUT_MS)
      const read = (chunk: Buffer) => {
        this.#output += chunk.toString()
        const ports = SERVING.exec(this.#output)
        if (!ports) return
        clearTimeout(timer)
        this.#ports = { http: Number(ports[1] ?? 0), dns: Number(ports[2]), server: Number(ports[3]) }
        resolve()
      }
      this.#child.stdout?.on('data', read)
      this.#child.stderr?.on('data', read)
      this.#child.once('exit', (code, signal) => {
        clearTimeout(timer)
        fail(`ended with ${code ?? signal}`)
      })
    })
  }

  ask(method: string, path: string, options: AskOptions = {}): Promise<Reply> {
    return ask(this.httpPort, method, path, options)
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<void> {
    if (!this.hasEnded) await once(this.#child, 'exit')
  }

  /** Stops it and, unless they are to be kept, removes its files. */
  async stop({ keepFiles = false } = {}): Promise<void> {
    if (!this.hasEnded) {
      this.#child.kill('SIGTERM')
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await once(this.#child, 'exit')
      clearTimeout(timer)
    }
    if (!keepFiles) rmSync(this.directory, { recursive: true, force: true })
  }
}

export interface AskOptions {
  readonly body?: Buffer | string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

export function ask(port: number, method: string, path: string, options: AskOptions = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const out = request({ host: '127.0.0.1', port, method, path, headers: options.headers, agent: false })
    out.on('error', reject)
    out.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const body = Buffer.concat(chunks)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString() })
      })
    })
    out.end(options.body)
  })
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
