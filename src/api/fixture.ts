/**
 * For tests: two datacenters with real state and endpoints, joined by a router in memory; an agent that has nothing of
 * its own; HTTP asked over a socket.
 */
import { request } from 'node:http'
import { Metrics, messageOf, seededRandom, silentLogger, systemClock } from '#base'
import { type AclPort, Endpoints, endpointError, NO_ACLS, type Router, type Waits } from '#endpoints'
import { netError } from '#net'
import { State } from '#state'
import { openMemory } from '#store'
import type { AgentMember, AgentPort } from './agent-port.ts'

export interface Datacenter {
  readonly name: string
  readonly endpoints: Endpoints
  readonly state: State
  /** User events that were fired here. */
  readonly events: { readonly name: string; readonly payload: Buffer }[]
}

export interface TwoDatacenters {
  readonly dc1: Datacenter
  readonly dc2: Datacenter
  /** Makes every call to this datacenter fail, or hang when `hang` is given. */
  fail(name: string, how: 'unreachable' | 'hang'): void
  close(): Promise<void>
}

const GOSSIP_KEY = 'I8pGpYyHEpzLyYLkqHXoM97qQ4ySsT3LIGJkg/8eHxM='

function keys(nodes: number) {
  const answer = async () => ({
    messages: {},
    keys: { [GOSSIP_KEY]: nodes },
    primaryKeys: { [GOSSIP_KEY]: nodes },
    numNodes: nodes,
    numResponses: nodes,
  })
  const refuse = async () => {
    throw new Error('1/1 nodes reported failure')
  }
  return { list: answer, install: answer, use: refuse, remove: answer }
}

/** dc1 is the primary. @param options.waits - of dc1 alone */
export async function twoDatacenters(
  options: { readonly acl?: Partial<AclPort>; readonly waits?: Waits } = {},
): Promise<TwoDatacenters> {
  const members = new Map<string, Datacenter>()
  const failing = new Map<string, 'unreachable' | 'hang'>()
  const closers: (() => Promise<void>)[] = []
  const start = async (name: string): Promise<Datacenter> => {
    const engine = await openMemory()
    const base = { clock: systemClock, log: silentLogger, metrics: new Metrics() }
    const state = await State.open({ ...base, engine, datacenter: name })
    const router = routerOf(name, members, failing)
    const events: Datacenter['events'] = []
    const endpoints = new Endpoints({
      ...base,
      datacenter: name,
      primaryDatacenter: 'dc1',
      state,
      router,
      random: seededRandom(name === 'dc1' ? 1 : 2),
      acl: { ...NO_ACLS, ...options.acl },
      ...(name === 'dc1' && options.waits && { waits: options.waits }),
      ports: {
        keyring: { lan: keys(1), wan: keys(2) },
        events: { fire: async (name, payload) => void events.push({ name, payload }) },
        leaderAddress: () => (name === 'dc1' ? '127.10.1.1:8300' : '127.10.2.1:8300'),
        peers: () => [name === 'dc1' ? '127.10.1.1:8300' : '127.10.2.1:8300'],
      },
    })
    closers.push(async () => {
      await state.close()
      await engine.close()
    })
    const made = { name, endpoints, state, events }
    members.set(name, made)
    return made
  }
  const dc1 = await start('dc1')
  const dc2 = await start('dc2')
  return {
    dc1,
    dc2,
    fail: (name, how) => failing.set(name, how),
    close: async () => {
      for (const close of closers) await close()
    },
  }
}

function routerOf(
  name: string,
  members: ReadonlyMap<string, Datacenter>,
  failing: ReadonlyMap<string, 'unreachable' | 'hang'>,
): Router {
  return {
    datacenter: name,
    primaryDatacenter: 'dc1',
    async forward({ datacenter, method, body, signal }) {
      const target = members.get(datacenter)
      if (target === undefined) throw endpointError('NO_PATH_TO_DATACENTER', { datacenter })
      const how = failing.get(datacenter)
      if (how === 'unreachable') throw endpointError('DATACENTER_UNREACHABLE', { datacenter })
      if (how === 'hang') {
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      }
      try {
        return await target.endpoints.handle(method, body, { ...(signal && { signal }), remote: name })
      } catch (thrown) {
        throw netError('RPC_REMOTE', { text: messageOf(thrown), method, target: datacenter })
      }
    },
    open: ({ datacenter }) => Promise.reject(endpointError('NO_PATH_TO_DATACENTER', { datacenter })),
    datacenters: () => ['dc1', 'dc2'],
    datacenterMaps: () => [],
  }
}

const MEMBER: AgentMember = {
  Name: 's1',
  Addr: '127.10.1.1',
  Port: 8301,
  Tags: { dc: 'dc1', role: 'consul' },
  Status: 1,
  ProtocolMin: 1,
  ProtocolMax: 5,
  ProtocolCur: 2,
  DelegateMin: 2,
  DelegateMax: 5,
  DelegateCur: 4,
}

/** An agent without local services: what the core of the API needs of one. Writes to it are refused. */
export function emptyAgent(metrics = new Metrics()): AgentPort {
  const refuse = async () => {
    throw new Error('this agent takes nothing')
  }
  return {
    nodeName: 's1',
    datacenter: 'dc1',
    remoteScriptChecks: false,
    self: () => ({
      Config: {
        Datacenter: 'dc1',
        PrimaryDatacenter: 'dc1',
        NodeName: 's1',
        NodeID: '11111111-1111-4111-8111-111111111111',
        Revision: '',
        Server: true,
        Version: '1.21.0',
        BuildDate: '1970-01-01T00:00:01Z',
      },
      DebugConfig: {},
      Coord: null,
      Member: MEMBER,
      Stats: {},
      Meta: {},
    }),
    version: () => ({ SHA: '', BuildDate: '1970-01-01T00:00:01Z', HumanVersion: '1.21.0', FIPS: '' }),
    host: () => ({}),
    metrics,
    prometheusRetentionMs: 0,
    members: () => [MEMBER],
    join: refuse,
    leave: refuse,
    forceLeave: refuse,
    reload: async () => {},
    services: () => [],
    service: () => undefined,
    onServiceChange: () => () => {},
    checks: () => [],
    check: () => undefined,
    registerService: refuse,
    deregisterService: refuse,
    registerCheck: refuse,
    deregisterCheck: refuse,
    updateTtl: refuse,
    nodeMaintenance: refuse,
    serviceMaintenance: refuse,
    leaf: () => Promise.reject(new Error('no leafs here')),
    proxySnapshot: () => Promise.reject(new Error('no proxies here')),
    events: { list: () => [], onEvent: () => () => {} },
    monitor: () => () => {},
    federationStatus: () => ({ Datacenter: 'dc1' }),
  }
}

export interface HttpReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** One exchange on a connection of its own. */
export function ask(
  port: number,
  method: string,
  path: string,
  given: { readonly body?: Buffer | string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...given.headers,
      ...(given.body !== undefined && { 'Content-Length': Buffer.byteLength(given.body) }),
    }
    const out = request({ host: '127.0.0.1', port, method, path, agent: false, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    })
    out.on('error', reject)
    out.end(given.body)
  })
}
