/**
 * What an agent says of itself: /v1/agent/self, host, version, and the blocks of `info`.
 *
 * Facts only; secrets of the configuration stand as "hidden".
 */
import os from 'node:os'
import type { AgentMember, AgentSelf, AgentVersion } from '#api'
import { BUILD_DATE, type Clock, CONSUL_VERSION, formatDuration, HANSE_VERSION } from '#base'
import type { GossipPool, Member } from '#gossip'
import type { State } from '#state'
import type { RuntimeConfig } from './config-runtime.ts'

const NS_PER_MS = 1e6
const STATUS: Readonly<Record<Member['status'], number>> = { none: 0, alive: 1, leaving: 2, left: 3, failed: 4 }

export function agentMember(member: Member): AgentMember {
  return {
    Name: member.name,
    Addr: member.address,
    Port: member.port,
    Tags: member.tags,
    Status: STATUS[member.status],
    ProtocolMin: member.protocolMin,
    ProtocolMax: member.protocolMax,
    ProtocolCur: member.protocolCur,
    DelegateMin: member.delegateMin,
    DelegateMax: member.delegateMax,
    DelegateCur: member.delegateCur,
  }
}

export const agentVersion: AgentVersion = {
  SHA: '',
  BuildDate: BUILD_DATE,
  HumanVersion: `${CONSUL_VERSION}+hanse${HANSE_VERSION}`,
  FIPS: '',
}

const SECRET = /^(encrypt|tokens|.*token|.*key|.*secret|.*password|(proxy-)?authorization|(set-)?cookie)$/i
/** The parts of texts that are secret: passwords and tokens in URLs. */
const SECRET_PARTS = [
  [/(:\/\/[^/\s:@]*):[^/\s@]+@/g, '$1:hidden@'],
  [/\b(\w*(?:secret|password|token|key)\w*)=[^&\s]+/gi, '$1=hidden'],
] as const

/** The configuration for people to look at: secrets hidden, the rest as it is. */
export function debugConfig(config: RuntimeConfig): Readonly<Record<string, unknown>> {
  const hide = (key: string, value: unknown): unknown => {
    if (SECRET.test(key) && value !== undefined && value !== '') return 'hidden'
    if (typeof value !== 'string') return value
    return SECRET_PARTS.reduce((text, [pattern, shown]) => text.replace(pattern, shown), value)
  }
  const capital = (key: string) => key.charAt(0).toUpperCase() + key.slice(1)
  const plain: unknown = JSON.parse(JSON.stringify(config, hide))
  const entries = Object.entries(plain as Record<string, unknown>).map(([key, value]) => [capital(key), value] as const)
  return Object.fromEntries(entries)
}

export interface SelfFacts {
  readonly config: RuntimeConfig
  readonly nodeId: string
  readonly lan: GossipPool
  readonly wan: GossipPool | undefined
  readonly lanStats: Readonly<Record<string, string>>
  readonly wanStats: Readonly<Record<string, string>>
  readonly state: State
  /** "ip:port" of the leader's server port; empty when there is none. */
  readonly leaderAddress: string
  readonly leading: boolean
  /** How old what is here may be. */
  readonly lastContactMs: number
  /** Servers of this datacenter, ourselves included. */
  readonly servers: number
  readonly datacenters: number
  readonly meta: Readonly<Record<string, string>>
  readonly services: number
  readonly checks: number
}

export function agentSelf(facts: SelfFacts): AgentSelf {
  const { config, nodeId, lan } = facts
  const own = lan.members().find((member) => member.name === lan.localName)
  return {
    Config: {
      Datacenter: config.datacenter,
      PrimaryDatacenter: config.primaryDatacenter,
      NodeName: config.nodeName,
      NodeID: nodeId,
      Revision: '',
      Server: config.server,
      Version: CONSUL_VERSION,
      BuildDate: BUILD_DATE,
    },
    DebugConfig: debugConfig(config),
    Coord: lan.coordinate(),
    Member: own ? agentMember(own) : emptyMember(config.nodeName),
    Stats: stats(facts),
    Meta: facts.meta,
  }
}

function emptyMember(name: string): AgentMember {
  const zero = { ProtocolMin: 0, ProtocolMax: 0, ProtocolCur: 0, DelegateMin: 0, DelegateMax: 0, DelegateCur: 0 }
  return { Name: name, Addr: '', Port: 0, Tags: {}, Status: 0, ...zero }
}

/** The blocks of `info`. "raft" is what tools look for: who leads, and at which index of the state we are. */
function stats(facts: SelfFacts): AgentSelf['Stats'] {
  const index = String(facts.state.index)
  return {
    agent: { check_monitors: '0', check_ttls: '0', checks: String(facts.checks), services: String(facts.services) },
    build: { prerelease: '', revision: '', version: CONSUL_VERSION, version_metadata: `hanse${HANSE_VERSION}` },
    consul: {
      acl: facts.config.acl.enabled ? 'enabled' : 'disabled',
      bootstrap: String(facts.config.bootstrapExpect <= 1),
      known_datacenters: String(facts.datacenters),
      leader: String(facts.leading),
      leader_addr: facts.leaderAddress,
      server: 'true',
    },
    raft: {
      applied_index: index,
      commit_index: index,
      last_contact: lastContact(facts.lastContactMs),
      last_log_index: index,
      num_peers: String(facts.servers - 1),
      state: facts.leading ? 'Leader' : 'Follower',
    },
    runtime: {
      arch: os.arch() === 'x64' ? 'amd64' : os.arch(),
      cpu_count: String(os.availableParallelism()),
      os: os.platform(),
      version: `node${process.version}`,
    },
    serf_lan: facts.lanStats,
    ...(facts.wan ? { serf_wan: facts.wanStats } : {}),
  }
}

function lastContact(ms: number): string {
  const whole = Math.round(ms)
  return whole === 0 ? '0' : formatDuration(whole * NS_PER_MS)
}

/** /v1/agent/host. */
export function hostFacts(clock: Clock): Readonly<Record<string, unknown>> {
  const total = os.totalmem()
  const free = os.freemem()
  return {
    Memory: { total, free, available: free, used: total - free, usedPercent: ((total - free) / total) * 100 },
    CPU: os.cpus().map((cpu, index) => ({ cpu: index, modelName: cpu.model, mhz: cpu.speed, cores: 1 })),
    Host: {
      hostname: os.hostname(),
      uptime: Math.round(os.uptime()),
      os: os.platform(),
      platform: os.type().toLowerCase(),
      kernelVersion: os.release(),
      kernelArch: os.machine(),
    },
    Disk: null,
    CollectionTime: clock.wallMs() * 1_000_000,
    Errors: null,
  }
}
