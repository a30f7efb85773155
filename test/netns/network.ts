/**
 * Network namespaces for two datacenters, laid out so that servers of one cannot reach servers of the other.
 *
 *     dc1 server ── lan1 ── gateways of dc1 ── wan ── gateways of dc2 ── lan2 ── dc2 server
 *                                               │                         │
 *                                               └───────── egress ────────┘
 *
 * Bridges are in a namespace of their own. Gateways forward no packet: what passes them, their process has passed. A
 * secondary's server has to reach the primary's gateways before it has any of its own, as it does over the internet:
 * that is the egress, a router that forwards TCP to the gateways' port and its answers, and nothing else.
 *
 * Made with iproute2 alone; routing rules by port stand in for a packet filter. Names carry the process id.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Port that gateways listen at in both networks: the only one that egress forwards to. */
export const GATEWAY_PORT = 8443

export const ADDRESS = {
  server1: '10.1.0.10',
  gateway1: { lan: '10.1.0.1', wan: '192.168.77.1' },
  otherGateway1: { lan: '10.1.0.2', wan: '192.168.77.2' },
  server2: '10.2.0.10',
  gateway2: { lan: '10.2.0.1', wan: '192.168.77.5' },
  otherGateway2: { lan: '10.2.0.2', wan: '192.168.77.6' },
  egress: { lan: '10.2.0.254', wan: '192.168.77.14' },
} as const

/** All WAN addresses. */
const WAN = '192.168.77.0/28'
const LAN2 = '10.2.0.0/24'

type Bridge = 'lan1' | 'lan2' | 'wan'

/** Namespace → the bridges it is on, with its address there. */
const PLACES = {
  server1: { lan1: ADDRESS.server1 },
  gateway1: { lan1: ADDRESS.gateway1.lan, wan: ADDRESS.gateway1.wan },
  gateway1b: { lan1: ADDRESS.otherGateway1.lan, wan: ADDRESS.otherGateway1.wan },
  server2: { lan2: ADDRESS.server2 },
  gateway2: { lan2: ADDRESS.gateway2.lan, wan: ADDRESS.gateway2.wan },
  gateway2b: { lan2: ADDRESS.otherGateway2.lan, wan: ADDRESS.otherGateway2.wan },
  egress: { lan2: ADDRESS.egress.lan, wan: ADDRESS.egress.wan },
} as const satisfies Record<string, Partial<Record<Bridge, string>>>

export type Place = keyof typeof PLACES
export const GATEWAYS: readonly Place[] = ['gateway1', 'gateway1b', 'gateway2', 'gateway2b']

/** The names of our own process only. */
const name = (place: string): string => `hanse${process.pid}-${place}`
/** The bridge's end of a cable; names of interfaces have at most 15 characters. */
const portOf = (place: string, bridge: Bridge): string => `${place}-${bridge}`
const lengthOf: Readonly<Record<Bridge, number>> = { lan1: 24, lan2: 24, wan: 28 }

/** Runs iproute2 commands in a namespace, one per line. @throws what the first that fails says */
function ip(place: string, ...lines: readonly string[]): void {
  const input = `${lines.join('\n')}\n`
  const { status, stderr, error } = spawnSync('ip', ['-n', name(place), '-batch', '-'], { input, encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`ip in ${place}: ${stderr.trim()}`)
}

/** Namespaces of test processes that are gone. */
function removeLeftBehind(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  for (const [space, pid] of stdout.matchAll(/^hanse(\d+)-\S+/gm)) {
    if (!existsSync(`/proc/${pid}`)) spawnSync('ip', ['netns', 'delete', space])
  }
}

function addNamespace(place: string): void {
  const { status, stderr, error } = spawnSync('ip', ['netns', 'add', name(place)], { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`add namespace "${name(place)}": ${stderr.trim()}`)
}

function inside(place: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', name(place), ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${args.join(' ')} in ${place}: ${stderr.trim()}`)
  return stdout
}

export class Network {
  /** Makes all, and removes what a run that was killed has left. */
  static make(): Network {
    removeLeftBehind()
    const network = new Network()
    try {
      network.#make()
      return network
    } catch (error) {
      network.remove()
      throw error
    }
  }

  #make(): void {
    addNamespace('net')
    const bridges: readonly Bridge[] = ['lan1', 'lan2', 'wan']
    ip('net', ...bridges.flatMap((bridge) => [`link add ${bridge} type bridge`, `link set ${bridge} up`]))
    for (const [place, at] of Object.entries(PLACES)) {
      addNamespace(place)
      ip(place, 'link set lo up')
      for (const bridge of bridges) {
        const address = (at as Partial<Record<Bridge, string>>)[bridge]
        if (address === undefined) continue
        const port = portOf(place, bridge)
        ip(
          'net',
          `link add ${port} type veth peer name ${bridge} netns ${name(place)}`,
          `link set ${port} master ${bridge} up`,
        )
        ip(place, `addr add ${address}/${lengthOf[bridge]} dev ${bridge}`, `link set ${bridge} up`)
      }
    }
    this.#openEgress()
  }

  /** The way from a server of dc2 to the primary's gateways: TCP to their port and its answers, and nothing else. */
  #openEgress(): void {
    ip('server2', `route add ${WAN} via ${ADDRESS.egress.lan}`)
    for (const place of ['gateway1', 'gateway1b']) ip(place, `route add ${LAN2} via ${ADDRESS.egress.wan}`)
    ip(
      'egress',
      // Table 100 knows both networks; only what the rules name is routed by it, all else goes nowhere.
      `route add ${WAN} dev wan table 100`,
      `route add ${LAN2} dev lan2 table 100`,
      `rule add pref 10 iif lan2 to ${WAN} ipproto tcp dport ${GATEWAY_PORT} lookup 100`,
      `rule add pref 11 iif wan to ${LAN2} ipproto tcp sport ${GATEWAY_PORT} lookup 100`,
      'rule add pref 12 iif lan2 blackhole',
      'rule add pref 13 iif wan blackhole',
    )
    inside('egress', ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
    // It looks up where a packet came from by the same rules, which name no way back.
    inside('egress', ['sh', '-c', 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > "$f"; done'])
  }

  /** Words to put before a command, so that it runs there; it keeps its process id. */
  at(place: Place): readonly string[] {
    return ['ip', 'netns', 'exec', name(place)]
  }

  /** Pulls or puts back the cable of one place. */
  cable(place: Place, bridge: Bridge, state: 'up' | 'down'): void {
    ip('net', `link set ${portOf(place, bridge)} ${state}`)
  }

  /** Counters of the protocol stack there: "Ip.ForwDatagrams" → 3. */
  counters(place: Place): ReadonlyMap<string, number> {
    const lines = inside(place, ['cat', '/proc/net/snmp']).trim().split('\n')
    const counters = new Map<string, number>()
    for (let line = 0; line + 1 < lines.length; line += 2) {
      const [protocol = '', ...names] = lines[line]?.split(' ') ?? []
      const values = lines[line + 1]?.split(' ').slice(1) ?? []
      for (const [index, counter] of names.entries()) {
        counters.set(`${protocol.slice(0, -1)}.${counter}`, Number(values[index]))
      }
    }
    return counters
  }

  /** Addresses that sockets there are connected to now, those of the place itself and loopback excepted. */
  peers(place: Place): ReadonlySet<string> {
    const own: readonly string[] = ['127.0.0.1', '0.0.0.0', ...Object.values(PLACES[place])]
    const lines = inside(place, ['cat', '/proc/net/tcp']).trim().split('\n').slice(1)
    const remotes = lines.map((line) => hexAddress(line.trim().split(/\s+/)[2]?.split(':')[0] ?? ''))
    return new Set(remotes.filter((address) => !own.includes(address)))
  }

  /** Removes every namespace of this process, whatever state they are in. */
  remove(): void {
    for (const place of [...Object.keys(PLACES), 'net']) spawnSync('ip', ['netns', 'delete', name(place)])
  }
}

/** "0A00010A" (host byte order, little endian) → "10.1.0.10". */
function hexAddress(hex: string): string {
  return [...Buffer.from(hex, 'hex')].reverse().join('.')
}
