/**
 * The plan of a local federation: which datacenters, which ports, where their files are. Written down, so that
 * `-data-dir` resumes where it was.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, messageOf } from '#base'
import { localError } from './errors.ts'
import { freePorts, requireFree } from './free-ports.ts'

/** TCP ports, all on loopback; serf ports are UDP too. */
export interface DatacenterPorts {
  readonly http: number
  readonly dns: number
  readonly server: number
  readonly serfLan: number
  readonly serfWan: number
  readonly gateway: number
  readonly demo: number
  /** Where the demo service's sidecar takes calls from other sidecars. */
  readonly sidecar: number
  /** Where it takes the demo service's own calls to the next datacenter's. */
  readonly upstream: number
}

export interface DatacenterPlan {
  readonly name: string
  readonly primary: boolean
  /** Node name of its one server. */
  readonly node: string
  /** Its files: configuration, certificates, data, logs. */
  readonly directory: string
  readonly ports: DatacenterPorts
}

/** What keeps strangers out, beside TLS between servers, which cannot be switched off. */
export interface Safeguards {
  /** Access control that denies by default. */
  readonly acls: boolean
  readonly gossipEncryption: boolean
}

export interface LocalPlan extends Safeguards {
  /** The first is the primary. */
  readonly datacenters: readonly DatacenterPlan[]
}

export const PORT_USES: readonly (keyof DatacenterPorts)[] = [
  'http',
  'dns',
  'server',
  'serfLan',
  'serfWan',
  'gateway',
  'demo',
  'sidecar',
  'upstream',
]
/** Most datacenters on one machine. */
export const MAX_DATACENTERS = 16
/** With -base-port the ports of each datacenter begin this far apart. */
const BASE_PORT_STEP = 20
const PLAN_FILE = 'plan.json'

/** @throws UP_DATACENTERS */
export function parseDatacenters(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  const fail = (reason: string) => localError('UP_DATACENTERS', { value: text, reason })
  if (names.length < 2) throw fail('a federation needs at least two')
  if (names.length > MAX_DATACENTERS) throw fail(`more than ${MAX_DATACENTERS}`)
  for (const name of names) if (!/^[a-z0-9_-]{1,63}$/.test(name)) throw fail(`"${name}" is no datacenter name`)
  if (new Set(names).size !== names.length) throw fail('a name stands there twice')
  return names
}

/** The datacenter whose demo service the one of `plan` calls: each calls the next, the last the first. */
export function calledFrom({ datacenters }: LocalPlan, plan: DatacenterPlan): DatacenterPlan {
  const next = datacenters[(datacenters.indexOf(plan) + 1) % datacenters.length]
  return next ?? plan
}

function portsFrom(numbers: readonly number[]): DatacenterPorts {
  const [http = 0, dns = 0, server = 0, serfLan = 0, serfWan = 0, gateway = 0, demo = 0, ...mesh] = numbers
  const [sidecar = 0, upstream = 0] = mesh
  return { http, dns, server, serfLan, serfWan, gateway, demo, sidecar, upstream }
}

/**
 * A new plan.
 *
 * @param basePort - first port of the first datacenter; undefined: free ones
 * @throws UP_PORT_TAKEN
 */
export async function makePlan(
  root: string,
  names: readonly string[],
  basePort: number | undefined,
  safeguards: Safeguards,
): Promise<LocalPlan> {
  const uses = PORT_USES.length
  const numbers =
    basePort === undefined
      ? await freePorts(names.length * uses)
      : names.flatMap((_, dc) => PORT_USES.map((_use, use) => basePort + dc * BASE_PORT_STEP + use))
  const datacenters = names.map((name, index) => ({
    name,
    primary: index === 0,
    node: `server-${name}`,
    directory: join(root, name),
    ports: portsFrom(numbers.slice(index * uses, (index + 1) * uses)),
  }))
  return { ...safeguards, datacenters }
}

/** @throws UP_PORT_TAKEN naming the first port of the plan that something else holds */
export async function requirePortsFree(plan: LocalPlan): Promise<void> {
  for (const { name, ports } of plan.datacenters) {
    for (const use of PORT_USES) await requireFree(ports[use], `${use} of ${name}`)
  }
}

export function savePlan(root: string, plan: LocalPlan): void {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  for (const { directory } of plan.datacenters) mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(root, PLAN_FILE), `${JSON.stringify(plan, null, 2)}\n`, { mode: 0o600 })
}

function isPlan(value: unknown): value is LocalPlan {
  if (typeof value !== 'object' || value === null || !('datacenters' in value)) return false
  if (!('acls' in value) || !('gossipEncryption' in value)) return false
  const { datacenters, acls, gossipEncryption } = value
  return (
    typeof acls === 'boolean' &&
    typeof gossipEncryption === 'boolean' &&
    Array.isArray(datacenters) &&
    datacenters.length >= 2 &&
    datacenters.every(
      (entry: DatacenterPlan | null) =>
        typeof entry?.name === 'string' &&
        typeof entry.node === 'string' &&
        PORT_USES.every((use) => Number.isInteger(entry.ports?.[use])),
    )
  )
}

/**
 * The plan that a data directory holds; undefined when it holds none.
 *
 * @throws UP_PLAN_UNREADABLE
 */
export function readPlan(root: string): LocalPlan | undefined {
  const path = join(root, PLAN_FILE)
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw localError('UP_PLAN_UNREADABLE', { path, reason: messageOf(error) }, error)
  }
  if (!isPlan(parsed)) throw localError('UP_PLAN_UNREADABLE', { path, reason: 'it is no plan of a federation' })
  // A directory that was moved keeps working.
  return {
    ...parsed,
    datacenters: parsed.datacenters.map((entry, index) => ({
      ...entry,
      primary: index === 0,
      directory: join(root, entry.name),
    })),
  }
}
