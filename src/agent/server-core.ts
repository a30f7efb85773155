/**
 * A server's core, put together: store, state, gossip, the server port, federation, endpoints. Everything that other
 * servers see of us; what users see (HTTP, DNS, this agent's own services) stands on top of it in agent.ts.
 *
 * Order matters: the port is bound first, because gossip tells everyone which it is; gossip comes before the router,
 * which reads its members; and calls that arrive before the endpoints are there wait for them.
 */
import { formatHostPort, type Logger, messageOf } from '#base'
import { CADriver } from '#ca'
import { Endpoints, expireSessions } from '#endpoints'
import { createWanLink, Federation, LocalServers, primaryAuthority } from '#federation'
import type { Gossip } from '#gossip'
import type { ServerPort } from '#net'
import { State } from '#state'
import { type Engine, NO_MEMBERS } from '#store'
import { AgentTokens } from './agent-tokens.ts'
import { Certificates } from './certificates.ts'
import { aclPort, startAcls } from './core-access.ts'
import type { CoreModules, CoreOptions } from './core-options.ts'
import { startPools } from './core-pools.ts'
import { type CoreParts, listen } from './core-port.ts'
import { DatacenterServers } from './datacenter-servers.ts'
import { removeDeadServers } from './dead-servers.ts'
import { Drain } from './drain.ts'
import { parseGateway } from './gateway-addresses.ts'
import { joinLan } from './lan-join.ts'
import { Leadership } from './leadership.ts'
import { needsOthers, type OpenStore, openStore, openWithOthers } from './store.ts'
import { EVENT_PREFIX } from './user-events.ts'

export interface ServerCore {
  readonly engine: Engine
  readonly store: OpenStore
  /** It has joined the others of its datacenter already, to open the store with them. */
  readonly joinedLan: boolean
  readonly state: State
  readonly gossip: Gossip
  readonly serverPort: ServerPort
  readonly federation: Federation
  readonly endpoints: Endpoints
  readonly tokens: AgentTokens
  readonly leadership: Leadership
  readonly servers: DatacenterServers
  /** "ip:port" of the server port, as others are told it. */
  readonly rpcAddress: string
  stop(): Promise<void>
}

/** Steps that undo what was begun, newest first, for a start that fails half-way and for the stop. */
class Undo {
  readonly #steps: (() => void | Promise<void>)[] = []

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step)
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step()
  }
}

export async function startServerCore(options: CoreOptions, modules: CoreModules): Promise<ServerCore> {
  const undo = new Undo()
  try {
    return await build(options, modules, undo)
  } catch (error) {
    await undo.run()
    throw error
  }
}

async function build(options: CoreOptions, modules: CoreModules, undo: Undo): Promise<ServerCore> {
  const { config, dataDir, identity, https, leafs } = options
  const { logSink, metrics, clock, random } = modules
  const { datacenter, primaryDatacenter, nodeName, domain } = config
  const log = logSink.logger('agent.server')
  const wanFederation = config.connect.enableMeshGatewayWanFederation

  const alone = !modules.openStore && needsOthers(config) ? undefined : await keptBy(options, modules)
  if (alone) undo.add(() => alone.close())

  const tokens = new AgentTokens(
    { dataDir, persist: config.acl.enableTokenPersistence, configured: config.acl.tokens },
    log.named('acl'),
  )
  const link = createWanLink(
    { datacenter, primaryDatacenter, domain, primaryGateways: config.primaryGateways.map(parseGateway) },
    { identity, clock, random, log: log.named('wan'), metrics },
  )
  const parts: CoreParts = {}
  const drain = new Drain()
  const serverPort = await listen(options, modules, parts, drain)
  undo.add(() => serverPort.close())

  const gossip = await startPools(options, modules, serverPort.address.port, wanFederation ? link : undefined)
  parts.gossip = gossip
  undo.add(() => gossip.shutdown())

  const store = alone ?? (await found(options, modules, gossip, undo))
  const { engine } = store
  const state = await State.open({ engine, clock, log: log.named('state'), metrics, datacenter })
  undo.add(() => state.close())

  const rpcAddress = formatHostPort(config.advertiseAddress, serverPort.address.port)
  const certificates = new Certificates(datacenter, { state, identity, https, leafs, clock, log, metrics })
  const federation = new Federation(
    { datacenter, primaryDatacenter, nodeName, domain, acls: config.acl.enabled, enabled: wanFederation },
    {
      link,
      lan: gossip.lan,
      wan: gossip.wan,
      state,
      certificates: () => certificates.list(),
      clock,
      random,
      log: logSink.logger('agent.federation'),
      metrics,
    },
  )
  const leadership = new Leadership(
    { address: rpcAddress, nodeId: options.nodeId, name: nodeName },
    { engine, clock, log, metrics, announce: () => announceLeader(gossip, nodeName, log) },
  )
  const freshness = { knownLeader: () => leadership.leader !== undefined, lastContactMs: () => engine.staleMs() }
  const verifyName = () => options.tls().internalRpc.verifyServerHostname
  const calls = new LocalServers({ datacenter, domain, verifyName }, { identity, clock, metrics })
  undo.add(() => calls.close())
  const servers = new DatacenterServers(options.nodeId, config.autopilot, {
    ...gossip,
    wan: gossip.wan,
    leadership,
    members: store.members ?? NO_MEMBERS,
    calls,
    state,
    freshness,
    clock,
    log,
  })
  undo.add(() => servers.stop())
  const ca = config.connect.enabled ? authorityOf(options, modules, state, parts, tokens) : undefined
  const endpoints = new Endpoints({
    datacenter,
    primaryDatacenter,
    state,
    router: federation.router,
    ports: {
      keyring: { lan: gossip.lan.keys, ...(gossip.wan ? { wan: gossip.wan.keys } : {}) },
      ...(ca ? { ca } : {}),
      events: { fire: (name, payload) => gossip.lan.userEvent(`${EVENT_PREFIX}${name}`, payload, false) },
      spoolDirectory: dataDir,
      servers,
      freshness,
      leaderAddress: () => leadership.leader?.address ?? '',
      peers: () => servers.now().map(({ address }) => address),
    },
    clock,
    random,
    log: log.named('endpoints'),
    metrics,
    operations: federation.operations,
    minSessionTtlMs: config.sessionTtlMinMs,
    waits: {
      defaultMs: config.defaultQueryTimeMs,
      maxMs: config.maxQueryTimeMs,
      callMs: config.limits.rpcClientTimeoutMs,
    },
    acl: aclPort(options, tokens, federation),
  })
  parts.endpoints = endpoints
  tokens.onSet((kind) => kind === 'replication' && federation.retryReplication())
  federation.start()
  undo.add(() => federation.stop())
  if (ca) {
    undo.add(() => ca.stop())
    await ca.start()
  }
  certificates.start()
  undo.add(() => certificates.stop())

  if (config.acl.enabled) {
    await leadership.duty('access control', () => startAcls(options, modules, state))
  }
  await leadership.duty('sessions', () => expireSessions(state, { clock, log: logSink.logger('agent.sessions') }))
  await leadership.duty('federation', () => federation.lead(endpoints))
  if (ca) await leadership.duty('certificate authority', () => ca.lead())
  const watched = { servers, state, clock, log: logSink.logger('agent.server.autopilot'), metrics }
  await leadership.duty('dead servers', () => removeDeadServers(watched, { expected: config.bootstrapExpect }))
  undo.add(() => leadership.stop())
  await leadership.start()
  undo.add(() => drain.run(serverPort, clock))
  const stop = () => undo.run()
  const joinedLan = alone === undefined
  return {
    engine,
    store,
    joinedLan,
    state,
    gossip,
    serverPort,
    federation,
    endpoints,
    tokens,
    leadership,
    servers,
    rpcAddress,
    stop,
  }
}

/** The store of a server that needs no other for it. */
async function keptBy(options: CoreOptions, modules: CoreModules): Promise<OpenStore> {
  if (modules.openStore === undefined) return openStore(options, modules)
  const engine = await modules.openStore()
  return { engine, refresh: () => {}, close: () => engine.close() }
}

/** The store that this server keeps with the others, once they have found each other. */
async function found(options: CoreOptions, modules: CoreModules, gossip: Gossip, undo: Undo): Promise<OpenStore> {
  const { clock, logSink, signal, onRemoved } = modules
  const { lan } = gossip
  undo.add(joinLan(lan, options.config, clock, logSink.logger('agent')))
  const store = await openWithOthers(options, { ...modules, lan, signal, onRemoved })
  undo.add(() => store.close())
  return store
}

/** Tells the LAN pool, as Consul's leaders do, who leads from now on. */
function announceLeader(gossip: Gossip, nodeName: string, log: Logger): void {
  void gossip.lan.userEvent('consul:new-leader', Buffer.from(nodeName), false).catch((error: unknown) => {
    log.debug('the pool was not told of its leader', { error: messageOf(error) })
  })
}

/** This datacenter's certificate authority: of the federation in the primary, by the primary's grace in a secondary. */
function authorityOf(
  { config }: CoreOptions,
  { clock, random, logSink }: CoreModules,
  state: State,
  parts: { endpoints?: Endpoints },
  tokens: AgentTokens,
): CADriver {
  const { datacenter, primaryDatacenter } = config
  const endpoints = () => {
    if (!parts.endpoints) throw new Error('the server is starting')
    return parts.endpoints
  }
  const primary =
    datacenter === primaryDatacenter
      ? {}
      : { primary: primaryAuthority(endpoints, primaryDatacenter, () => tokens.get('replication')) }
  return new CADriver(datacenter, { state, clock, random, log: logSink.logger('agent.server.connect'), ...primary })
}
