/**
 * `hanse operator raft …`: the servers of a datacenter, who of them leads, and what to do about one that is gone.
 */
import { HanseError, messageOf } from '#base'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'
import { RaftConfiguration } from './operator-answers.ts'

const TRANSFERRING = 'Error transfering leadership'
const HEADER = ['Node', 'ID', 'Address', 'State', 'Voter', 'RaftProtocol', 'Commit Index', 'Trails Leader By']

/** The columns that Consul prints. */
export function peersText({ Servers }: RaftConfiguration): string {
  const servers = Servers ?? []
  const leaderIndex = servers.find(({ Leader }) => Leader)?.LastIndex
  const rows = servers.map(({ Node, ID, Address, Leader, Voter, ProtocolVersion, LastIndex }) => {
    const behind = Math.max(0, (leaderIndex ?? LastIndex) - LastIndex)
    const trails = Leader ? '-' : `${behind} commits`
    const state = Leader ? 'leader' : 'follower'
    return [Node, ID, Address, state, String(Voter), ProtocolVersion, String(LastIndex), trails]
  })
  return columns([HEADER, ...rows])
}

export const listPeers: Command = {
  name: 'operator raft list-peers',
  summary: 'Lists the servers of a datacenter, and who leads',
  help: `The index is the revision of the store that a server has applied; a server that does not answer shows 0.`,
  flags: API_FLAGS,
  run: (context) =>
    withAgent(context, async (agent) => {
      const query = { stale: context.flags.bool('stale') }
      const path = '/v1/operator/raft/configuration'
      const found = await agent.get(
        'Error getting peers: Failed to retrieve raft configuration',
        RaftConfiguration,
        path,
        query,
      )
      context.print(peersText(found))
      return 0
    }),
}

export const removePeer: Command = {
  name: 'operator raft remove-peer',
  summary: 'Takes a server that is gone out of its datacenter',
  help: `Takes a server that died, and does not come back, out of the pools, the catalog and the store. One that is alive is
taken out with "hanse leave" on itself.`,
  flags: {
    ...API_FLAGS,
    address: { kind: 'string', value: 'ip:port', help: 'The server, by its address' },
    id: { kind: 'string', value: 'id', help: 'The server, by its ID' },
  },
  run(context) {
    const address = context.flags.string('address') ?? ''
    const id = context.flags.string('id') ?? ''
    if (address === '' && id === '') {
      throw cliError('ARGUMENTS', {
        message: 'Error removing peer: an address or id is required for the peer to remove',
      })
    }
    if (address !== '' && id !== '') {
      throw cliError('ARGUMENTS', { message: 'Error removing peer: cannot give both an address and id' })
    }
    return withAgent(context, async (agent) => {
      const query = id === '' ? { address } : { id }
      await agent.send('Error removing peer', 'DELETE', '/v1/operator/raft/peer', { query })
      context.print(id === '' ? `Removed peer with address "${address}"` : `Removed peer with id "${id}"`)
      return 0
    })
  },
}

export const transferLeader: Command = {
  name: 'operator raft transfer-leader',
  summary: 'Hands the lead to another server',
  help: 'The lead goes to the server that -id names, else to any other one that is alive.',
  flags: { ...API_FLAGS, id: { kind: 'string', value: 'id', help: 'The server that is to lead, by its ID' } },
  run: (context) =>
    withAgent(context, async (agent) => {
      const query = { id: context.flags.string('id') }
      try {
        await agent.send(TRANSFERRING, 'POST', '/v1/operator/raft/transfer-leader', { query })
      } catch (error) {
        if (!(error instanceof HanseError) || error.code !== 'REQUEST_FAILED') throw error
        // Consul's words, with no colon behind them.
        const reason = `Failed to transfer leadership ${messageOf(error.cause)}`
        throw cliError('REQUEST_FAILED', { doing: TRANSFERRING, reason, hint: error.hint ?? '' }, error)
      }
      context.print('Success')
      return 0
    }),
}
