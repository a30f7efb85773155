/**
 * A running local federation: starts each datacenter's processes, waits for what must be true, stops all.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { messageOf, sleep, systemClock } from '#base'
import { HttpClient } from '#client'
import { exportFederationSecret, parseFederationSecret, renderFederationSecret } from '#federation'
import { answerDns, bootstrap, makeProgramTokens, makeShared, readToken, type TokenOwner } from './access.ts'
import {
  type DatacenterMaterial,
  etcdBinary,
  filesOf,
  isSetUp,
  newPrimaryMaterial,
  readCa,
  secondaryMaterial,
  setUp,
} from './datacenter-files.ts'
import { localError } from './errors.ts'
import {
  calledFrom,
  type DatacenterPlan,
  gatewayServersOf,
  type LocalPlan,
  type ServerPlan,
  serversOf,
} from './plan.ts'
import { HANSE, type LocalProcess, startProcess, withToken } from './processes.ts'

/** Before one of several servers that has ended is started again. */
const RESTART_MS = 1_000
/** How long each step may take before it is given up. */
const STEP_TIMEOUT_MS = 60_000
const POLL_MS = 25
const DEMO = fileURLToPath(new URL('./demo-service.ts', import.meta.url))

const sidecarOf = (datacenter: string) => `hello-${datacenter}-sidecar-proxy`

export interface RunOptions {
  readonly plan: LocalPlan
  /** What children inherit. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Told what happens now, for people. */
  readonly progress: (line: string) => void
}

export class FederationRun {
  readonly #options: RunOptions
  readonly #processes: LocalProcess[] = []
  readonly #clients = new Map<string, HttpClient>()
  #managementToken: string | undefined
  /** Processes that may end without ending everything. */
  readonly #spared = new Set<LocalProcess>()
  #stopping = false

  constructor(options: RunOptions) {
    this.#options = options
  }

  get processes(): readonly LocalProcess[] {
    return this.#processes
  }

  client(plan: DatacenterPlan): HttpClient {
    const known = this.#clients.get(plan.name)
    if (known) return known
    const made = this.#clientAs(plan, this.#managementToken)
    this.#clients.set(plan.name, made)
    return made
  }

  #clientAs({ ports }: ServerPlan, token: string | undefined): HttpClient {
    return new HttpClient({
      address: `127.0.0.1:${ports.http}`,
      ...(token === undefined ? {} : { token }),
    })
  }

  async #as<T>(server: ServerPlan, token: string | undefined, task: (client: HttpClient) => Promise<T>): Promise<T> {
    const client = this.#clientAs(server, token)
    try {
      return await task(client)
    } finally {
      client.close()
    }
  }

  /** Starts everything; resolves when every datacenter reads every other. @throws UP_PROCESS_ENDED, UP_TIMEOUT */
  async start(): Promise<void> {
    const [primary, ...secondaries] = this.#options.plan.datacenters
    if (!primary) return
    const resumed = isSetUp(primary)
    const etcd = etcdBinary(this.#options.env)
    if (!resumed) setUp(primary, newPrimaryMaterial(primary.name, this.#options.plan), etcd)
    this.#options.progress(`${primary.name}: ${resumed ? 'resuming' : 'starting'} the primary datacenter`)
    await this.#startDatacenter(primary)
    await this.#callThroughGateways(primary)
    if (this.#options.plan.acls) await this.#allowCalls(primary)
    const secret = await this.#exportSecret(primary)
    await Promise.all(
      secondaries.map(async (plan) => {
        if (!isSetUp(plan)) setUp(plan, this.#importSecret(plan, secret), etcd)
        this.#options.progress(`${plan.name}: starting, with the federation secret of ${primary.name}`)
        await this.#startDatacenter(plan)
      }),
    )
    this.#options.progress('waiting until every datacenter reads every other through the mesh gateways')
    await Promise.all(this.#options.plan.datacenters.map((plan) => this.#readsAll(plan)))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    for (const client of this.#clients.values()) client.close()
    await Promise.all(this.#processes.map((each) => each.stop()))
  }

  /** Rejects when any process ends by itself, but for one of several servers: that is started again. */
  anyFailed(): Promise<never> {
    return Promise.race(this.#processes.filter((each) => !this.#spared.has(each)).map((each) => each.failed))
  }

  /** One of several servers: the others do its work until it is back. */
  #startOneOf(plan: DatacenterPlan, position: number): void {
    const { name, config } = filesOf(plan).server(position)
    const process = this.#start(plan, name, ['agent', '-config-file', config])
    this.#spared.add(process)
    process.failed.catch(async (error: unknown) => {
      if (this.#stopping) return
      this.#options.progress(`${messageOf(error).split('\n')[0]}; starting it again`)
      await sleep(systemClock, RESTART_MS)
      this.#processes.splice(this.#processes.indexOf(process), 1)
      this.#spared.delete(process)
      if (!this.#stopping) this.#startOneOf(plan, position)
    })
  }

  async #startServer(plan: DatacenterPlan): Promise<void> {
    for (const [position] of serversOf(plan).entries()) {
      const { name, config, data } = filesOf(plan).server(position)
      mkdirSync(data, { recursive: true, mode: 0o700 })
      if (plan.others.length > 0) this.#startOneOf(plan, position)
      else this.#start(plan, name, ['agent', '-config-file', config])
    }
    await Promise.all(serversOf(plan).map((server) => this.#answers(plan, server)))
    if (this.#options.plan.acls) await this.#giveTokens(plan)
  }

  /** Until a server knows of a leader. */
  #answers(plan: DatacenterPlan, server: ServerPlan): Promise<void> {
    return this.#as(server, undefined, (client) =>
      this.#until(`${server.node} of ${plan.name}`, async () => {
        const leader = await client.json('GET', '/v1/status/leader')
        if (leader === '') throw new Error('no leader yet')
      }),
    )
  }

  /** In the primary from nothing; in a secondary with no more than the federation secret. */
  async #giveTokens(plan: DatacenterPlan): Promise<void> {
    const { name, primary } = plan
    if (primary) {
      await this.#as(plan, undefined, (client) =>
        this.#until(`the bootstrap of access control in ${name}`, async () => {
          this.#managementToken = await bootstrap(client, plan)
        }),
      )
      await makeShared(this.client(plan), plan)
    }
    const token = primary ? this.#managementToken : this.#replicationToken(plan)
    await this.#as(plan, token, (client) => this.#until(`the tokens of ${name}`, () => makeProgramTokens(client, plan)))
    await this.#until(`the token of DNS in ${name}`, () => answerDns(this.client(plan), plan))
    this.#options.progress(`${name}: access denied by default, each program has a token of its own`)
  }

  #replicationToken(plan: DatacenterPlan): string | undefined {
    const { secret } = filesOf(plan)
    return parseFederationSecret(readFileSync(secret, 'utf8'), secret).replicationToken
  }

  async #startDatacenter(plan: DatacenterPlan): Promise<void> {
    const { ports, name } = plan
    // First: what its check finds missing is looked for again only ten seconds later.
    this.#startDemo(plan)
    await this.#startServer(plan)
    for (const [position, server] of gatewayServersOf(plan).entries()) this.#startGateway(plan, server, position)
    const http = `127.0.0.1:${ports.http}`
    const sidecar = ['connect', 'proxy', '-proxy-id', sidecarOf(name), '-http-addr', http]
    this.#start(plan, 'sidecar', sidecar, 'demo-service')
    await this.#as(plan, readToken(plan, 'demo-service'), (client) =>
      client.expect('PUT', '/v1/agent/service/register', { body: this.#demoService(plan) }),
    )
    await this.#until(`the demo service of ${name}`, () => this.#passing(plan, `hello-${name}`))
    const gateways = gatewayServersOf(plan).length
    await this.#until(`the mesh gateway of ${name}`, () => this.#passing(plan, 'mesh-gateway', gateways))
    const servers = serversOf(plan).length
    const what = servers === 1 ? 'server' : `${servers} servers`
    this.#options.progress(`${name}: ${what}, mesh gateway and demo service are up`)
  }

  #startGateway(plan: DatacenterPlan, { ports }: ServerPlan, position: number): void {
    const address = `127.0.0.1:${ports.gateway}`
    const args = ['connect', 'proxy', '-gateway=mesh', '-register', '-expose-servers']
    const name = position === 0 ? 'mesh-gateway' : `mesh-gateway-${position}`
    const at = ['-address', address, '-wan-address', address, '-http-addr', `127.0.0.1:${ports.http}`]
    this.#start(plan, name, [...args, ...at], 'mesh-gateway')
  }

  /** A service as its users would register it: with a sidecar, through which it calls that of the next datacenter. */
  #demoService(plan: DatacenterPlan): object {
    const { name, ports } = plan
    const { name: next } = calledFrom(this.#options.plan, plan)
    const upstream = { DestinationName: `hello-${next}`, Datacenter: next, LocalBindPort: ports.upstream }
    return {
      ID: `hello-${name}`,
      Name: `hello-${name}`,
      Address: '127.0.0.1',
      Port: ports.demo,
      Meta: { demo: 'true' },
      Check: { HTTP: `http://127.0.0.1:${ports.demo}/health`, Interval: '10s', Timeout: '2s' },
      Connect: {
        SidecarService: {
          Port: ports.sidecar,
          Proxy: { Upstreams: [upstream] },
          // The default is a look every ten seconds: too slow for somebody who waits for the first call.
          Checks: [
            { Name: 'Connect Sidecar Listening', TCP: `127.0.0.1:${ports.sidecar}`, Interval: '1s' },
            { Name: `Connect Sidecar Aliasing hello-${name}`, AliasService: `hello-${name}` },
          ],
        },
      },
    }
  }

  async #passing(plan: DatacenterPlan, service: string, instances = 1): Promise<void> {
    const found = await this.client(plan).json('GET', `/v1/health/service/${service}`, { query: { passing: true } })
    if (!Array.isArray(found) || found.length < instances) throw new Error(`no passing instance of "${service}" yet`)
  }

  /** A process of Hanse, with the token of `owner` where there is access control. */
  #start(plan: DatacenterPlan, name: string, args: readonly string[], owner?: TokenOwner): LocalProcess {
    const file = owner === undefined || !this.#options.plan.acls ? undefined : filesOf(plan).token(owner)
    const env = withToken(this.#options.env, file)
    const process = this.#process(plan, name, HANSE, args, env)
    this.#processes.push(process)
    return process
  }

  #startDemo(plan: DatacenterPlan): void {
    const { ports, name } = plan
    const args = ['--disable-warning=ExperimentalWarning', DEMO, String(ports.demo), `hello-${name}`, name]
    this.#processes.push(this.#process(plan, 'demo-service', process.execPath, args, this.#options.env))
  }

  #process(
    plan: DatacenterPlan,
    name: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
  ): LocalProcess {
    return startProcess({ name: `${name} of ${plan.name}`, command, args, logFile: filesOf(plan).log(name), env })
  }

  /** The secret as a secondary's operator gets it: a manifest in a file. */
  async #exportSecret(primary: DatacenterPlan): Promise<string> {
    const { secret } = filesOf(primary)
    const ca = readCa(primary)
    let manifest = ''
    await this.#until(`the federation secret of ${primary.name}`, async () => {
      const replicationToken = this.#options.plan.acls ? readToken(primary, 'replication') : undefined
      const exported = await exportFederationSecret(this.client(primary), {
        caCert: ca.certPem,
        caKey: ca.keyPem,
        ...(replicationToken === undefined ? {} : { replicationToken }),
      })
      manifest = renderFederationSecret(exported)
    })
    writeFileSync(secret, manifest, { mode: 0o600 })
    this.#options.progress(`${primary.name}: federation secret exported (${secret})`)
    return manifest
  }

  #importSecret(plan: DatacenterPlan, manifest: string): DatacenterMaterial {
    const { secret } = filesOf(plan)
    writeFileSync(secret, manifest, { mode: 0o600 })
    return secondaryMaterial(parseFederationSecret(manifest, secret))
  }

  /** Calls between datacenters pass the mesh gateway of the caller's, unless somebody has already said otherwise. */
  async #callThroughGateways(primary: DatacenterPlan): Promise<void> {
    await this.client(primary).expect('PUT', '/v1/config', {
      query: { cas: 0 },
      body: { Kind: 'proxy-defaults', Name: 'global', MeshGateway: { Mode: 'local' } },
    })
  }

  /**
   * With access control nobody may call anybody: the demo services let everyone in, unless somebody has already said
   * otherwise. An intention that names the caller goes before these.
   */
  async #allowCalls(primary: DatacenterPlan): Promise<void> {
    for (const { name } of this.#options.plan.datacenters) {
      const to = `hello-${name}`
      const all = await this.client(primary).json('GET', '/v1/connect/intentions')
      const there = Array.isArray(all) && all.some((each: { DestinationName?: unknown }) => each.DestinationName === to)
      if (there) continue
      // As the command makes it: one that is written as a config entry could not be followed by `intention create`.
      await this.client(primary).expect('POST', '/v1/connect/intentions', {
        body: { SourceName: '*', DestinationName: to, Action: 'allow' },
      })
    }
  }

  async #readsAll(plan: DatacenterPlan): Promise<void> {
    const client = this.client(plan)
    for (const other of this.#options.plan.datacenters) {
      if (other.name === plan.name) continue
      await this.#until(`${plan.name} to read the services of ${other.name}`, async () => {
        const services = await client.json('GET', '/v1/catalog/services', { query: { dc: other.name } })
        if (typeof services !== 'object' || services === null || !(`hello-${other.name}` in services)) {
          throw new Error(`its demo service is not there yet`)
        }
      })
    }
    await this.#until(`the sidecar of ${plan.name}`, () => this.#passing(plan, sidecarOf(plan.name)))
    await this.#until(`${plan.name} to see all servers alive`, async () => {
      const members = await client.json('GET', '/v1/agent/members', { query: { wan: 1 } })
      const alive = Array.isArray(members) ? members.filter((member: { Status?: unknown }) => member.Status === 1) : []
      const servers = this.#options.plan.datacenters.flatMap(serversOf)
      const missing = servers.length - alive.length
      if (missing > 0) throw new Error(`${missing} not alive yet`)
    })
  }

  async #until(what: string, attempt: () => Promise<void>): Promise<void> {
    const deadline = systemClock.nowMs() + STEP_TIMEOUT_MS
    const failed = this.anyFailed()
    for (;;) {
      try {
        await Promise.race([attempt(), failed])
        return
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'UP_PROCESS_ENDED') throw error
        if (systemClock.nowMs() > deadline) {
          throw localError('UP_TIMEOUT', { what, seconds: STEP_TIMEOUT_MS / 1000, reason: messageOf(error) }, error)
        }
      }
      await sleep(systemClock, POLL_MS)
    }
  }
}
