/**
 * The program `etcd` that a server runs beside itself: whether it is one, and what it can do.
 */
import { execFile } from 'node:child_process'
import { codeOf, environment, messageOf } from '#base'
import { storeError } from '../errors.ts'

/** The oldest etcd whose interface Hanse knows. */
const MIN_VERSION = [3, 4] as const
/** How long it may take to say its version. */
const ANSWER_MS = 10_000

/** What a binary of etcd can do. */
export interface EtcdBinary {
  readonly version: string
  /** All that its help says. */
  readonly help: string
}

/** @throws ETCD_NOT_FOUND, ETCD_TOO_OLD; the reason of the signal */
export async function inspectEtcd(
  binary: string,
  { signal, answerMs = ANSWER_MS }: { signal?: AbortSignal; answerMs?: number } = {},
): Promise<EtcdBinary> {
  const version = /etcd Version:\s*(\d+)\.(\d+)\.(\d+)/.exec(await run(binary, '--version', answerMs, signal))
  if (version === null) throw storeError('ETCD_NOT_FOUND', { binary, reason: 'its --version is not that of etcd' })
  const numbers = version.slice(1)
  const [major = 0, minor = 0] = numbers.map(Number)
  const [minMajor, minMinor] = MIN_VERSION
  const found = numbers.join('.')
  if (major < minMajor || (major === minMajor && minor < minMinor)) {
    throw storeError('ETCD_TOO_OLD', { binary, version: found, least: MIN_VERSION.join('.') })
  }
  return { version: found, help: await run(binary, '--help', answerMs, signal) }
}

function run(binary: string, argument: string, timeout: number, signal: AbortSignal | undefined): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const options = { timeout, killSignal: 'SIGKILL', env: memberEnvironment(), ...(signal ? { signal } : {}) } as const
  execFile(binary, [argument], options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout + stderr)
    else if (signal?.aborted) reject(signal.reason)
    else reject(storeError('ETCD_NOT_FOUND', { binary, reason: reasonOf(error, argument, timeout) }, error))
  })
  return promise
}

function reasonOf(error: Error & { killed?: boolean | undefined }, argument: string, timeout: number): string {
  if (codeOf(error) === 'ENOENT') return 'there is no such program'
  if (codeOf(error) === 'EACCES') return 'it may not be executed'
  if (error.killed) return `it did not answer ${argument} within ${timeout / 1000} s`
  return `it does not answer ${argument}: ${messageOf(error).split('\n')[0]}`
}

/**
 * What of our environment a member gets. All that it does is said by its arguments: variables of etcd's own would change
 * it behind their back (a Kubernetes service called "etcd" is enough to set some), and Consul's hold tokens.
 */
export function memberEnvironment(env: NodeJS.ProcessEnv = environment()): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(?:ETCD|CONSUL)_/.test(name)))
}
