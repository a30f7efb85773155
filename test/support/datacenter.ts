/**
 * One datacenter of a test: certificates and configuration files as an operator writes them, a server and a mesh gateway
 * as processes, and questions over HTTP.
 *
 * Every setting that a test is about can be made wrong. Where the processes run (loopback, a network namespace) is said
 * by the words put before their command line.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemRandom } from '#base'
import { HttpClient } from '#client'
import { createCertificate, createCertificateAuthority, type PemPair } from '#codec'
import type { DatacenterStatus, FederationProblem, FederationStatus } from '#federation'
import { freePorts } from '#local'
import { eventually } from './eventually.ts'
import { HANSE, type Program, type Programs } from './programs.ts'

const modules = { clock: systemClock, random: systemRandom }
const LOOPBACK = '127.0.0.1'

export interface Ports {
  readonly http: number
  readonly dns: number
  readonly server: number
  readonly serf_lan: number
  readonly serf_wan: number
}

export interface DatacenterOptions {
  readonly name: string
  readonly primary: string
  /** Where its directory is made. */
  readonly root: string
  readonly ca: PemPair
  readonly gossipKey?: string | undefined
  /** Secondaries only. */
  readonly primaryGateways?: readonly string[]
  readonly node?: string
  /** Directory name, when two datacenters have one name. */
  readonly label?: string
  readonly host?: string
  readonly ports?: Ports
  /** Put before the server's command line: `ip netns exec …`. */
  readonly serverPrefix?: readonly string[]
  readonly gatewayPrefix?: readonly string[]
  /** How the test reaches the HTTP API, when not at host and port. */
  readonly apiAddress?: string
  /** What the test and the datacenter's own programs ask with. */
  readonly token?: string
  /** What its programs ask with, where that is another. */
  readonly programToken?: string
  /** More settings of the server. */
  readonly settings?: Readonly<Record<string, unknown>>
}

export function newCa(): PemPair {
  return createCertificateAuthority({ days: 30, domain: 'consul' }, modules)
}

export function newGossipKey(): string {
  return systemRandom.bytes(32).toString('base64')
}

async function somePorts(): Promise<Ports> {
  const [http = 0, dns = 0, server = 0, serf_lan = 0, serf_wan = 0] = await freePorts(5)
  return { http, dns, server, serf_lan, serf_wan }
}

export class Datacenter {
  readonly name: string
  readonly node: string
  readonly client: HttpClient
  readonly ports: Ports
  readonly host: string
  server: Program | undefined
  gateway: Program | undefined
  readonly #options: DatacenterOptions
  readonly #programs: Programs
  readonly #configFile: string

  private constructor(options: DatacenterOptions, ports: Ports, programs: Programs) {
    this.#options = options
    this.#programs = programs
    this.ports = ports
    this.name = options.name
    this.node = options.node ?? `server-${options.name}`
    this.host = options.host ?? LOOPBACK
    this.client = this.as(options.token ?? '')
    const directory = join(options.root, options.label ?? options.name)
    this.#configFile = join(directory, 'server.json')
    this.#writeFiles(directory)
  }

  static async make(options: DatacenterOptions, programs: Programs): Promise<Datacenter> {
    return new Datacenter(options, options.ports ?? (await somePorts()), programs)
  }

  /** A client that asks with a token; empty for none. */
  as(token: string): HttpClient {
    return new HttpClient({ address: this.#options.apiAddress ?? `${this.host}:${this.ports.http}`, token })
  }

  get #env(): Record<string, string> {
    const { token, programToken = token } = this.#options
    return programToken === undefined ? {} : { CONSUL_HTTP_TOKEN: programToken }
  }

  #writeFiles(directory: string): void {
    const { name, primary, ca, gossipKey, primaryGateways, settings = {} } = this.#options
    const files = { ca: join(directory, 'ca.pem'), cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
    const domain = `server.${name}.consul`
    const certificate = createCertificate(
      {
        ca,
        commonName: domain,
        dnsNames: [domain, `*.${domain}`, 'localhost'],
        ipAddresses: [LOOPBACK],
        uris: [],
        days: 30,
        serverAuth: true,
        clientAuth: true,
      },
      modules,
    )
    mkdirSync(join(directory, 'data'), { recursive: true, mode: 0o700 })
    writeFileSync(files.ca, ca.certPem)
    writeFileSync(files.cert, certificate.certPem)
    writeFileSync(files.key, certificate.keyPem, { mode: 0o600 })
    const config = {
      datacenter: name,
      primary_datacenter: primary,
      ...(primaryGateways ? { primary_gateways: primaryGateways } : {}),
      node_name: this.node,
      server: true,
      bootstrap_expect: 1,
      data_dir: join(directory, 'data'),
      bind_addr: this.host,
      client_addr: this.host,
      ports: this.ports,
      connect: { enabled: true, enable_mesh_gateway_wan_federation: true },
      ...(gossipKey === undefined ? {} : { encrypt: gossipKey }),
      tls: {
        internal_rpc: {
          ca_file: files.ca,
          cert_file: files.cert,
          key_file: files.key,
          verify_incoming: true,
          verify_outgoing: true,
          verify_server_hostname: true,
        },
      },
      ...settings,
    }
    writeFileSync(this.#configFile, JSON.stringify(config, null, 2), { mode: 0o600 })
  }

  /** Starts the server process; `ready` waits until it answers. */
  startServer(): Program {
    const command = [...(this.#options.serverPrefix ?? []), HANSE, 'agent', '-config-file', this.#configFile]
    this.server = this.#programs.start(`server of ${this.name}`, command)
    return this.server
  }

  /** Waits until the server answers and leads. */
  ready(): Promise<number> {
    return eventually(`the server of ${this.name} answers`, async () => {
      if (this.server && !this.server.running) throw new Error(`it ended:\n${this.server.output.slice(-2_000)}`)
      assert.notEqual(await this.client.json('GET', '/v1/status/leader'), '')
    })
  }

  /**
   * Starts a mesh gateway that registers itself.
   *
   * @param at - "host:port" where it listens and its datacenter reaches it
   * @param options - `wan`: where others reach it; `prefix`: where it runs, when not where the others do
   */
  startGateway(
    at: string,
    { wan = at, bind = at, prefix = this.#options.gatewayPrefix ?? [], id = 'mesh-gateway' } = {},
  ): Program {
    const api = `${this.host}:${this.ports.http}`
    const words = ['connect', 'proxy', '-gateway=mesh', '-register', '-expose-servers', '-proxy-id', id]
    const addresses = ['-address', at, '-wan-address', wan, '-bind-address', bind, '-http-addr', api]
    const command = [...prefix, HANSE, ...words, ...addresses]
    this.gateway = this.#programs.start(`gateway of ${this.name}`, command, { env: this.#env })
    return this.gateway
  }

  /** Starts the sidecar of a service that is registered with one. */
  startSidecar(service: string, token?: string): Program {
    const api = `${this.host}:${this.ports.http}`
    const words = ['connect', 'proxy', '-sidecar-for', service, '-log-level', 'debug', '-http-addr', api]
    const name = `sidecar of ${service} in ${this.name}`
    const env = token === undefined ? this.#env : { CONSUL_HTTP_TOKEN: token }
    return this.#programs.start(name, [...(this.#options.serverPrefix ?? []), HANSE, ...words], { env })
  }

  async status(): Promise<FederationStatus> {
    return (await this.client.json('GET', '/v1/internal/federation-status')) as FederationStatus
  }

  /** What it knows of another datacenter. */
  async statusOf(datacenter: string): Promise<DatacenterStatus> {
    const found = (await this.status()).Datacenters.find((entry) => entry.Name === datacenter)
    assert.ok(found, `${this.name} does not know ${datacenter}`)
    return found
  }

  /** Every problem that its status names. */
  async problems(): Promise<readonly FederationProblem[]> {
    const status = await this.status()
    return [...status.Problems, ...status.Datacenters.flatMap((entry) => entry.Problems)]
  }

  /** Whether it reads the catalog of `datacenter` and finds a mesh gateway there. */
  async reads(datacenter: string): Promise<void> {
    const services = await this.client.json('GET', '/v1/catalog/services', { query: { dc: datacenter } })
    assert.ok(typeof services === 'object' && services !== null && 'mesh-gateway' in services, JSON.stringify(services))
  }

  /** The text of the error that a read of another datacenter's catalog gets. */
  async readError(datacenter: string): Promise<string> {
    const answer = await this.client.request('GET', '/v1/catalog/services', { query: { dc: datacenter } })
    assert.equal(answer.status, 500, `${answer.status} ${answer.body}`)
    return answer.body.toString('utf8')
  }

  async put(key: string, value: string, query: Record<string, string> = {}): Promise<void> {
    assert.equal(await this.client.json('PUT', `/v1/kv/${key}`, { body: value, query }), true)
  }

  /** The value of a key. */
  async get(key: string, query: Record<string, string> = {}): Promise<string> {
    const answer = await this.client.expect('GET', `/v1/kv/${key}`, { query: { ...query, raw: true } })
    return answer.body.toString('utf8')
  }

  async wanMembers(): Promise<ReadonlyMap<string, number>> {
    const members = await this.client.json('GET', '/v1/agent/members', { query: { wan: 1 } })
    assert.ok(Array.isArray(members))
    return new Map(members.map((member: { Name: string; Status: number }) => [member.Name, member.Status]))
  }
}

/** Waits until each datacenter reads each other. */
export function readEachOther(datacenters: readonly Datacenter[], options?: { timeoutMs: number }): Promise<number> {
  return eventually(
    'all datacenters read each other',
    async () => {
      for (const one of datacenters) {
        for (const other of datacenters) if (one !== other) await one.reads(other.name)
      }
    },
    options,
  )
}
