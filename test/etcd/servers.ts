/** Real servers of one datacenter, each a process, over one etcd that a test has started. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts } from '#local'
import { type Reply, ServerProcess, type Settings, temporaryDirectory } from '../e2e-agent/server-process.ts'
import { eventually } from '../support/eventually.ts'

const READY_MS = 60_000

export class Servers {
  readonly names: readonly string[]
  readonly #root = temporaryDirectory()
  readonly #settings = new Map<string, Settings>()
  readonly #running = new Map<string, ServerProcess>()

  private constructor(names: readonly string[]) {
    this.names = names
  }

  /** Starts one for each name, and waits until they have a leader. */
  static async start(names: readonly string[], endpoints: readonly string[], more: Settings = {}): Promise<Servers> {
    const servers = new Servers(names)
    const ports = await freePorts(names.length * 2)
    const lan = (at: number) => ports[at * 2] ?? 0
    for (const [at, name] of names.entries()) {
      servers.#settings.set(name, {
        node_name: name,
        data_dir: join(servers.#root, name),
        bootstrap_expect: names.length,
        retry_join: names.map((_, other) => `127.0.0.1:${lan(other)}`),
        retry_interval: '1s',
        ports: { http: ports[at * 2 + 1] ?? 0, dns: 0, server: 0, serf_lan: lan(at), serf_wan: -1 },
        store: { engine: 'etcd', etcd: { endpoints: [...endpoints.slice(at), ...endpoints.slice(0, at)] } },
        ...more,
      })
    }
    try {
      await Promise.all(names.map((name) => servers.run(name)))
      await servers.ready()
      return servers
    } catch (error) {
      await servers.stop()
      throw error
    }
  }

  /** Every server knows a leader, and the catalog has all of them. */
  async ready(): Promise<void> {
    await eventually(
      'the servers have a leader',
      async () => {
        for (const name of this.names) {
          assert.match((await this.ask(name, 'GET', '/v1/status/leader')).text, /"\S+:\d+"/)
          const nodes: unknown[] = JSON.parse((await this.ask(name, 'GET', '/v1/catalog/nodes')).text)
          assert.equal(nodes.length, this.names.length)
        }
      },
      { timeoutMs: READY_MS, pollMs: 200 },
    )
  }

  /** Starts one that does not run. */
  async run(name: string): Promise<void> {
    this.#running.set(name, await ServerProcess.start(this.#settings.get(name) ?? {}))
  }

  process(name: string): ServerProcess {
    const running = this.#running.get(name)
    assert.ok(running, `server "${name}" does not run`)
    return running
  }

  ask(name: string, method: string, path: string, body?: string): Promise<Reply> {
    return this.process(name).ask(method, path, body === undefined ? {} : { body })
  }

  async kill(name: string): Promise<void> {
    const running = this.process(name)
    process.kill(running.pid, 'SIGKILL')
    await running.ended()
    await running.stop()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((running) => running.stop()))
    rmSync(this.#root, { recursive: true, force: true })
  }
}
