/**
 * For tests: datacenters with real state over an engine in memory, joined by a router that carries encoded calls from
 * one to the other as the wire does.
 */
import { type Duplex, duplexPair } from 'node:stream'
import { type Clock, type Logger, Metrics, messageOf, seededRandom, silentLogger, systemClock } from '#base'
import type { KeyOperations, KeyringResult } from '#gossip'
import { netError } from '#net'
import { State } from '#state'
import { type Engine, openMemory } from '#store'
import { type AclPort, NO_ACLS } from './acl-port.ts'
import { Endpoints, type EndpointsOptions } from './endpoints.ts'
import { endpointError } from './errors.ts'
import type { EventPort, ForwardRequest, Router, StreamRequest } from './ports.ts'
import { serveSnapshot } from './snapshot-stream.ts'

export const KEY = 'I8pGpYyHEpzLyYLkqHXoM97qQ4ySsT3LIGJkg/8eHxM='

/** A keyring of one pool that holds one key. */
function keyring(nodes: number): KeyOperations {
  const done = async (): Promise<KeyringResult> => ({
    messages: {},
    keys: { [KEY]: nodes },
    primaryKeys: { [KEY]: nodes },
    numNodes: nodes,
    numResponses: nodes,
  })
  const install = async (key: string): Promise<KeyringResult> => {
    if (Buffer.from(key, 'base64').length !== 32) throw new Error('illegal base64 data at input byte 0')
    return done()
  }
  return { list: done, install, use: done, remove: done }
}

export interface Datacenter {
  readonly name: string
  readonly endpoints: Endpoints
  readonly state: State
  /** What this datacenter sent to others. */
  readonly sent: ForwardRequest[]
  /** Events that were fired here. */
  readonly events: { readonly name: string; readonly payload: Buffer }[]
}

export interface Federation {
  of(name: string): Datacenter
  /** Datacenters that do not answer. */
  readonly silent: Set<string>
  close(): Promise<void>
}

export interface FederationOptions {
  readonly clock?: Clock
  readonly log?: Logger
  readonly limits?: EndpointsOptions['limits']
  readonly operations?: EndpointsOptions['operations']
  readonly minSessionTtlMs?: number
  /** Access control, with rules denying by default where it is enabled. */
  readonly acl?: Partial<AclPort>
}

/** The first name is the primary. */
export async function federation(names: readonly string[], options: FederationOptions = {}): Promise<Federation> {
  const members = new Map<string, Datacenter>()
  const silent = new Set<string>()
  const engines: Engine[] = []
  const [primaryDatacenter = ''] = names
  const clock = options.clock ?? systemClock
  for (const name of names) {
    const engine = await openMemory()
    engines.push(engine)
    const metrics = new Metrics()
    const log = options.log ?? silentLogger
    const state = await State.open({ engine, clock, log, metrics, datacenter: name })
    const sent: ForwardRequest[] = []
    const events: Datacenter['events'] = []
    const fire: EventPort['fire'] = async (event, payload) => {
      events.push({ name: event, payload })
    }
    const forward = async (request: ForwardRequest): Promise<Buffer> => {
      sent.push(request)
      const target = members.get(request.datacenter)
      if (target === undefined) throw endpointError('NO_PATH_TO_DATACENTER', { datacenter: request.datacenter })
      if (silent.has(request.datacenter)) {
        throw endpointError('DATACENTER_UNREACHABLE', { datacenter: request.datacenter })
      }
      try {
        return await target.endpoints.handle(request.method, request.body, { ...request, remote: name })
      } catch (error) {
        throw netError('RPC_REMOTE', { text: messageOf(error), method: request.method, target: request.datacenter })
      }
    }
    const open = async ({ datacenter }: StreamRequest): Promise<Duplex> => {
      const target = members.get(datacenter)
      if (target === undefined) throw endpointError('NO_PATH_TO_DATACENTER', { datacenter })
      const [ours, theirs] = duplexPair()
      void serveSnapshot(target.endpoints.snapshots, theirs, log)
      return ours
    }
    const router: Router = {
      datacenter: name,
      primaryDatacenter,
      forward,
      open,
      datacenters: () => [name, ...names.filter((each) => each !== name)],
      datacenterMaps: () => names.map((Datacenter) => ({ Datacenter, AreaID: 'wan', Coordinates: [] })),
    }
    const endpoints = new Endpoints({
      datacenter: name,
      primaryDatacenter,
      state,
      router,
      ports: {
        keyring: { lan: keyring(1), wan: keyring(names.length) },
        events: { fire },
        leaderAddress: () => '127.0.0.1:8300',
        peers: () => ['127.0.0.1:8300'],
      },
      clock,
      random: seededRandom(1),
      log,
      metrics,
      acl: { ...NO_ACLS, ...options.acl },
      ...(options.limits && { limits: options.limits }),
      ...(options.operations && { operations: options.operations }),
      ...(options.minSessionTtlMs && { minSessionTtlMs: options.minSessionTtlMs }),
    })
    members.set(name, { name, endpoints, state, sent, events })
  }
  return {
    silent,
    of(name) {
      const found = members.get(name)
      if (found === undefined) throw new Error(`no datacenter ${name}`)
      return found
    },
    async close() {
      for (const { state } of members.values()) await state.close()
      for (const engine of engines) await engine.close()
    },
  }
}
