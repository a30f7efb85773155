/** One node of a PostgreSQL cluster that Debian's Patroni runs: configured for Consul, and told nothing of Hanse. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env } from 'node:process'

const POSTGRES = '/usr/lib/postgresql'
const STOP_MS = 10_000

export interface PatroniOptions {
  readonly name: string
  readonly folder: string
  /** Port of the HTTP API of the Consul agent that it asks. */
  readonly consulPort: number
  readonly restPort: number
  readonly postgresPort: number
  /** Folder of PostgreSQL's programs. */
  readonly programs: string
}

/** The user that PostgreSQL runs as: it refuses to be root. */
function account(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = ['-u', '-g'].map((what) =>
    Number(spawnSync('id', [what, 'postgres'], { encoding: 'utf8' }).stdout),
  )
  return { uid: uid ?? 0, gid: gid ?? 0 }
}

/** Where Debian has put PostgreSQL's programs. */
export function postgresPrograms(): string {
  const { stdout } = spawnSync('ls', [POSTGRES], { encoding: 'utf8' })
  const version = stdout.trim().split('\n').sort().at(-1)
  if (!version) throw new Error(`this test needs PostgreSQL below ${POSTGRES}: run "npm run test:etcd"`)
  return join(POSTGRES, version, 'bin')
}

export class Patroni {
  readonly #options: PatroniOptions
  #child: ChildProcess | undefined
  output = ''

  constructor(options: PatroniOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get #data(): string {
    return join(this.#options.folder, 'data')
  }

  start(): void {
    const { folder, name } = this.#options
    const user = account()
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const file = join(folder, 'patroni.yml')
    // YAML reads JSON.
    writeFileSync(file, JSON.stringify(this.#configuration()))
    if (user) for (const path of [folder, file]) chownSync(path, user.uid, user.gid)
    const child = spawn('patroni', [file], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: env['PATH'], HOME: folder, LANG: 'C.UTF-8' },
      detached: true,
      ...user,
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this.output = (this.output + chunk).slice(-20_000)
      })
    }
    child.on('error', (error) => {
      this.output += `${name}: ${error.message}`
    })
  }

  #configuration(): object {
    const { name, folder, consulPort, restPort, postgresPort, programs } = this.#options
    return {
      scope: 'demo',
      name,
      restapi: { listen: `127.0.0.1:${restPort}`, connect_address: `127.0.0.1:${restPort}` },
      consul: { host: `127.0.0.1:${consulPort}`, register_service: true },
      bootstrap: {
        dcs: { ttl: 20, loop_wait: 2, retry_timeout: 5, maximum_lag_on_failover: 1_048_576 },
        initdb: [{ encoding: 'UTF8' }, 'no-sync'],
        pg_hba: ['host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust'],
      },
      postgresql: {
        listen: `127.0.0.1:${postgresPort}`,
        connect_address: `127.0.0.1:${postgresPort}`,
        data_dir: this.#data,
        bin_dir: programs,
        pgpass: join(folder, 'pgpass'),
        authentication: { superuser: { username: 'postgres' }, replication: { username: 'replicator' } },
        parameters: { unix_socket_directories: folder, fsync: 'off', shared_buffers: '16MB' },
      },
    }
  }

  /** Runs SQL here. @throws with what psql says */
  sql(text: string): string {
    const { programs, postgresPort } = this.#options
    const args = ['-h', '127.0.0.1', '-p', String(postgresPort), '-U', 'postgres', '-d', 'postgres', '-Atc', text]
    const { status, stdout, stderr } = spawnSync(join(programs, 'psql'), args, {
      encoding: 'utf8',
      env: { ...env, PGCONNECT_TIMEOUT: '3' },
    })
    if (status !== 0) throw new Error(`psql at ${this.name}: ${stderr.trim()}`)
    return stdout.trim()
  }

  /** Whether PostgreSQL here takes writes. */
  get leads(): boolean {
    try {
      return this.sql('SELECT pg_is_in_recovery()') === 'f'
    } catch {
      return false
    }
  }

  /** Ends Patroni and PostgreSQL, as a machine that loses its power does. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
    child.kill('SIGKILL')
    // PostgreSQL is a session of its own, found by its own lock file.
    const { stdout } = spawnSync('head', ['-1', join(this.#data, 'postmaster.pid')], { encoding: 'utf8' })
    const postmaster = Number(stdout)
    if (postmaster > 1) {
      try {
        process.kill(postmaster, 'SIGKILL')
      } catch {
        // It is gone already.
      }
    }
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())])
  }
}
