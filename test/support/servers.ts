/**
 * For tests: several servers of a datacenter in one process, over one store in memory. Gossip, server ports and HTTP are
 * real sockets of loopback; only the store is shared where it would be replicated.
 *
 * A server that is killed leaves no word: its lease is freed as the store would free it when its time is over.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Agent, loadConfig, startAgent } from '#agent'
import { LogSink, systemClock, systemRandom } from '#base'
import { HttpClient } from '#client'
import { freePorts } from '#local'
import { type Engine, openMemory } from '#store'

/** One server's view of a store that it does not own: closing it gives up what it holds, and ends what it follows. */
export function sharedStore(engine: Engine): Engine {
  const ends = new Set<() => void | Promise<void>>()
  return {
    kind: 'memory',
    load: (onRecords) => engine.load(onRecords),
    subscribe: (...args) => {
      const end = engine.subscribe(...args)
      ends.add(end)
      return end
    },
    commit: (transaction) => engine.commit(transaction),
    replaceAll: (records) => engine.replaceAll(records),
    staleMs: () => engine.staleMs(),
    barrier: () => engine.barrier(),
    lease: (name, options) => {
      const lease = engine.lease(name, options)
      ends.add(() => lease.release())
      return lease
    },
    close: async () => {
      for (const end of ends) await end()
    },
  }
}

interface Ports {
  readonly http: number
  readonly server: number
  readonly serf_lan: number
  readonly serf_wan: number
}

async function somePorts(): Promise<Ports> {
  const [http = 0, server = 0, serf_lan = 0, serf_wan = 0] = await freePorts(4)
  return { http, server, serf_lan, serf_wan }
}

export interface TestServer {
  readonly name: string
  readonly agent: Agent
  readonly client: HttpClient
  /** Until it has stopped. */
  running: boolean
  /** What it logged, a line each. */
  readonly log: readonly string[]
}

export interface TestServers {
  readonly engine: Engine
  /** Starts a server and joins it to those that run; one that ran before comes back at its ports, with its data. */
  start(name: string, settings?: Readonly<Record<string, unknown>>): Promise<TestServer>
}

/**
 * A datacenter whose servers come and go as a test says; all are gone after it.
 *
 * @param openStore - opens a server's store; without it all share one in memory
 */
export async function testServers(
  context: TestContext,
  shared: Readonly<Record<string, unknown>> = {},
  openStore?: (server: string) => Promise<Engine>,
): Promise<TestServers> {
  const root = mkdtempSync(join(tmpdir(), 'hanse-servers-'))
  const engine = await openMemory()
  const running: TestServer[] = []
  const portsOf = new Map<string, Ports>()
  context.after(async () => {
    for (const { agent, client } of running) {
      client.close()
      await agent.shutdown()
    }
    await engine.close()
    rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    engine,
    async start(name, settings = {}) {
      const ports = portsOf.get(name) ?? (await somePorts())
      portsOf.set(name, ports)
      const file = join(root, `${name}.json`)
      const others = running.filter((each) => each.running).map(({ agent }) => agent.core.gossip.lan.port)
      const config = {
        datacenter: 'dc1',
        node_name: name,
        server: true,
        bootstrap_expect: 3,
        data_dir: join(root, name),
        bind_addr: '127.0.0.1',
        client_addr: '127.0.0.1',
        connect: { enabled: true },
        ports: { ...ports, dns: -1 },
        gossip_lan: { gossip_interval: '50ms', probe_interval: '100ms', probe_timeout: '100ms', suspicion_mult: 3 },
        gossip_wan: { gossip_interval: '50ms', probe_interval: '100ms', probe_timeout: '100ms', suspicion_mult: 3 },
        performance: { leave_drain_time: '0s' },
        ...(others.length > 0 ? { retry_join: others.map((port) => `127.0.0.1:${port}`), retry_interval: '1s' } : {}),
        ...shared,
        ...settings,
      }
      writeFileSync(file, JSON.stringify(config))
      const args = ['-config-file', file]
      const log: string[] = []
      const logSink = new LogSink({ level: 'debug', json: false, write: (line) => void log.push(line) })
      const agent = await startAgent(
        { config: loadConfig({ args }).config, reloadConfig: () => loadConfig({ args }) },
        {
          logSink,
          clock: systemClock,
          random: systemRandom,
          openStore: openStore ? () => openStore(name) : async () => sharedStore(engine),
        },
      )
      const client = new HttpClient({ address: agent.ports.http[0] ?? '' })
      const server = { name, agent, client, log, running: true }
      void agent.stopped.then(() => {
        server.running = false
      })
      running.push(server)
      return server
    },
  }
}
