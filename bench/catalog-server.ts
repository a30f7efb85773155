/**
 * The server side of bench/http.ts and bench/dns.ts, run as a child process: the API and DNS over a catalog of 1,000 nodes,
 * 5,500 instances and 200 services, and beside them the bare servers that they are compared with.
 *
 * Told what to do by messages from the parent; answers with the CPU time this process has used.
 */
import { createSocket } from 'node:dgram'
import { createServer, type ServerResponse } from 'node:http'
import { type AgentPort, DnsServer, httpApi } from '#api'
import { Metrics, silentLogger, systemClock, systemRandom } from '#base'
import { DirEntry, HealthCheck, KVSRequest, NodeService, RegisterRequest } from '#codec'
import { catalog, Endpoints, kvs, type Router } from '#endpoints'
import { State } from '#state'
import { openMemory } from '#store'

export const NODES = 1000
export const INSTANCES = 5500
export const SERVICES = 200
/** One service has this many; the others share the rest, 25 each. */
const LARGE = 500
const SMALL = 25

export type Command =
  | { readonly kind: 'cpu' }
  /** What the bare HTTP server is to send. */
  | { readonly kind: 'canned'; readonly headers: readonly string[]; readonly body: string }
  /** Changes one instance of a service, so that its watchers wake. */
  | { readonly kind: 'change'; readonly service: string; readonly port: number }
  /** Sends the canned answer to everyone who is parked at the bare server. */
  | { readonly kind: 'release' }
  /** What the bare UDP server is to send, but for the ID. */
  | { readonly kind: 'datagram'; readonly hex: string }

export type Report =
  | { readonly kind: 'ready'; readonly api: number; readonly bare: number; readonly dns: number; readonly echo: number }
  | { readonly kind: 'cpu'; readonly cpuUs: number; readonly rssBytes: number }
  | { readonly kind: 'done' }

function tell(report: Report): void {
  process.send?.(report)
}

async function startEndpoints(): Promise<Endpoints> {
  const engine = await openMemory()
  const base = { clock: systemClock, log: silentLogger, metrics: new Metrics() }
  const state = await State.open({ ...base, engine, datacenter: 'dc1' })
  const router: Router = {
    datacenter: 'dc1',
    primaryDatacenter: 'dc1',
    forward: async () => {
      throw new Error('there is one datacenter')
    },
    open: async () => {
      throw new Error('there is one datacenter')
    },
    datacenters: () => ['dc1'],
    datacenterMaps: () => [],
  }
  const none = async () => ({ messages: {}, keys: {}, primaryKeys: {}, numNodes: 0, numResponses: 0 })
  const lan = { list: none, install: none, use: none, remove: none }
  const ports = { keyring: { lan }, leaderAddress: () => '127.0.0.1:8300', peers: () => ['127.0.0.1:8300'] }
  return new Endpoints({
    ...base,
    datacenter: 'dc1',
    primaryDatacenter: 'dc1',
    state,
    router,
    random: systemRandom,
    ports,
  })
}

const serviceName = (index: number) => `service-${String(index).padStart(3, '0')}`
const nodeName = (index: number) => `node-${String(index).padStart(4, '0')}`

function registration(instance: number, service: number, port: number): RegisterRequest {
  const node = instance % NODES
  const name = serviceName(service)
  const id = `${name}-${instance}`
  return RegisterRequest.of({
    Node: nodeName(node),
    Address: `10.0.${node >> 8}.${node & 255}`,
    Service: NodeService.of({
      ID: id,
      Service: name,
      Tags: ['v1', 'primary'],
      Port: port,
      Meta: { version: '1.2.3' },
      Weights: { Passing: 1, Warning: 1 },
    }),
    Checks: [
      HealthCheck.of({
        Node: nodeName(node),
        CheckID: `service:${id}`,
        Name: 'alive',
        Status: 'passing',
        ServiceID: id,
      }),
    ],
  })
}

async function fill(endpoints: Endpoints): Promise<void> {
  const writes: Promise<unknown>[] = []
  for (let instance = 0; instance < INSTANCES; instance++) {
    const service = instance < LARGE ? 0 : 1 + (Math.floor((instance - LARGE) / SMALL) % (SERVICES - 1))
    writes.push(endpoints.call(catalog.register, registration(instance, service, 8000)))
    if (writes.length === 50) await Promise.all(writes.splice(0))
  }
  await Promise.all(writes)
  const DirEnt = DirEntry.of({ Key: 'x', Value: Buffer.alloc(60, 'v') })
  await endpoints.call(kvs.apply, KVSRequest.of({ Op: 'set', DirEnt }))
}

/** A server without an agent: its part of the API is not asked. */
function noAgent(): AgentPort {
  const absent = (): never => {
    throw new Error('no agent')
  }
  const refuse = async (): Promise<never> => absent()
  return {
    nodeName: 'bench',
    datacenter: 'dc1',
    remoteScriptChecks: false,
    self: absent,
    version: absent,
    host: absent,
    metrics: new Metrics(),
    prometheusRetentionMs: 0,
    members: absent,
    join: refuse,
    leave: refuse,
    forceLeave: refuse,
    reload: refuse,
    services: absent,
    service: absent,
    onServiceChange: absent,
    checks: absent,
    check: absent,
    registerService: refuse,
    deregisterService: refuse,
    registerCheck: refuse,
    deregisterCheck: refuse,
    updateTtl: refuse,
    nodeMaintenance: refuse,
    serviceMaintenance: refuse,
    leaf: refuse,
    proxySnapshot: refuse,
    monitor: absent,
    events: { list: absent, onEvent: absent },
    federationStatus: absent,
  }
}

const WAKE_CHUNK = 128

/** node:http with a flat header list and a ready buffer; `/park` waits for `release`. */
class BareServer {
  headers: string[] = []
  body = Buffer.alloc(0)
  readonly #parked: ServerResponse[] = []
  readonly server = createServer((request, response) => {
    if (request.url === '/park') this.#parked.push(response)
    else this.#send(response)
  })

  #send(response: ServerResponse): void {
    response.writeHead(200, this.headers)
    response.end(this.body)
  }

  release(): void {
    for (const response of this.#parked.splice(0, WAKE_CHUNK)) this.#send(response)
    if (this.#parked.length > 0) setImmediate(() => this.release())
  }
}

/** A datagram socket that answers each message with the same bytes, under the message's ID. */
async function startEcho(answer: () => Buffer): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => {
    const ready = answer()
    const out = Buffer.allocUnsafe(ready.length)
    ready.copy(out)
    out[0] = message[0] ?? 0
    out[1] = message[1] ?? 0
    socket.send(out, 0, out.length, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return socket.address().port
}

async function main(): Promise<void> {
  const endpoints = await startEndpoints()
  await fill(endpoints)
  const base = { clock: systemClock, random: systemRandom, log: silentLogger, metrics: new Metrics(), endpoints }
  const api = httpApi({ ...base, agent: noAgent(), maxConnectionsPerClient: 0 })
  const dns = new DnsServer(base)
  const bare = new BareServer()
  let datagram: Buffer = Buffer.alloc(64)
  bare.server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve) => bare.server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, resolve))
  const bound = bare.server.address()
  const local = { host: '127.0.0.1', port: 0 }
  process.on('message', (command: Command) => {
    switch (command.kind) {
      case 'cpu': {
        const { user, system } = process.cpuUsage()
        tell({ kind: 'cpu', cpuUs: user + system, rssBytes: process.memoryUsage.rss() })
        return
      }
      case 'canned':
        bare.headers = [...command.headers]
        bare.body = Buffer.from(command.body)
        break
      case 'release':
        bare.release()
        break
      case 'datagram':
        datagram = Buffer.from(command.hex, 'hex')
        break
      case 'change':
        void endpoints.call(catalog.register, registration(LARGE, 1, command.port))
        break
    }
    tell({ kind: 'done' })
  })
  process.on('disconnect', () => process.exit(0))
  tell({
    kind: 'ready',
    api: (await api.listen(local)).port,
    bare: typeof bound === 'object' && bound !== null ? bound.port : 0,
    dns: (await dns.listen(local)).port,
    echo: await startEcho(() => datagram),
  })
}

// Only as a child process: whoever imports this file wants its types.
if (process.send !== undefined) await main()
