/**
 * Starts and asks the real serf agent (Debian package `serf`) for interop tests.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Fails with what to do when the program is not there; the suite command installs it. */
export function requireSerf(): void {
  if (spawnSync('serf', ['version']).error) {
    throw new Error('this test needs the real serf agent: apt-get install -y serf')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

export class SerfAgent {
  readonly name: string
  readonly port: number
  output = ''
  readonly #rpcPort: number
  readonly #process: ChildProcess

  private constructor(name: string, ports: { port: number; rpcPort: number }, process: ChildProcess) {
    this.name = name
    this.port = ports.port
    this.#rpcPort = ports.rpcPort
    this.#process = process
    const collect = (chunk: Buffer) => {
      this.output += chunk.toString()
    }
    process.stdout?.on('data', collect)
    process.stderr?.on('data', collect)
  }

  static async start(
    name: string,
    options: { tags: Record<string, string>; key?: string; extra?: string[] },
  ): Promise<SerfAgent> {
    requireSerf()
    const ports = { port: await freePort(), rpcPort: await freePort() }
    const args = ['agent', `-node=${name}`, `-bind=127.0.0.1:${ports.port}`, `-rpc-addr=127.0.0.1:${ports.rpcPort}`]
    args.push('-profile=local', '-log-level=debug', ...(options.extra ?? []))
    for (const [tag, value] of Object.entries(options.tags)) args.push('-tag', `${tag}=${value}`)
    if (options.key !== undefined) args.push(`-encrypt=${options.key}`)
    const agent = new SerfAgent(name, ports, spawn('serf', args, { stdio: ['ignore', 'pipe', 'pipe'] }))
    await until(`serf agent ${name} to start`, () => agent.output.includes('Serf agent starting') && agent.answers())
    return agent
  }

  async answers(): Promise<boolean> {
    return this.run('info').then(
      () => true,
      () => false,
    )
  }

  /** One command of the serf CLI against this agent; its standard output. */
  run(command: string, ...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile('serf', [command, `-rpc-addr=127.0.0.1:${this.#rpcPort}`, ...args], (error, stdout, stderr) => {
        if (error) reject(new Error(`serf ${command}: ${stderr}${stdout}`))
        else resolve(stdout)
      })
    })
  }

  /** Name → status, tags and address, as this agent sees them. */
  async members(): Promise<Record<string, { status: string; tags: Record<string, string>; addr: string }>> {
    const { members } = JSON.parse(await this.run('members', '-format=json')) as {
      members: { name: string; status: string; tags: Record<string, string>; addr: string }[]
    }
    return Object.fromEntries(members.map((member) => [member.name, member]))
  }

  async statusOf(name: string): Promise<string | undefined> {
    return (await this.members())[name]?.status
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill(signal)
    await exit
  }
}

const DEFAULT_LIMIT_MS = 20_000

/** Polls until `condition` holds; fails with `what` when it does not in time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = DEFAULT_LIMIT_MS,
): Promise<void> {
  const end = performance.now() + limitMs
  for (;;) {
    if (await condition()) return
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
