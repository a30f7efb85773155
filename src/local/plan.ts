/**
 * The plan of a local federation: which datacenters, which ports, where their files are. Written down, so that
 * `-data-dir` resumes where it was.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, messageOf } from '#base'
import { localError } from './errors.ts'
import { freePorts, requireFree } from './free-ports.ts'

/** TCP ports of a server, all on loopback; serf ports are UDP too. */
export interface ServerPorts {
  readonly http: number
  readonly dns: number
  readonly server: number
  readonly serfLan: number
  readonly serfWan: number
  /** Of the member of etcd beside it, where there are several servers. */
  readonly etcdClient: number
  readonly etcdPeer: number
  /** Of the mesh gateway that is registered with it; the first two servers have one. */
  readonly gateway: number
}

/** Those of its first server, and of what a datacenter has one of. */
export interface DatacenterPorts extends ServerPorts {
  readonly demo: number
  /** Where the demo service's sidecar takes calls from other sidecars. */
  readonly sidecar: number
  /** Where it takes the demo service's own calls to the next datacenter's. */
  readonly upstream: number
}

export interface ServerPlan {
  /** Node name, one of its datacenter's. */
  readonly node: string
  readonly ports: ServerPorts
}

export interface DatacenterPlan {
  readonly name: string
  readonly primary: boolean
  /** Node name of its first server. */
  readonly node: string
  /** Its servers after the first. */
  readonly others: readonly ServerPlan[]
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

const SERVER_PORT_USES: readonly (keyof ServerPorts)[] = [
  'http',
  'dns',
  'server',
  'serfLan',
  'serfWan',
  'etcdClient',
  'etcdPeer',
  'gateway',
]
export const PORT_USES: readonly (keyof DatacenterPorts)[] = [...SERVER_PORT_USES, 'demo', 'sidecar', 'upstream']
/** Most datacenters on one machine. */
export const MAX_DATACENTERS = 16
/** Most servers of one datacenter on one machine. */
export const MAX_SERVERS = 7
/** With -base-port the ports of each datacenter begin a multiple of this apart. */
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

/** The servers that a mesh gateway is registered with: two, so that one may be gone with its server. */
export function gatewayServersOf(plan: DatacenterPlan): readonly ServerPlan[] {
  return serversOf(plan).slice(0, 2)
}

/** All servers of a datacenter, the first one first. */
export function serversOf({ node, ports, others }: DatacenterPlan): readonly ServerPlan[] {
  return [{ node, ports }, ...others]
}

function serverPortsFrom(numbers: readonly number[]): ServerPorts {
  const [http = 0, dns = 0, server = 0, serfLan = 0, serfWan = 0, etcdClient = 0, etcdPeer = 0, gateway = 0] = numbers
  return { http, dns, server, serfLan, serfWan, etcdClient, etcdPeer, gateway }
}

function portsFrom(numbers: readonly number[]): DatacenterPorts {
  const [demo = 0, sidecar = 0, upstream = 0] = numbers.slice(SERVER_PORT_USES.length)
  return { ...serverPortsFrom(numbers), demo, sidecar, upstream }
}

/**
 * A new plan.
 *
 * @param size.servers - of each datacenter
 * @param size.basePort - first port of the first datacenter; undefined: free ones
 * @throws UP_NO_FREE_PORT, UP_SERVERS
 */
export async function makePlan(
  root: string,
  names: readonly string[],
  { servers, basePort }: { readonly servers: number; readonly basePort: number | undefined },
  safeguards: Safeguards,
): Promise<LocalPlan> {
  if (!Number.isInteger(servers) || servers < 1 || servers > MAX_SERVERS) {
    throw localError('UP_SERVERS', { value: servers, limit: MAX_SERVERS })
  }
  const uses = PORT_USES.length + (servers - 1) * SERVER_PORT_USES.length
  const step = Math.ceil(uses / BASE_PORT_STEP) * BASE_PORT_STEP
  const free = basePort === undefined ? await freePorts(names.length * uses) : undefined
  const datacenters = names.map((name, index) => {
    const numbers = Array.from(
      { length: uses },
      (_, use) => free?.[index * uses + use] ?? (basePort ?? 0) + index * step + use,
    )
    const others = Array.from({ length: servers - 1 }, (_, other) => ({
      node: nodeName(name, other + 1, servers),
      ports: serverPortsFrom(numbers.slice(PORT_USES.length + other * SERVER_PORT_USES.length)),
    }))
    return {
      name,
      primary: index === 0,
      node: nodeName(name, 0, servers),
      others,
      directory: join(root, name),
      ports: portsFrom(numbers),
    }
  })
  return { ...safeguards, datacenters }
}

/** Several servers are called as in Kubernetes, the pods of a StatefulSet. */
function nodeName(datacenter: string, position: number, servers: number): string {
  return servers === 1 ? `server-${datacenter}` : `consul-server-${position}`
}

/** @throws UP_PORT_TAKEN naming the first port of the plan that something else holds */
export async function requirePortsFree(plan: LocalPlan): Promise<void> {
  for (const { name, ports, others } of plan.datacenters) {
    for (const use of PORT_USES) await requireFree(ports[use], `${use} of ${name}`)
    for (const other of others) {
      for (const use of SERVER_PORT_USES) await requireFree(other.ports[use], `${use} of ${other.node} in ${name}`)
    }
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
        PORT_USES.every((use) => Number.isInteger(entry.ports?.[use])) &&
        Array.isArray(entry.others) &&
        entry.others.every(
          (other: ServerPlan | null) =>
            typeof other?.node === 'string' && SERVER_PORT_USES.every((use) => Number.isInteger(other.ports?.[use])),
        ),
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
