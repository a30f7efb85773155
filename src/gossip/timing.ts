/**
 * How often gossip probes, gossips and synchronises, and for how long it waits: the three profiles and what Consul changes.
 *
 * Every value can be overridden (`gossip_lan`, `gossip_wan`, tests).
 *
 * Source: gossip wire notes §7.
 */

export type TimingProfile = 'lan' | 'wan' | 'local'

export interface GossipTiming {
  readonly tcpTimeoutMs: number
  readonly indirectChecks: number
  readonly retransmitMult: number
  readonly suspicionMult: number
  readonly suspicionMaxTimeoutMult: number
  readonly pushPullIntervalMs: number
  readonly probeIntervalMs: number
  readonly probeTimeoutMs: number
  readonly gossipIntervalMs: number
  readonly gossipNodes: number
  readonly gossipToTheDeadMs: number
  readonly awarenessMaxMultiplier: number
  /** A dead node's name may be taken over at another address after this; 0: never. */
  readonly deadNodeReclaimMs: number
  /** Longest wait until a goodbye has been sent often enough. */
  readonly leaveBroadcastMs: number
  /** Wait after the goodbye, so that it spreads before we are gone. */
  readonly leavePropagateDelayMs: number
  readonly reconnectIntervalMs: number
  readonly reconnectTimeoutMs: number
  readonly tombstoneTimeoutMs: number
  readonly reapIntervalMs: number
  /** A join or leave about a node we do not know yet is kept for this long. */
  readonly recentIntentMs: number
}

const COMMON = {
  suspicionMaxTimeoutMult: 6,
  awarenessMaxMultiplier: 8,
  deadNodeReclaimMs: 30_000,
  leaveBroadcastMs: 5_000,
  leavePropagateDelayMs: 3_000,
  reconnectIntervalMs: 30_000,
  reconnectTimeoutMs: 72 * 3_600_000,
  tombstoneTimeoutMs: 24 * 3_600_000,
  reapIntervalMs: 15_000,
  recentIntentMs: 5 * 60_000,
} as const

export const TIMING: Readonly<Record<TimingProfile, GossipTiming>> = {
  lan: {
    ...COMMON,
    tcpTimeoutMs: 10_000,
    indirectChecks: 3,
    retransmitMult: 4,
    suspicionMult: 4,
    pushPullIntervalMs: 30_000,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 500,
    gossipIntervalMs: 200,
    gossipNodes: 3,
    gossipToTheDeadMs: 30_000,
  },
  // Consul gossips to 3 nodes in the WAN too, where the library's own WAN profile says 4.
  wan: {
    ...COMMON,
    tcpTimeoutMs: 30_000,
    indirectChecks: 3,
    retransmitMult: 4,
    suspicionMult: 6,
    pushPullIntervalMs: 60_000,
    probeIntervalMs: 5_000,
    probeTimeoutMs: 3_000,
    gossipIntervalMs: 500,
    gossipNodes: 3,
    gossipToTheDeadMs: 60_000,
  },
  local: {
    ...COMMON,
    tcpTimeoutMs: 1_000,
    indirectChecks: 1,
    retransmitMult: 2,
    suspicionMult: 3,
    pushPullIntervalMs: 15_000,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 200,
    gossipIntervalMs: 100,
    gossipNodes: 3,
    gossipToTheDeadMs: 15_000,
    leavePropagateDelayMs: 1_000,
  },
}

/** A profile with overrides; undefined ones are ignored. */
export function gossipTiming(profile: TimingProfile, overrides: Partial<GossipTiming> = {}): GossipTiming {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined)
  return { ...TIMING[profile], ...Object.fromEntries(given) }
}

const PUSH_PULL_SCALE_FROM = 32

/** Push/pull gets rarer as the pool grows: once more per doubling above 32 nodes. */
export function pushPullScale(nodes: number): number {
  if (nodes <= PUSH_PULL_SCALE_FROM) return 1
  return Math.ceil(Math.log2(nodes) - Math.log2(PUSH_PULL_SCALE_FROM)) + 1
}

/** How often a broadcast is sent before it is dropped from the queue. */
export function retransmitLimit(mult: number, nodes: number): number {
  return mult * Math.ceil(Math.log10(nodes + 1))
}
