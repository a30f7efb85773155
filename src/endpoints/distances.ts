/**
 * Distances between the nodes of this datacenter, for `?near=`.
 *
 * They are read apart from the question itself: coordinates change all the time, and a list sorted by them must not
 * get a new index, nor wake those who wait for it, because of that.
 */
import type { Coordinate as CoordinateRecord, NodeCoordinate, QuerySource } from '#codec'
import { type Coordinate, coordinateDistanceS } from '#gossip'
import type { State } from '#state'

/** Seconds from the asker to a node; infinite where its place is not known. */
export type Distance = (node: string) => number

/** @returns undefined where the asker's place is unknown or in another datacenter: then nothing is sorted */
export function distancesFrom(state: State, datacenter: string, source: QuerySource): Distance | undefined {
  if (source.Node === '' || source.DisableNode || (source.Datacenter !== '' && source.Datacenter !== datacenter))
    return undefined
  const asker = source.Node.toLowerCase()
  const places = state.read((tx) => {
    if (tx.coordinates.ofNode(source.Node).length === 0) return undefined
    return tx.coordinates.all()
  }).value
  if (places === undefined) return undefined

  const origins = places.filter(({ Node }) => Node.toLowerCase() === asker)
  const distances = new Map<string, number>()
  for (const place of places) {
    const away = Math.min(...origins.map((origin) => between(origin, place)))
    distances.set(place.Node, Math.min(away, distances.get(place.Node) ?? Number.POSITIVE_INFINITY))
  }
  return (node) => (node.toLowerCase() === asker ? 0 : (distances.get(node) ?? Number.POSITIVE_INFINITY))
}

/** Places in different segments cannot be compared. */
function between(a: NodeCoordinate, b: NodeCoordinate): number {
  if (a.Segment !== b.Segment || a.Coord === null || b.Coord === null) return Number.POSITIVE_INFINITY
  return coordinateDistanceS(placeOf(a.Coord), placeOf(b.Coord))
}

/** A coordinate as gossip computes with it. */
export function placeOf(coordinate: CoordinateRecord): Coordinate {
  return { ...coordinate, Vec: coordinate.Vec ?? [] }
}
