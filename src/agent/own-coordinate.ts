/** Keeps this node's network coordinate in the catalog, for `near` and `rtt`; with `disable_coordinates` it is not used. */
import { type Clock, type Logger, messageOf } from '#base'
import { CoordinateUpdateRequest } from '#codec'
import { coordinate, type Endpoints } from '#endpoints'
import type { GossipPool } from '#gossip'

/** How often the coordinate is written. */
const COORDINATE_INTERVAL_MS = 15_000
const FIRST_COORDINATE_MS = 1_000

export interface CoordinateModules {
  readonly endpoints: Pick<Endpoints, 'call'>
  readonly lan: Pick<GossipPool, 'coordinate'>
  readonly clock: Clock
  readonly log: Logger
}

/** Begins to write it. @returns what ends that */
export function publishCoordinate(node: string, { endpoints, lan, clock, log }: CoordinateModules): () => void {
  const publish = async () => {
    try {
      const update = CoordinateUpdateRequest.of({ Node: node, Coord: lan.coordinate() })
      await endpoints.call(coordinate.update, update, { internal: true })
    } catch (error) {
      log.debug('the coordinate was not published', { error: messageOf(error) })
    }
  }
  const first = clock.after(FIRST_COORDINATE_MS, () => void publish())
  const timer = clock.every(COORDINATE_INTERVAL_MS, () => void publish())
  return () => {
    first.cancel()
    timer.cancel()
  }
}
