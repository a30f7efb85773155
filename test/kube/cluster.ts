/**
 * A real Kubernetes cluster for the tests of one file: its API server, controllers and one node, made and removed by the
 * harness in `KUBE_HARNESS` (`scripts/suite.mjs` says where it is and installs it).
 *
 * Its name carries our process id, so that several runs share a machine, and what a killed run left is found and removed.
 */
import { spawnSync } from 'node:child_process'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const NAME = /^hanse-(\d+)$/
/** Far more than a cluster takes on a busy machine. */
const UP_TIMEOUT_MS = 300_000
const COMMAND_TIMEOUT_MS = 60_000
/** How long a token is good that nobody waits for; Kubernetes makes none for less than ten minutes. */
const TOKEN_LIFE = '1h'

function run(program: string, args: readonly string[], options: { input?: string; timeout?: number } = {}): string {
  const timeout = options.timeout ?? COMMAND_TIMEOUT_MS
  const { status, stdout, stderr, error } = spawnSync(program, args, { ...options, timeout, encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${program} ${args[0] ?? ''} ended with ${status}: ${stderr}`)
  return stdout
}

function harness(command: 'up' | 'down'): string {
  const folder = process.env.KUBE_HARNESS
  if (folder === undefined) throw new Error('KUBE_HARNESS is not set: run "npm run test:kube"')
  return join(folder, command)
}

export class Cluster {
  /** `https://host:port` of its API server. */
  readonly server: string
  readonly caPem: string
  readonly #name: string
  readonly #kubeconfig: string
  readonly #kubectl: string

  private constructor(name: string, kubeconfig: string, kubectl: string) {
    this.#name = name
    this.#kubeconfig = kubeconfig
    this.#kubectl = kubectl
    const { clusters }: { clusters: { cluster: { server: string; 'certificate-authority-data': string } }[] } =
      JSON.parse(this.kubectl(['config', 'view', '--minify', '--raw', '-o', 'json']))
    const [found] = clusters
    if (!found) throw new Error(`cluster ${name} is in no kubeconfig`)
    this.server = found.cluster.server
    this.caPem = Buffer.from(found.cluster['certificate-authority-data'], 'base64').toString('utf8')
  }

  static up(): Cluster {
    const name = `hanse-${process.pid}`
    // What it prints is for a shell: KUBECONFIG, and PATH with the folder of kubectl first.
    const script = 'set -e; exports=$("$0" "$1"); eval "$exports"; command -v kubectl; echo "$KUBECONFIG"'
    try {
      const printed = run('bash', ['-c', script, harness('up'), name], { timeout: UP_TIMEOUT_MS })
      const [kubectl = '', kubeconfig = ''] = printed.trim().split('\n')
      removeForgotten(dirname(kubeconfig))
      return new Cluster(name, kubeconfig, kubectl)
    } catch (error) {
      run(harness('down'), [name])
      throw error
    }
  }

  /** Ends it, with all that it was; again is nothing. */
  down(): void {
    run(harness('down'), [this.#name])
  }

  kubectl(args: readonly string[], input?: string): string {
    const own = [`--kubeconfig=${this.#kubeconfig}`, `--context=${this.#name}`]
    return run(this.#kubectl, [...args, ...own], input === undefined ? {} : { input })
  }

  /** Creates objects, or changes them. */
  apply(...items: readonly object[]): void {
    this.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  }

  /** The JWT of a service account, as a pod is given one. */
  token(namespace: string, account: string, ...more: readonly string[]): string {
    return this.kubectl(['create', 'token', account, '-n', namespace, `--duration=${TOKEN_LIFE}`, ...more]).trim()
  }

  /** The key that its API server signs and checks the tokens of service accounts with. */
  serviceAccountKey(): KeyObject {
    const path = join(dirname(this.#kubeconfig), this.#name, 'pki', 'sa.key')
    return createPrivateKey(readFileSync(path))
  }
}

/** Clusters of test runs that are no more. */
function removeForgotten(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = NAME.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) run(harness('down'), [name])
  }
}
