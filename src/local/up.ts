/**
 * `hanse up`: a federation of two or more datacenters on this machine, from nothing to verified.
 *
 * Every datacenter has a server (or several, with members of etcd beside them), a mesh gateway and a demo service with its sidecar in processes of their own, on loopback; what crosses
 * between datacenters goes through the gateways. It ends with the verification of the federation guide, made by the
 * real commands, and stays until it is interrupted.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { aborted, codeOf, systemClock } from '#base'
import { inspectEtcd } from '#store'
import { etcdBinary, filesOf } from './datacenter-files.ts'
import { localError } from './errors.ts'
import { FederationRun } from './federation-run.ts'
import { type LocalPlan, makePlan, parseDatacenters, readPlan, requirePortsFree, savePlan, serversOf } from './plan.ts'
import { HANSE } from './processes.ts'
import { verify } from './verification.ts'

const DEFAULT_DATACENTERS = 'dc1,dc2'
/** Plans made before it is said that ports are taken: others on the machine choose theirs as well. */
const MAX_PLANS = 5

export interface UpOptions {
  /** "dc1,dc2"; undefined: as the data directory has it, or two. */
  readonly datacenters?: string
  /** Kept and resumed from; undefined: a temporary one that is removed at the end. */
  readonly dataDir?: string
  readonly basePort?: number
  /** Of each datacenter; undefined: as the data directory has it, or one. */
  readonly servers?: number
  /** Access control; undefined: as the data directory has it, or on. */
  readonly acls?: boolean
  /** Undefined: as the data directory has it, or on. */
  readonly gossipEncryption?: boolean
  /** Ends after the verification. */
  readonly check: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly print: (line: string) => void
  /** Aborted when the user wants it to end. */
  readonly signal: AbortSignal
}

/**
 * @returns the exit status: 0 verified, 1 not
 * @throws UP_ codes
 */
export async function up(options: UpOptions): Promise<number> {
  const root = options.dataDir === undefined ? mkdtempSync(join(tmpdir(), 'hanse-up-')) : resolve(options.dataDir)
  try {
    return await run(root, options)
  } finally {
    if (options.dataDir === undefined) rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function run(root: string, options: UpOptions): Promise<number> {
  const { print, signal } = options
  const plan = await planFor(root, options)
  if (plan.datacenters.some((each) => each.others.length > 0)) await inspectEtcd(etcdBinary(options.env))
  const startedMs = systemClock.nowMs()
  const seconds = () => ((systemClock.nowMs() - startedMs) / 1000).toFixed(1).padStart(5)
  const federation = new FederationRun({
    plan,
    env: options.env,
    progress: (line) => print(`[${seconds()} s] ${line}`),
  })
  const interrupted = aborted(signal).then(() => 'interrupted' as const)
  try {
    if ((await Promise.race([federation.start().then(() => 'up' as const), interrupted])) === 'interrupted') return 1
    print(`[${seconds()} s] the federation is up`)
    const tokenFile = tokenFileOf(plan)
    const verified = await verify(plan, { ...options, tokenFile })
    if (options.check) return verified ? 0 : 1
    showNext(plan, root, options)
    await Promise.race([interrupted, federation.anyFailed()])
    print('\nStopping')
    return verified ? 0 : 1
  } finally {
    await federation.stop()
  }
}

async function planFor(root: string, options: UpOptions): Promise<LocalPlan> {
  const held = readPlan(root)
  if (held) {
    const names = held.datacenters.map((entry) => entry.name).join(',')
    if (options.datacenters !== undefined && parseDatacenters(options.datacenters).join(',') !== names) {
      throw localError('UP_RESUME_DIFFERS', { path: root, held: names, asked: options.datacenters })
    }
    for (const [flag, has, asked] of [
      ['servers', held.datacenters[0] ? serversOf(held.datacenters[0]).length : 1, options.servers],
      ['acls', held.acls, options.acls],
      ['gossip-encryption', held.gossipEncryption, options.gossipEncryption],
    ] as const) {
      if (asked !== undefined && asked !== has) {
        throw localError('UP_RESUME_SETTING', { path: root, flag, held: String(has), asked: String(asked) })
      }
    }
    await requirePortsFree(held)
    return held
  }
  const names = parseDatacenters(options.datacenters ?? DEFAULT_DATACENTERS)
  const safeguards = { acls: options.acls ?? true, gossipEncryption: options.gossipEncryption ?? true }
  const size = { servers: options.servers ?? 1, basePort: options.basePort }
  const plan = await planWithFreePorts(() => makePlan(root, names, size, safeguards), options.basePort !== undefined)
  savePlan(root, plan)
  return plan
}

/** Ports that were free a moment ago may be taken since; those that were asked for stay. @throws UP_PORT_TAKEN */
async function planWithFreePorts(make: () => Promise<LocalPlan>, fixed: boolean): Promise<LocalPlan> {
  for (let attempt = 1; ; attempt++) {
    const plan = await make()
    try {
      await requirePortsFree(plan)
      return plan
    } catch (error) {
      if (fixed || attempt === MAX_PLANS || codeOf(error) !== 'UP_PORT_TAKEN') throw error
    }
  }
}

/** Where the token of all rights is, for whoever works with the federation. */
function tokenFileOf({ acls, datacenters: [primary] }: LocalPlan): string | undefined {
  return acls && primary ? filesOf(primary).token('bootstrap') : undefined
}

function showNext(plan: LocalPlan, root: string, options: UpOptions): void {
  options.print('\nAddresses')
  for (const { name, ports, primary } of plan.datacenters) {
    const role = primary ? 'primary  ' : 'secondary'
    options.print(
      `  ${name}  ${role}  HTTP http://127.0.0.1:${ports.http}   DNS 127.0.0.1:${ports.dns}   mesh gateway 127.0.0.1:${ports.gateway}   demo http://127.0.0.1:${ports.demo}`,
    )
  }
  options.print('\nIn a second terminal')
  for (const datacenter of plan.datacenters) {
    const { name, ports } = datacenter
    for (const { node, ports: own } of serversOf(datacenter).slice(1)) {
      options.print(`  # ${node} of ${name} answers at 127.0.0.1:${own.http}`)
    }
    options.print(`  export CONSUL_HTTP_ADDR=127.0.0.1:${ports.http}   # ${name}`)
  }
  const tokenFile = tokenFileOf(plan)
  if (tokenFile !== undefined) options.print(`  export CONSUL_HTTP_TOKEN_FILE=${tokenFile}   # may do everything`)
  const [primary, other] = plan.datacenters
  if (!primary || !other) return
  options.print(`\n  ${HANSE} federation status`)
  options.print(`  ${HANSE} services register my-service.json`)
  options.print(`  ${HANSE} catalog nodes -datacenter ${other.name}`)
  options.print(`  dig @127.0.0.1 -p ${primary.ports.dns} hello-${other.name}.service.${other.name}.consul SRV`)
  const kept =
    options.dataDir === undefined ? 'removed at the end; keep it with -data-dir' : 'kept; the same command resumes'
  options.print(`\nFiles and logs: ${root} (${kept})`)
  options.print(`Federation secret: ${filesOf(primary).secret}`)
  if (tokenFile !== undefined) options.print(`Bootstrap token: ${tokenFile} (all rights; read by you alone)`)
  options.print('\nCtrl-C stops everything.')
}
