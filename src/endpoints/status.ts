/**
 * Status.*: is a server there, who leads, which servers are there.
 */
import { DCSpecificRequest, Empty, EmptyReadRequest, list, RaftStats, string } from '#codec'
import { callOperation } from './operation.ts'

export const ping = callOperation({
  name: 'Status.Ping',
  args: EmptyReadRequest,
  reply: Empty,
  scope: 'here',
  anyone: 'whether a server is there',
  run: async () => Empty.of(),
})

/** "ip:port" of the leader's server port; empty when there is none. */
export const leader = callOperation({
  name: 'Status.Leader',
  args: DCSpecificRequest,
  reply: string,
  scope: 'datacenter',
  anyone: 'which servers are there, as every client must know',
  run: async ({ ports }) => ports.leaderAddress(),
})

/** "ip:port" of every server of the datacenter. */
export const peers = callOperation({
  name: 'Status.Peers',
  args: DCSpecificRequest,
  reply: list(string),
  scope: 'datacenter',
  anyone: 'which servers are there, as every client must know',
  run: async ({ ports }) => [...ports.peers()],
})

/** What this server says of its own copy of the data. */
export const raftStats = callOperation({
  name: 'Status.RaftStats',
  args: EmptyReadRequest,
  reply: RaftStats,
  scope: 'here',
  anyone: 'how far a server is, as every other one must know',
  run: async ({ ports, state }) =>
    ports.servers?.ownStats() ?? RaftStats.of({ LastContact: '0', LastTerm: 1, LastIndex: state.index }),
})
