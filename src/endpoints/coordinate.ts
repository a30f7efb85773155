/**
 * Coordinate.*: where nodes and datacenters stand in the space whose distances are round-trip times.
 */
import {
  CoordinateUpdateRequest,
  DatacenterMap,
  DCSpecificRequest,
  Empty,
  IndexedCoordinates,
  list,
  NodeSpecificRequest,
} from '#codec'
import { isValidCoordinate } from '#gossip'
import { placeOf } from './distances.ts'
import { endpointError } from './errors.ts'
import { callOperation, readOperation, writeOperation } from './operation.ts'
import { keep } from './rights.ts'

/** Takes a node's own coordinate. One of a node that the catalog does not have (yet) is passed over: it comes again. */
export const update = writeOperation({
  name: 'Coordinate.Update',
  args: CoordinateUpdateRequest,
  reply: Empty,
  scope: 'datacenter',
  authorize: ({ Node }, rights) => rights.need(rights.allows.nodeWrite(Node), 'node:write', Node),
  async run({ state }, { Node, Segment, Coord }) {
    if (Coord === null || !isValidCoordinate(placeOf(Coord))) {
      throw endpointError('INVALID_REQUEST', { text: 'incompatible coordinate' })
    }
    await state.write((tx) => {
      const node = tx.nodes.get(Node)
      if (node !== undefined) tx.putCoordinate({ Node: node.Node, Segment, Partition: '', Coord })
    })
    return Empty.of()
  },
})

/** The coordinates of all nodes. */
export const listNodes = readOperation({
  name: 'Coordinate.ListNodes',
  args: DCSpecificRequest,
  reply: IndexedCoordinates,
  scope: 'datacenter',
  query: (tx) => IndexedCoordinates.of({ Coordinates: tx.coordinates.all() }),
  filter(reply, { allows }) {
    const { items: Coordinates, filtered } = keep(reply.Coordinates, ({ Node }) => allows.nodeRead(Node))
    return { reply: { ...reply, Coordinates }, filtered }
  },
})

/** The coordinates of one node, one per segment. */
export const node = readOperation({
  name: 'Coordinate.Node',
  args: NodeSpecificRequest,
  reply: IndexedCoordinates,
  scope: 'datacenter',
  check(args) {
    if (args.Node === '') throw endpointError('INVALID_REQUEST', { text: 'Must provide node' })
  },
  authorize: ({ Node }, rights) => rights.need(rights.allows.nodeRead(Node), 'node:read', Node),
  query: (tx, args) => IndexedCoordinates.of({ Coordinates: tx.coordinates.ofNode(args.Node) }),
})

/** The servers of every datacenter in the WAN, with their coordinates there. */
export const listDatacenters = callOperation({
  name: 'Coordinate.ListDatacenters',
  args: Empty,
  reply: list(DatacenterMap),
  scope: 'here',
  anyone: 'where servers are, as every member of the WAN pool knows',
  run: async ({ router }) => [...router.datacenterMaps()],
})
