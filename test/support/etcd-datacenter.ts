/**
 * For tests: a datacenter whose servers run members of etcd beside themselves. Real `hanse agent` processes on loopback,
 * with certificates that `hanse tls` makes, over whichever etcd HANSE_ETCD names.
 *
 * Nothing is left after a test, also of servers that were killed: their members carry the test's mark.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock, systemRandom } from '#base'
import { type ApiAnswer, HttpClient } from '#client'
import { createCertificate, createCertificateAuthority, type PemPair } from '#codec'
import { freePorts } from '#local'
import { type EtcdIdentity, EtcdMembership, type KnownMember } from '#store'
import { etcdBinary } from './etcd.ts'
import { eventually } from './eventually.ts'
import { HANSE, type Program, Programs } from './programs.ts'

const LOOPBACK = '127.0.0.1'
const SERVING_MS = 60_000
export const GOSSIP_KEY = Buffer.alloc(32, 7).toString('base64')
const QUICK_GOSSIP = { gossip_interval: '50ms', probe_interval: '200ms', probe_timeout: '150ms', suspicion_mult: 3 }

export type Settings = Readonly<Record<string, unknown>>

/** Certificate files as an operator has them. */
export interface TlsPaths {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

const modules = { clock: systemClock, random: systemRandom }

export function makeCa(): PemPair {
  return createCertificateAuthority({ days: 30, domain: 'consul' }, modules)
}

/** @param kind - "server.dc1.consul", "client.dc1.consul" */
export function makeCertificate(folder: string, ca: PemPair, name: string, addresses = [LOOPBACK]): TlsPaths {
  const paths = { ca: join(folder, 'ca.pem'), cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) }
  const pair = createCertificate(
    {
      ca,
      commonName: name,
      dnsNames: [name, 'localhost'],
      ipAddresses: addresses,
      days: 30,
      serverAuth: true,
      clientAuth: true,
    },
    modules,
  )
  writeFileSync(paths.ca, ca.certPem)
  writeFileSync(paths.cert, pair.certPem)
  writeFileSync(paths.key, pair.keyPem, { mode: 0o600 })
  return paths
}

export function identityOf({ ca, cert, key }: TlsPaths, serverName = 'server.dc1.consul'): EtcdIdentity {
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key), serverName }
}

interface Place {
  readonly http: number
  readonly lan: number
  readonly client: number
  readonly peer: number
}

export class EtcdServer {
  readonly name: string
  readonly place: Place
  readonly dataDir: string
  readonly http: HttpClient
  readonly #file: string
  readonly #programs: Programs
  settings: Settings
  #program: Program | undefined

  constructor(name: string, place: Place, root: string, settings: Settings, programs: Programs) {
    this.name = name
    this.place = place
    this.dataDir = join(root, name)
    this.http = new HttpClient({ address: `${LOOPBACK}:${place.http}` })
    this.#file = join(root, `${name}.json`)
    this.settings = settings
    this.#programs = programs
  }

  get program(): Program {
    assert.ok(this.#program, `${this.name} was started`)
    return this.#program
  }

  /** Starts the program; with `settings` they count from now on. */
  start(settings: Settings = {}, env: Record<string, string> = {}): Program {
    this.settings = { ...this.settings, ...settings }
    writeFileSync(this.#file, JSON.stringify(this.settings))
    this.#program = this.#programs.start(this.name, [HANSE, 'agent', '-config-file', this.#file], { env })
    return this.#program
  }

  /** @returns milliseconds until it served */
  async serves(): Promise<number> {
    return this.program.says(/serving: /, { timeoutMs: SERVING_MS })
  }

  /** Fails to start. @returns all it said */
  async refuses(settings: Settings = {}): Promise<string> {
    const program = this.start(settings)
    await eventually(`${this.name} has ended`, () => assert.ok(!program.running, program.output.slice(-2_000)), {
      timeoutMs: SERVING_MS,
    })
    assert.equal((await program.ended).code, 1, program.output)
    assert.doesNotMatch(program.output, /^ {4}at /m)
    return program.output
  }

  ask(method: string, path: string, body?: string): Promise<ApiAnswer> {
    return this.http.request(method, path, body === undefined ? {} : { body })
  }

  async put(key: string, value: string): Promise<void> {
    const { status, body } = await this.ask('PUT', `/v1/kv/${key}`, value)
    assert.equal(status, 200, String(body))
  }

  async has(key: string, value: string): Promise<void> {
    await eventually(`${this.name} has ${key}`, async () => {
      const { status, body } = await this.ask('GET', `/v1/kv/${key}?raw`)
      assert.deepEqual([status, String(body)], [200, value])
    })
  }

  async leave(): Promise<void> {
    const { status } = await this.ask('PUT', '/v1/agent/leave')
    assert.equal(status, 200)
    await this.program.ended
  }

  /** The process id of its member of etcd. */
  etcdPid(): number {
    return Number(readFileSync(join(this.dataDir, 'etcd.pid'), 'utf8').split(' ')[0])
  }
}

export class EtcdDatacenter {
  readonly root: string
  readonly ca: PemPair
  readonly tls: TlsPaths | undefined
  readonly programs: Programs
  readonly servers: readonly EtcdServer[]

  private constructor(root: string, ca: PemPair, tls: TlsPaths | undefined, programs: Programs, servers: EtcdServer[]) {
    this.root = root
    this.ca = ca
    this.tls = tls
    this.programs = programs
    this.servers = servers
  }

  /**
   * A datacenter in which no server runs yet; all are gone after the test.
   *
   * @param names - of its servers, each of which is told all others
   */
  static async make(
    context: TestContext,
    names: readonly string[],
    settings: Settings = {},
    { tls = true }: { tls?: boolean } = {},
  ): Promise<EtcdDatacenter> {
    const root = mkdtempSync(join(tmpdir(), 'hanse-etcd-servers-'))
    const programs = new Programs()
    context.after(async () => {
      await programs.stop()
      killAll(programs)
      rmSync(root, { recursive: true, force: true, maxRetries: 5 })
    })
    const ca = makeCa()
    const paths = tls ? makeCertificate(root, ca, 'server.dc1.consul') : undefined
    const ports = await freePorts(names.length * 4)
    const places = names.map((_, at) => {
      const [http = 0, lan = 0, client = 0, peer = 0] = ports.slice(at * 4, at * 4 + 4)
      return { http, lan, client, peer }
    })
    const servers = places.map((place, at) => {
      const name = names[at] ?? ''
      const others = places.filter((other) => other !== place)
      return new EtcdServer(
        name,
        place,
        root,
        { ...serverSettings(root, name, place, others, paths), ...settings },
        programs,
      )
    })
    return new EtcdDatacenter(root, ca, paths, programs, servers)
  }

  server(name: string): EtcdServer {
    const found = this.servers.find((server) => server.name === name)
    assert.ok(found, name)
    return found
  }

  /** Starts servers all at once. @returns milliseconds until the last of them served */
  async start(names: readonly string[] = this.servers.map(({ name }) => name)): Promise<number> {
    const servers = names.map((name) => this.server(name))
    for (const server of servers) server.start()
    return Math.max(...(await Promise.all(servers.map((server) => server.serves()))))
  }

  /** Asks or changes who is a member, through those servers' members. */
  async #asMember<R>(names: readonly string[], use: (membership: EtcdMembership) => Promise<R>): Promise<R> {
    const scheme = this.tls ? 'https' : 'http'
    const identity = this.tls ? identityOf(this.tls) : undefined
    const endpoints = names.map((name) => `${scheme}://${LOOPBACK}:${this.server(name).place.client}`)
    const membership = new EtcdMembership({ endpoints, identity: () => identity, clock: systemClock })
    try {
      return await use(membership)
    } finally {
      membership.close()
    }
  }

  members(names: readonly string[]): Promise<readonly KnownMember[]> {
    return this.#asMember(names, (membership) => membership.list())
  }

  remove(through: string, id: string): Promise<void> {
    return this.#asMember([through], (membership) => membership.remove(id))
  }

  async assertVoters(expected: readonly string[], asked = expected): Promise<void> {
    await eventually(`${expected.join(',')} vote`, async () => {
      const members = await this.members(asked)
      assert.deepEqual(members.map(({ name }) => name).sort(), [...expected].sort())
      assert.ok(members.every(({ learner }) => !learner))
    })
  }

  /** Kills a server like a crash: what it started stays. */
  async kill(name: string): Promise<void> {
    await this.server(name).program.stop('SIGKILL')
  }
}

function serverSettings(
  root: string,
  name: string,
  { http, lan, client, peer }: Place,
  others: readonly Place[],
  tls: TlsPaths | undefined,
): Settings {
  return {
    datacenter: 'dc1',
    node_name: name,
    server: true,
    bootstrap_expect: 3,
    data_dir: join(root, name),
    bind_addr: LOOPBACK,
    client_addr: LOOPBACK,
    log_level: 'debug',
    encrypt: GOSSIP_KEY,
    retry_join: others.map((other) => `${LOOPBACK}:${other.lan}`),
    retry_interval: '1s',
    ports: { http, dns: -1, server: 0, serf_lan: lan, serf_wan: -1 },
    gossip_lan: QUICK_GOSSIP,
    performance: { leave_drain_time: '0s' },
    store: { etcd: { binary: etcdBinary(), client_port: client, peer_port: peer } },
    ...(tls ? { tls: { internal_rpc: tlsSettings(tls) } } : {}),
  }
}

export function tlsSettings({ ca, cert, key }: TlsPaths): Settings {
  return { ca_file: ca, cert_file: cert, key_file: key, verify_incoming: true, verify_outgoing: true }
}

/** Members of etcd whose server was killed. */
function killAll(programs: Programs): void {
  for (const line of programs.running()) {
    try {
      process.kill(Number.parseInt(line, 10), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}
