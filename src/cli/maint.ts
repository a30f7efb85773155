/**
 * `hanse maint`: takes the node or one of its services out of discovery, and shows what is out of it.
 */

import { segment } from '#client'
import { HealthCheck, map } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command, CommandContext, Flags } from './command.ts'
import { cliError } from './errors.ts'

const NODE_CHECK = '_node_maintenance'
const SERVICE_CHECK = '_service_maintenance:'
const Checks = map(HealthCheck)

async function show(agent: AgentApi, context: CommandContext): Promise<number> {
  const checks = Object.values((await agent.get('Error getting checks', Checks, '/v1/agent/checks')) ?? {})
  for (const { CheckID, Node, ServiceID, Notes } of checks.sort((a, b) => (a.CheckID < b.CheckID ? -1 : 1))) {
    const node = CheckID === NODE_CHECK
    if (!node && !CheckID.startsWith(SERVICE_CHECK)) continue
    const rows = [node ? ['  Name:', Node] : ['  ID:', ServiceID], ['  Reason:', Notes]]
    context.print(`${node ? 'Node' : 'Service'}:\n${columns(rows, 1)}\n`)
  }
  return 0
}

/** @throws ARGUMENTS for flags that exclude or need each other */
function checkFlags(flags: Flags): void {
  const refuse = (message: string) => cliError('ARGUMENTS', { message })
  const [enable, disable] = [flags.bool('enable'), flags.bool('disable')]
  if (enable && disable) throw refuse('Only one of -enable or -disable may be provided')
  if (!enable && flags.has('reason')) throw refuse('Reason may only be provided with -enable')
  if (!enable && !disable && flags.has('service')) throw refuse('-service requires either -enable or -disable')
}

async function change(agent: AgentApi, { flags, print }: CommandContext): Promise<number> {
  const enable = flags.bool('enable')
  const service = flags.string('service')
  const query = { enable: String(enable), reason: flags.string('reason') }
  const state = `maintenance is now ${enable ? 'enabled' : 'disabled'}`
  if (service === undefined) {
    await agent.send('Error changing node maintenance', 'PUT', '/v1/agent/maintenance', { query })
    print(`Node ${state}`)
  } else {
    const path = `/v1/agent/service/maintenance/${segment(service)}`
    await agent.send('Error changing service maintenance', 'PUT', path, { query })
    print(`Service ${state} for "${service}"`)
  }
  return 0
}

export const command: Command = {
  name: 'maint',
  summary: 'Shows and changes maintenance of the node or a service',
  help: `In maintenance, a node or service is not found by DNS and health queries. Without flags: shows what is in it.`,
  flags: {
    ...CLIENT_FLAGS,
    enable: { kind: 'bool', help: 'Begin maintenance' },
    disable: { kind: 'bool', help: 'End maintenance' },
    reason: { kind: 'string', value: 'text', help: 'Why, for people to read; with -enable' },
    service: { kind: 'string', value: 'id', help: 'Of a service of this agent instead of the whole node' },
  },
  run(context) {
    const { flags } = context
    checkFlags(flags)
    return withAgent(context, (agent) => {
      return flags.bool('enable') || flags.bool('disable') ? change(agent, context) : show(agent, context)
    })
  },
}
