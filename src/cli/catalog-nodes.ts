/**
 * `hanse catalog nodes`: the nodes of a datacenter, or those that run a service, as a table.
 */

import { segment } from '#client'
import { list, Node, ServiceNode } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command, Flags } from './command.ts'

const DOING = 'Error listing nodes'
const SHORT_ID_CHARACTERS = 8
const Nodes = list(Node)
const ServiceNodes = list(ServiceNode)
type ShownNode = Pick<Node, 'ID' | 'Node' | 'Address' | 'Datacenter' | 'TaggedAddresses' | 'Meta'>

/** Pairs as the API wants them in a query: `key:value`. */
export function nodeMetaQuery(flags: Flags): readonly string[] {
  return flags.pairs('node-meta').map(([key, value]) => `${key}:${value}`)
}

async function ask(agent: AgentApi, flags: Flags): Promise<readonly ShownNode[]> {
  const query = { near: flags.string('near'), 'node-meta': nodeMetaQuery(flags), filter: flags.string('filter') }
  const service = flags.string('service')
  if (service === undefined) return (await agent.get(DOING, Nodes, '/v1/catalog/nodes', query)) ?? []
  const instances = await agent.get(DOING, ServiceNodes, `/v1/catalog/service/${segment(service)}`, query)
  // A node that runs two instances is one node.
  const nodes = new Map((instances ?? []).map((each) => [each.Node, { ...each, Meta: each.NodeMeta }] as const))
  return [...nodes.values()]
}

function standard(nodes: readonly ShownNode[]): string {
  const rows = nodes.map((node) => [node.Node, node.ID.slice(0, SHORT_ID_CHARACTERS), node.Address, node.Datacenter])
  return columns([['Node', 'ID', 'Address', 'DC'], ...rows])
}

function pairs(map: Readonly<Record<string, string>> | null): string {
  const texts = Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`)
  return texts.sort().join(', ')
}

function detailed(nodes: readonly ShownNode[]): string {
  const rows = nodes.map((node) => [
    node.Node,
    node.ID,
    node.Address,
    node.Datacenter,
    pairs(node.TaggedAddresses),
    pairs(node.Meta),
  ])
  return columns([['Node', 'ID', 'Address', 'DC', 'TaggedAddresses', 'Meta'], ...rows])
}

export const command: Command = {
  name: 'catalog nodes',
  summary: 'Lists the nodes of a datacenter',
  flags: {
    ...API_FLAGS,
    detailed: { kind: 'bool', help: 'Show whole IDs, tagged addresses and metadata' },
    near: { kind: 'string', value: 'node', help: 'Sort by distance from a node; _agent: from the agent' },
    'node-meta': {
      kind: 'list',
      value: 'key=value',
      help: 'Only nodes with this metadata; may be given several times',
    },
    service: { kind: 'string', value: 'name', help: 'Only nodes that run this service' },
    filter: { kind: 'string', value: 'expression', help: 'Only nodes for which it is true: Meta.zone == "z1"' },
  },
  run(context) {
    const { flags, print } = context
    return withAgent(context, async (agent) => {
      const nodes = await ask(agent, flags)
      if (nodes.length === 0) print('No nodes match the given query - try expanding your search.')
      else print(flags.bool('detailed') ? detailed(nodes) : standard(nodes))
      return 0
    })
  },
}
