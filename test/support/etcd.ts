/**
 * Starts real etcd members for tests: `HANSE_ETCD` names the binary (the suite command sets it).
 *
 * Members listen on loopback without TLS unless a test gives them certificates; each is a process of its own that can
 * be killed, stopped and started again over the same data.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'
import { freePorts } from '#local'

/** The binary of etcd. @throws when the suite command did not say where it is */
export function etcdBinary(): string {
  const binary = env['HANSE_ETCD']
  if (!binary) throw new Error('this test needs etcd: run "npm run test:etcd", or set HANSE_ETCD to its path')
  return binary
}

/** Where the suite command has put an old etcd that is still met, by what tests call it. */
export function oldEtcd(): Readonly<Record<string, string>> {
  const binary = env['HANSE_ETCD_OLD']
  return binary ? { 'etcd 3.5.1': binary } : {}
}

/** Where a member runs, if not simply on loopback. */
export interface EtcdSite {
  readonly clientHost: string
  readonly peerHost: string
  /** The start of its command line, such as one that enters a network namespace. */
  readonly enter: readonly string[]
}

const LOOPBACK: EtcdSite = { clientHost: '127.0.0.1', peerHost: '127.0.0.1', enter: [] }

export interface EtcdMemberOptions {
  /** Default: that of the suite command. */
  readonly binary?: string
  /** Further arguments of etcd. */
  readonly args?: readonly string[]
  /** By the member's number, from 0. */
  readonly site?: (member: number) => EtcdSite
}

/** One member. */
export class EtcdProcess {
  readonly name: string
  readonly endpoint: string
  readonly peerUrl: string
  readonly dataDir: string
  readonly #binary: string
  readonly #enter: readonly string[]
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  output = ''

  constructor(
    name: string,
    ports: { client: number; peer: number },
    dataDir: string,
    { binary = etcdBinary(), args = [] }: EtcdMemberOptions,
    site: EtcdSite = LOOPBACK,
  ) {
    this.name = name
    this.#binary = binary
    this.#enter = site.enter
    this.endpoint = `http://${site.clientHost}:${ports.client}`
    this.peerUrl = `http://${site.peerHost}:${ports.peer}`
    this.dataDir = dataDir
    this.#args = args
  }

  /** @param further - arguments of this start only */
  start(further: readonly string[] = []): void {
    const args = [
      ...['--name', this.name, '--data-dir', this.dataDir],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', this.peerUrl, '--initial-advertise-peer-urls', this.peerUrl],
      ...['--heartbeat-interval', '100', '--election-timeout', '1000', '--log-level', 'warn'],
      ...this.#args,
      ...further,
    ]
    const [program = '', ...before] = [...this.#enter, this.#binary]
    const child = spawn(program, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        this.output = (this.output + chunk).slice(-20_000)
      })
    }
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Sends a signal; with SIGKILL and SIGTERM it resolves when the process is gone. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ends = signal === 'SIGKILL' || signal === 'SIGTERM'
    const gone = ends ? new Promise<void>((resolve) => child.once('close', () => resolve())) : undefined
    child.kill(signal)
    await gone
  }
}

/** An etcd of one or several members. */
export class EtcdCluster {
  readonly members: readonly EtcdProcess[]
  readonly #root: string

  private constructor(members: readonly EtcdProcess[], root: string) {
    this.members = members
    this.#root = root
  }

  get endpoints(): readonly string[] {
    return this.members.map(({ endpoint }) => endpoint)
  }

  /** Starts them all; they may not have elected a leader yet. */
  static async start(
    size: number,
    { binary, args = [], site = () => LOOPBACK }: EtcdMemberOptions = {},
  ): Promise<EtcdCluster> {
    const root = mkdtempSync(join(tmpdir(), 'hanse-etcd-'))
    const ports = await freePorts(size * 2)
    const places = Array.from({ length: size }, (_, at) => ({
      name: `e${at + 1}`,
      client: ports[at * 2] ?? 0,
      peer: ports[at * 2 + 1] ?? 0,
    }))
    const initial = places.map(({ name, peer }, at) => `${name}=http://${site(at).peerHost}:${peer}`).join(',')
    const members = places.map(
      (place, at) =>
        new EtcdProcess(
          place.name,
          place,
          join(root, place.name),
          { ...(binary && { binary }), args: ['--initial-cluster', initial, ...args] },
          site(at),
        ),
    )
    for (const member of members) member.start()
    return new EtcdCluster(members, root)
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.signal('SIGKILL')))
    rmSync(this.#root, { recursive: true, force: true })
  }
}
