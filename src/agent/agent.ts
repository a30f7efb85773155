/**
 * A server, put together and run: data directory, core, this agent's own services, HTTP and DNS; started in the order
 * in which each needs the other, stopped the other way round.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DnsServer, httpApi } from '#api'
import { type Clock, CONSUL_VERSION, type LogSink, Metrics, type Random, sleep } from '#base'
import type { TlsIdentity } from '#net'
import type { Engine } from '#store'
import { isTokenKind } from './agent-tokens.ts'
import { reloadable } from './config-reload.ts'
import type { RuntimeConfig } from './config-runtime.ts'
import { joinLan } from './lan-join.ts'
import { Leafs } from './leafs.ts'
import { dnsSettings, type OpenPorts, openPorts, tlsOptions } from './listeners.ts'
import { LocalAgent } from './local-agent.ts'
import { MemberReconcile } from './member-reconcile.ts'
import { makeDataDirectory, nodeIdOf } from './node-id.ts'
import { publishCoordinate } from './own-coordinate.ts'
import { ProxySnapshots } from './proxy-snapshots.ts'
import { ServerAgent } from './server-agent.ts'
import { type ServerCore, startServerCore } from './server-core.ts'
import { loadIdentity } from './tls-files.ts'
import { UserEvents } from './user-events.ts'
import { ownAccess, Watches } from './watches.ts'

export interface AgentOptions {
  readonly config: RuntimeConfig
  /** Reads the configuration again, for a reload. */
  readonly reloadConfig: () => { readonly config: RuntimeConfig; readonly warnings: readonly string[] }
}

export interface AgentModules {
  readonly logSink: LogSink
  readonly clock: Clock
  readonly random: Random
  /** See CoreModules. */
  readonly openStore?: (() => Promise<Engine>) | undefined
  /** Ends a start that waits for other servers. */
  readonly signal?: AbortSignal
}

export class Agent {
  readonly ports: OpenPorts
  readonly core: ServerCore
  /** Resolves when the agent has stopped: undefined when it was asked to, else the reason. */
  readonly stopped: Promise<string | undefined>
  readonly #shutdown: () => Promise<void>
  readonly #leave: () => Promise<void>
  readonly #reload: () => Promise<void>

  constructor(parts: {
    ports: OpenPorts
    core: ServerCore
    stopped: Promise<string | undefined>
    shutdown: () => Promise<void>
    leave: () => Promise<void>
    reload: () => Promise<void>
  }) {
    this.ports = parts.ports
    this.core = parts.core
    this.stopped = parts.stopped
    this.#shutdown = parts.shutdown
    this.#leave = parts.leave
    this.#reload = parts.reload
  }

  /** Stops without a goodbye: others see this server fail. */
  shutdown(): Promise<void> {
    return this.#shutdown()
  }

  /** Says goodbye to both pools, then stops. */
  leave(): Promise<void> {
    return this.#leave()
  }

  reload(): Promise<void> {
    return this.#reload()
  }
}

/** The certificate of the server port, with the names that other datacenters verify when they come by gateways. */
function serverIdentity(config: RuntimeConfig, clock: Clock): TlsIdentity | undefined {
  const suffix = `server.${config.datacenter}.${config.domain}`
  const names = config.connect.enableMeshGatewayWanFederation ? [suffix, `${config.nodeName}.${suffix}`] : []
  return loadIdentity(config.tls.internalRpc, names, clock)
}

/** The certificate of the HTTPS port, where there is one. */
function httpsIdentity(config: RuntimeConfig, clock: Clock): TlsIdentity | undefined {
  const identity = loadIdentity(config.tls.https, [], clock)
  return config.ports.https < 0 ? undefined : identity
}

function ownAddresses(config: RuntimeConfig): Readonly<Record<string, string>> {
  const family = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4')
  const { advertiseAddress: lan, advertiseAddressWan: wan } = config
  return { lan, [`lan_${family(lan)}`]: lan, wan, [`wan_${family(wan)}`]: wan }
}

/**
 * Starts a server; resolves when it serves.
 *
 * @throws HanseError of what is wrong: configuration, certificates, data directory, ports; nothing is left running then
 */
export async function startAgent(options: AgentOptions, modules: AgentModules): Promise<Agent> {
  const { logSink, clock, random } = modules
  const metrics = new Metrics()
  const log = logSink.logger('agent')
  let { config } = options
  const temporary = config.dataDir === '' ? mkdtempSync(join(tmpdir(), 'hanse-dev-')) : undefined
  const dataDir = temporary ?? config.dataDir
  makeDataDirectory(dataDir)
  const nodeId = nodeIdOf(dataDir, config.nodeId, random)
  let identity = serverIdentity(config, clock)
  let https = httpsIdentity(config, clock)
  let leafs: Leafs | undefined
  let watches: Watches | undefined
  let removed = false
  let begun: ServerCore | undefined
  const onRemoved = async () => {
    removed = true
    // While it starts, it is dealt with once there is something to stop.
    if (begun === undefined) return
    begun.store.etcd?.putAside()
    log.error('the other servers have removed this one from etcd, the server stops')
    await shutdown('the other servers have removed this one from etcd; the next start joins them anew')
  }
  const core = await startServerCore(
    {
      config,
      nodeId,
      dataDir,
      identity: () => identity,
      https: () => https,
      tls: () => config.tls,
      leafs: () => leafs?.certificates() ?? [],
    },
    {
      logSink,
      metrics,
      clock,
      random,
      openStore: modules.openStore,
      signal: modules.signal ?? new AbortController().signal,
      onRemoved: () => void onRemoved(),
    },
  )
  const stops: (() => void | Promise<void>)[] = [() => core.stop()]
  const { promise: stopped, resolve: onStopped } = Promise.withResolvers<string | undefined>()
  let stopping: Promise<void> | undefined
  const shutdown = (failure?: string): Promise<void> => {
    stopping ??= (async () => {
      // Another server takes the duties over while we are still stopping.
      await core.leadership.stop()
      for (const stop of stops.splice(0).reverse()) await stop()
      if (temporary) rmSync(temporary, { recursive: true, force: true })
      onStopped(failure)
    })()
    return stopping
  }
  void core.gossip.ended.then((reason) => {
    if (reason === undefined) return
    log.error('the gossip thread has ended, the server stops', { error: reason })
    void shutdown(`the gossip thread has ended: ${reason}`)
  })
  try {
    const meta = { 'consul-network-segment': '', 'consul-version': CONSUL_VERSION, ...config.nodeMeta }
    const own = {
      name: config.nodeName,
      address: config.advertiseAddress,
      taggedAddresses: ownAddresses(config),
      meta,
      grpcPort: -1,
      grpcTlsPort: -1,
    }
    const { lan, wan } = core.gossip
    const reconcile = new MemberReconcile(own, { ...core, lan, clock, log: log.named('members') })
    stops.push(() => reconcile.stop())
    await reconcile.start({ leading: core.leadership.leading })
    await core.leadership.duty('members', () => reconcile.lead())

    const local = new LocalAgent(
      {
        nodeName: config.nodeName,
        dataDir,
        checkUpdateIntervalMs: config.checkUpdateIntervalMs,
        checkOutputMaxBytes: config.checkOutputMaxBytes,
        discardsOutput: () => config.discardCheckOutput,
        services: config.services,
        checks: config.checks,
      },
      { endpoints: core.endpoints, state: core.state, clock, random, log: log.named('local'), metrics },
    )
    stops.push(() => local.stop())
    await local.start()
    const events = new UserEvents(config.nodeName, {
      lan,
      services: () => local.services(),
      log: log.named('event'),
      metrics,
    })
    stops.push(() => events.stop())
    leafs = config.connect.enabled
      ? new Leafs(config.datacenter, { ...core, clock, random, log: log.named('leaf') })
      : undefined
    leafs?.start()
    const here = {
      datacenter: config.datacenter,
      nodeName: config.nodeName,
      defaultAllow: !config.acl.enabled || config.acl.defaultPolicy === 'allow',
    }
    const proxies = leafs && new ProxySnapshots(here, { ...core, leafs, clock, log: log.named('proxies') })
    stops.push(() => leafs?.stop())
    if (!config.disableCoordinates) stops.push(publishCoordinate(config.nodeName, { ...core, lan, clock, log }))

    const leave = async () => {
      log.info('leaving')
      await core.leadership.stop()
      await wan?.leave()
      await lan.leave()
      await sleep(clock, config.performance.leaveDrainTimeMs)
      await core.store.etcd?.leave()
      await shutdown()
    }
    const reload = async () => {
      const loaded = options.reloadConfig()
      const { apply } = reloadable(config, loaded.config)
      // What an earlier reload brought waits still.
      const { restart } = reloadable(options.config, loaded.config)
      for (const warning of loaded.warnings) log.warn(warning)
      for (const field of restart) log.warn('changed, and takes effect at the next start only', { setting: field })
      const fresh = serverIdentity(loaded.config, clock)
      const freshHttps = httpsIdentity(loaded.config, clock)
      if (freshHttps) http.renewTls(tlsOptions(loaded.config, freshHttps))
      config = loaded.config
      identity = fresh
      core.store.refresh()
      // A port that is open goes on showing what it shows: it is opened and closed at a start only.
      https = freshHttps ?? https
      logSink.level = config.logLevel
      dns.configure(dnsSettings(config))
      await local.loadDefinitions(config.services, config.checks)
      await watches?.replace(config.watches)
      log.info('configuration reloaded', { applied: apply.join(',') || 'nothing' })
    }
    const port = new ServerAgent(
      { config, nodeId, meta },
      {
        core,
        local,
        events,
        leafs,
        proxies,
        logSink,
        metrics,
        clock,
        // The answer to the request goes out first.
        leave: async () => void clock.after(50, () => void leave()),
        reload,
      },
    )
    stops.push(() => port.close())
    await port.refreshStats()
    const shared = { endpoints: core.endpoints, clock, random, metrics }
    const http = httpApi({
      ...shared,
      agent: port,
      defaultToken: () => core.tokens.get('default'),
      setAgentToken: (kind, token) => {
        if (isTokenKind(kind)) core.tokens.set(kind, token)
        return isTokenKind(kind)
      },
      log: log.named('http'),
      kvMaxValueBytes: config.limits.kvMaxValueBytes,
      txnMaxBytes: config.limits.txnMaxRequestBytes,
      maxConnectionsPerClient: config.limits.httpMaxConnsPerClient,
      maxHeaderBytes: config.httpConfig.maxHeaderBytes,
      handshakeTimeoutMs: config.limits.httpsHandshakeTimeoutMs,
      responseHeaders: config.httpConfig.responseHeaders,
      degraded: () => core.federation.degraded(),
      blockEndpoints: config.httpConfig.blockEndpoints,
      allowWriteHttpFrom: config.httpConfig.allowWriteHttpFrom,
    })
    stops.push(() => http.close())
    const dns = new DnsServer({
      ...shared,
      log: log.named('dns'),
      settings: dnsSettings(config),
      token: () => core.tokens.get('dns') || core.tokens.get('default'),
    })
    stops.push(() => dns.close())
    const ports = await openPorts(config, { http, dns, httpsIdentity: https }, log)
    watches = new Watches({ access: () => ownAccess(ports, https), clock, log: log.named('watch') })
    stops.push(() => watches?.stop())
    await watches.replace(config.watches)
    if (!core.joinedLan) stops.push(joinLan(core.gossip.lan, config, clock, log))
    begun = core
    if (removed) void onRemoved()
    log.info('serving', { http: ports.http.join(','), dns: ports.dns.join(','), server: core.rpcAddress })
    return new Agent({ ports, core, stopped, shutdown, leave, reload })
  } catch (error) {
    await shutdown()
    throw error
  }
}
