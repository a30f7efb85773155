/**
 * What the API answers about the servers of a datacenter, as far as the commands look at it.
 */
import { bool, int, list, map, string, struct, uint } from '#codec'

export const RaftConfiguration = struct('RaftConfiguration', {
  Servers: list(
    struct('RaftServer', {
      ID: string,
      Node: string,
      Address: string,
      Leader: bool,
      ProtocolVersion: string,
      Voter: bool,
      LastIndex: uint,
    }),
  ),
})
export type RaftConfiguration = ReturnType<typeof RaftConfiguration.of>

const ServerState = struct('AutopilotServer', {
  ID: string,
  Name: string,
  Address: string,
  NodeStatus: string,
  Version: string,
  LastContact: string,
  LastTerm: uint,
  LastIndex: uint,
  Healthy: bool,
  Status: string,
  Meta: map(string),
  NodeType: string,
})
export const AutopilotState = struct('AutopilotState', {
  Healthy: bool,
  FailureTolerance: int,
  OptimisticFailureTolerance: int,
  Servers: map(ServerState),
  Leader: string,
  Voters: list(string),
})
export type AutopilotState = ReturnType<typeof AutopilotState.of>
