/**
 * The watches of the configuration, run by the agent as `hanse watch` runs one: through its own HTTP API, so that they see
 * what a user with their token sees. A reload ends those that are gone, begins new ones, and leaves the others alone.
 */
import { Writable } from 'node:stream'
import { type Clock, environment, formatHostPort, type Logger, parseHostPort } from '#base'
import { type ClientTls, HttpClient } from '#client'
import type { TlsIdentity } from '#net'
import { type Ask, callHandler, follow, questionOf, runHandler, watchError } from '#watch'
import type { WatchConfig } from './config-watches.ts'

/** Of what one run of a handler prints; more is dropped. */
const MAX_OUTPUT_BYTES = 4_096

/** How the agent reaches itself. */
export interface WatchAccess {
  readonly address: string
  readonly tls?: ClientTls
}

/** @param http - "host:port" of what is open; likewise `https`. @returns undefined where nothing is */
export function ownAccess(
  { http, https }: { readonly http: readonly string[]; readonly https: readonly string[] },
  identity: TlsIdentity | undefined,
): WatchAccess | undefined {
  if (http[0] !== undefined) return { address: `http://${reachable(http[0])}` }
  // Nobody else can listen on our own port, and its certificate need not be for an address.
  if (https[0] === undefined) return undefined
  const own = identity ? { certPem: identity.certPem, keyPem: identity.keyPem } : {}
  return { address: `https://${reachable(https[0])}`, tls: { ...own, verify: false } }
}

/** An address to call, of one that may stand for all of this machine. */
function reachable(open: string): string {
  const at = parseHostPort(open, 0)
  if (!at) return open
  return formatHostPort(at.host === '0.0.0.0' ? '127.0.0.1' : at.host === '::' ? '::1' : at.host, at.port)
}

interface Running {
  /** What it was made from. */
  readonly key: string
  stop(): Promise<void>
}

interface Modules {
  readonly access: () => WatchAccess | undefined
  readonly clock: Clock
  readonly log: Logger
}

export class Watches {
  readonly #modules: Modules
  #running: readonly Running[] = []
  /** The last change; the next one waits for it. */
  #changed: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(modules: Modules) {
    this.#modules = modules
  }

  /** Runs these and no others. */
  replace(configs: readonly WatchConfig[]): Promise<void> {
    this.#changed = this.#changed.then(() => this.#replace(this.#stopped ? [] : configs))
    return this.#changed
  }

  /** Ends all, for good. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.replace([])
  }

  async #replace(configs: readonly WatchConfig[]): Promise<void> {
    const access = this.#modules.access()
    const left = [...this.#running]
    const kept: Running[] = []
    const begins: (() => Running)[] = []
    for (const config of configs) {
      if (access === undefined) break
      const key = JSON.stringify([access, config])
      const at = left.findIndex((each) => each.key === key)
      if (at === -1) begins.push(() => this.#begin(access, config, key))
      else kept.push(...left.splice(at, 1))
    }
    if (access === undefined && configs.length > 0) {
      this.#modules.log.error('watches do not run: neither the HTTP nor the HTTPS port is open')
    }
    await Promise.all(left.map((each) => each.stop()))
    this.#running = [...kept, ...begins.map((begin) => begin())]
  }

  #begin(access: WatchAccess, config: WatchConfig, key: string): Running {
    const { clock, log } = this.#modules
    const { type = '', ...rest } = config.parameters
    const watch = [type, rest.key ?? rest.prefix ?? rest.name ?? rest.service ?? rest.serviceId ?? ''].join(' ').trim()
    const client = new HttpClient({
      ...access,
      ...(config.token === '' ? {} : { token: config.token }),
      ...(config.datacenter === '' ? {} : { datacenter: config.datacenter }),
    })
    const end = new AbortController()
    const { signal } = end
    const ask: Ask = (path, query) => client.ask(path, { query, signal })
    const warn = (line: string) => log.warn('watch failed', { watch, error: line })
    const handle = async (text: string, index: string) => {
      const reason = await this.#handle(config, { text, index }, { signal, watch })
      if (reason !== undefined) warn(watchError('WATCH_HANDLER_FAILED', { reason }).message)
    }
    const ended = follow(questionOf(config.parameters), { ask, clock, signal, handle, warn })
    const stop = async () => {
      end.abort()
      await ended
      client.close()
    }
    return { key, stop }
  }

  async #handle(
    { script, http }: WatchConfig,
    answer: { readonly text: string; readonly index: string },
    { signal, watch }: { readonly signal: AbortSignal; readonly watch: string },
  ): Promise<string | undefined> {
    if (http !== undefined) return callHandler(http, answer, signal)
    if (script === undefined) return undefined
    const output = new Output()
    const reason = await runHandler(script, answer, { env: environment(), stdout: output, stderr: output, signal })
    if (output.text !== '') this.#modules.log.info('watch handler', { watch, output: output.text })
    return reason
  }
}

/** The beginning of what a handler prints. */
class Output extends Writable {
  readonly #chunks: Buffer[] = []
  #bytes = 0

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    const kept = chunk.subarray(0, MAX_OUTPUT_BYTES - this.#bytes)
    if (kept.length > 0) this.#chunks.push(kept)
    this.#bytes += kept.length
    done()
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8').trimEnd()
  }
}
