/**
 * `hanse join`: tells the agent to join the pools that other agents are in.
 */
import { messageOf } from '#base'
import { segment } from '#client'
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'join',
  summary: 'Tells the agent to join a pool',
  usage: 'ADDRESS...',
  help: 'Tells the agent to join the pool that the agents at these addresses are in. One that answers is enough.',
  args: [1, Number.POSITIVE_INFINITY],
  flags: { ...CLIENT_FLAGS, wan: { kind: 'bool', help: 'Join the WAN pool' } },
  run(context) {
    const { flags, args, print, warn, signal } = context
    return withAgent(context, async (agent) => {
      let joined = 0
      for (const address of args) {
        const options = { query: { wan: flags.bool('wan') ? '1' : undefined } }
        try {
          await agent.send(`Error joining address '${address}'`, 'PUT', `/v1/agent/join/${segment(address)}`, options)
          joined++
        } catch (error) {
          signal.throwIfAborted()
          warn(messageOf(error))
        }
      }
      if (joined > 0) print(`Successfully joined cluster by contacting ${joined} nodes.`)
      else warn('Failed to join any nodes.')
      return joined > 0 ? 0 : 1
    })
  },
}
