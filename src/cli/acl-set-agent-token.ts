/**
 * `hanse acl set-agent-token`: gives the agent a token of its own, while it runs.
 */
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'acl set-agent-token',
  summary: 'Gives the agent one of its tokens',
  usage: 'KIND TOKEN',
  help: 'KIND is default, agent, recovery, replication, config_file_service_registration or dns.',
  args: [2, 2],
  flags: API_FLAGS,
  run: (context) =>
    withAgent(context, async (agent) => {
      const [kind = '', token = ''] = context.args
      const path = `/v1/agent/token/${kind === 'recovery' ? 'agent_recovery' : encodeURIComponent(kind)}`
      await agent.send(`Failed to set ACL token "${kind}"`, 'PUT', path, { body: { Token: token } })
      context.print(`ACL token "${kind}" set successfully`)
      return 0
    }),
}
