/**
 * `hanse rtt`: the round-trip time between two nodes, estimated from their network coordinates.
 */
import { type Coordinate, DatacenterMap, list, NodeCoordinate } from '#codec'
import { AgentSelf } from './agent-answers.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

const DOING = 'Error getting coordinates'
const MS_PER_S = 1000
const NodeCoordinates = list(NodeCoordinate)
const DatacenterMaps = list(DatacenterMap)

interface Named {
  readonly name: string
  readonly coordinate: Coordinate
}

function named(name: string, coordinate: Coordinate | null): readonly Named[] {
  return coordinate === null ? [] : [{ name, coordinate }]
}

/** Coordinates of the LAN's nodes, or of all servers as `node.datacenter`. */
async function coordinates(agent: AgentApi, wan: boolean): Promise<readonly Named[]> {
  if (!wan) {
    const nodes = await agent.get(DOING, NodeCoordinates, '/v1/coordinate/nodes')
    return (nodes ?? []).flatMap(({ Node, Coord }) => named(Node, Coord))
  }
  const maps = await agent.get(DOING, DatacenterMaps, '/v1/coordinate/datacenters')
  return (maps ?? []).flatMap(({ Datacenter, Coordinates }) =>
    (Coordinates ?? []).flatMap(({ Node, Coord }) => named(`${Node}.${Datacenter}`, Coord)),
  )
}

async function ownName(agent: AgentApi, wan: boolean): Promise<string> {
  const { Config } = await agent.get('Error looking up agent info', AgentSelf, '/v1/agent/self')
  return wan ? `${Config.NodeName}.${Config.Datacenter}` : Config.NodeName
}

/** @throws ARGUMENTS */
function coordinateOf(all: readonly Named[], name: string, wan: boolean): Coordinate {
  const found = all.find((each) => each.name === name)
  if (found) return found.coordinate
  const names = wan ? 'servers are written node.datacenter' : 'its coordinate comes some seconds after it joined'
  throw cliError('ARGUMENTS', { message: `Could not find a coordinate for node "${name}": ${names}` })
}

/** @throws ARGUMENTS for a name without its datacenter */
function checkWanName(name: string): void {
  if (/^.+\.[^.]+$/.test(name)) return
  throw cliError('ARGUMENTS', { message: `Node "${name}": with -wan it is written node.datacenter` })
}

export const command: Command = {
  name: 'rtt',
  summary: 'Estimates the round-trip time between two nodes',
  usage: 'NODE [NODE]',
  help: 'Estimates the round-trip time between two nodes, or between a node and the agent, from their coordinates.',
  args: [1, 2],
  flags: { ...CLIENT_FLAGS, wan: { kind: 'bool', help: 'Between servers, as node.datacenter' } },
  run(context) {
    const { flags, args, print } = context
    const wan = flags.bool('wan')
    if (wan) for (const name of args) checkWanName(name)
    return withAgent(context, async (agent) => {
      const [first = '', second = await ownName(agent, wan)] = args
      const all = await coordinates(agent, wan)
      const [a, b] = [coordinateOf(all, first, wan), coordinateOf(all, second, wan)]
      // The formula has its home in gossip/, which only this command needs.
      const { coordinateDistanceS } = await import('#gossip')
      const seconds = coordinateDistanceS({ ...a, Vec: a.Vec ?? [] }, { ...b, Vec: b.Vec ?? [] })
      const kind = wan ? 'WAN' : 'LAN'
      print(`Estimated ${first} <-> ${second} rtt: ${(seconds * MS_PER_S).toFixed(3)} ms (using ${kind} coordinates)`)
      return 0
    })
  },
}
