/**
 * Network coordinates (Vivaldi) of nodes and of datacenters.
 */
import { float, jsonOmitEmpty, list, pointer, string, struct } from '../schema.ts'
import { queryMeta } from './common.ts'

/** A position; seconds in every dimension. */
export const Coordinate = struct('Coordinate', { Vec: list(float), Error: float, Adjustment: float, Height: float })
export type Coordinate = ReturnType<typeof Coordinate.of>

export const NodeCoordinate = struct('NodeCoordinate', {
  Node: string,
  Segment: string,
  Partition: jsonOmitEmpty(string),
  Coord: pointer(Coordinate),
})
export type NodeCoordinate = ReturnType<typeof NodeCoordinate.of>

export const CoordinateUpdateRequest = struct('CoordinateUpdateRequest', {
  Datacenter: string,
  Node: string,
  Segment: string,
  Coord: pointer(Coordinate),
  Token: string,
})
export type CoordinateUpdateRequest = ReturnType<typeof CoordinateUpdateRequest.of>

export const IndexedCoordinates = struct('IndexedCoordinates', { Coordinates: list(NodeCoordinate), ...queryMeta })
export type IndexedCoordinates = ReturnType<typeof IndexedCoordinates.of>

export const DatacenterMap = struct('DatacenterMap', {
  Datacenter: string,
  AreaID: string,
  Coordinates: list(NodeCoordinate),
})
export type DatacenterMap = ReturnType<typeof DatacenterMap.of>
