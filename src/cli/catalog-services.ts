/**
 * `hanse catalog services`: the names of a datacenter's services, or those of one node, with their tags if wanted.
 */

import { segment } from '#client'
import { list, map, NodeServices, pointer, string } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import { nodeMetaQuery } from './catalog-nodes.ts'
import { columns } from './columns.ts'
import type { Command, Flags } from './command.ts'
import { cliError } from './errors.ts'

const DOING = 'Error listing services'
const TAGS_GUTTER = 6
const Services = map(list(string))
const OneNode = pointer(NodeServices)

type TagsByName = ReadonlyMap<string, ReadonlySet<string>>

async function ofDatacenter(agent: AgentApi, flags: Flags): Promise<TagsByName> {
  const query = { 'node-meta': nodeMetaQuery(flags) }
  const services = await agent.get(DOING, Services, '/v1/catalog/services', query)
  return new Map(Object.entries(services ?? {}).map(([name, tags]) => [name, new Set(tags)]))
}

async function ofNode(agent: AgentApi, node: string): Promise<TagsByName> {
  const found = await agent.get(DOING, OneNode, `/v1/catalog/node/${segment(node)}`)
  if (found === null) throw cliError('REQUEST_FAILED', { doing: DOING, reason: `no node "${node}"`, hint: NODE_HINT })
  const services = new Map<string, Set<string>>()
  for (const { Service, Tags } of Object.values(found.Services ?? {})) {
    services.set(Service, new Set([...(services.get(Service) ?? []), ...(Tags ?? [])]))
  }
  return services
}

const NODE_HINT = '`hanse catalog nodes` lists the nodes'

export const command: Command = {
  name: 'catalog services',
  summary: 'Lists the services of a datacenter',
  flags: {
    ...API_FLAGS,
    tags: { kind: 'bool', help: 'Show the tags of each service' },
    node: { kind: 'string', value: 'name or ID', help: 'Only services of this node' },
    'node-meta': {
      kind: 'list',
      value: 'key=value',
      help: 'Only services of nodes with this metadata; may be given several times',
    },
  },
  run(context) {
    const { flags, print } = context
    return withAgent(context, async (agent) => {
      const node = flags.string('node')
      const services = node === undefined ? await ofDatacenter(agent, flags) : await ofNode(agent, node)
      const names = [...services.keys()].sort()
      if (names.length === 0) return 0
      const rows = names.map((name) => [name, [...(services.get(name) ?? [])].sort().join(',')])
      print(flags.bool('tags') ? columns(rows, TAGS_GUTTER) : names.join('\n'))
      return 0
    })
  },
}
