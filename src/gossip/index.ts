/**
 * gossip/: who is alive. SWIM, suspicion, Serf events and queries, keyring, coordinates; LAN and WAN pools.
 */
export type * from './api.ts'
export {
  type Coordinate,
  CoordinateClient,
  coordinateDistanceS,
  isValidCoordinate,
  originCoordinate,
} from './coordinates.ts'
// The cores, for simulations and tests of whole pools.
export type { Effect as PoolEffect, Input as PoolInput } from './effects.ts'
export { gossipError } from './errors.ts'
export { startGossip } from './gossip.ts'
export { gossipKey, Keyring, parseGossipKey } from './keyring.ts'
export { AUTHORITIES_TAG, isServer } from './merge-check.ts'
export { MISMATCH_INTERVAL_MS } from './mismatches.ts'
export type { PacketLayers } from './packet.ts'
export { PoolCore, type PoolCoreOptions } from './pool-core.ts'
export { type StreamMessage, StreamReader } from './stream.ts'
export { type GossipTiming, gossipTiming, TIMING, type TimingProfile } from './timing.ts'
export { splitWanName } from './wan-route.ts'
