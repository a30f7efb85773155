/**
 * What operators ask and set about the servers of a datacenter: who they are, how they are, what is done about dead ones.
 * Names are those of Consul, where a store of its own by Raft stands behind them.
 *
 * Source: RPC wire types; recorded outputs of `operator raft` and `operator autopilot`.
 */
import { formatDuration, parseDuration } from '#base'
import { goJsonError } from '../go-json.ts'
import { any, bool, int, type Kind, list, map, pointer, string, struct, time, uint, withJson } from '../schema.ts'
import { durationNs, queryOptions, raftIndex } from './common.ts'

/** Nanoseconds; "10s" in JSON. */
const durationText: Kind<number> = withJson(durationNs, {
  toJson: formatDuration,
  fromJson: (json, path) => {
    if (json === null || json === '') return 0
    if (typeof json === 'number' && Number.isSafeInteger(json)) return json
    const ns = typeof json === 'string' ? parseDuration(json) : undefined
    if (ns !== undefined) return ns
    throw goJsonError('JSON_DECODE', { problem: `${path}: time: invalid duration ${JSON.stringify(json)}` })
  },
})

/** What is done by itself about servers that die. */
export const AutopilotConfig = struct('AutopilotConfiguration', {
  CleanupDeadServers: bool,
  LastContactThreshold: durationText,
  MaxTrailingLogs: uint,
  MinQuorum: uint,
  ServerStabilizationTime: durationText,
  RedundancyZoneTag: string,
  DisableUpgradeMigration: bool,
  UpgradeVersionTag: string,
  ...raftIndex,
})
export type AutopilotConfig = ReturnType<typeof AutopilotConfig.of>

export const AutopilotSetConfigRequest = struct('AutopilotSetConfigRequest', {
  Datacenter: string,
  Config: AutopilotConfig,
  CAS: bool,
  Token: string,
})
export type AutopilotSetConfigRequest = ReturnType<typeof AutopilotSetConfigRequest.of>

/** What one server says of itself. `LastContact`: how old its data may be, as text. */
export const RaftStats = struct('RaftStats', { LastContact: string, LastTerm: uint, LastIndex: uint })
export type RaftStats = ReturnType<typeof RaftStats.of>

export const RaftServer = struct('RaftServer', {
  ID: string,
  Node: string,
  Address: string,
  Leader: bool,
  ProtocolVersion: string,
  Voter: bool,
  LastIndex: uint,
})
export type RaftServer = ReturnType<typeof RaftServer.of>
export const RaftConfigurationResponse = struct('RaftConfigurationResponse', {
  Servers: list(pointer(RaftServer)),
  Index: uint,
})
export type RaftConfigurationResponse = ReturnType<typeof RaftConfigurationResponse.of>

/** One server of the datacenter, by its ID or its "ip:port". */
export const RaftRemovePeerRequest = struct('RaftRemovePeerRequest', {
  Datacenter: string,
  Address: string,
  ID: string,
  Token: string,
})
export type RaftRemovePeerRequest = ReturnType<typeof RaftRemovePeerRequest.of>

/** `ID`: who is to lead, any other server where it is empty. */
export const LeadershipTransferRequest = struct('LeadershipTransferRequest', {
  Datacenter: string,
  ID: string,
  Token: string,
})
export type LeadershipTransferRequest = ReturnType<typeof LeadershipTransferRequest.of>

/** For how long a server is not to take the lead. */
export const StandDownRequest = struct('StandDownRequest', { Datacenter: string, HoldOffMs: uint, Token: string })
export type StandDownRequest = ReturnType<typeof StandDownRequest.of>

/** `SerfStatus`: 1 alive, 2 leaving, 3 left, 4 failed. */
export const AutopilotServerHealth = struct('AutopilotServerHealth', {
  ID: string,
  Name: string,
  Address: string,
  SerfStatus: int,
  Version: string,
  Leader: bool,
  LastContact: durationText,
  LastTerm: uint,
  LastIndex: uint,
  Healthy: bool,
  Voter: bool,
  StableSince: time,
})
export type AutopilotServerHealth = ReturnType<typeof AutopilotServerHealth.of>
export const AutopilotHealthReply = struct('AutopilotHealthReply', {
  Healthy: bool,
  FailureTolerance: int,
  Servers: list(AutopilotServerHealth),
})
export type AutopilotHealthReply = ReturnType<typeof AutopilotHealthReply.of>

const AutopilotServer = struct('Server', {
  ID: string,
  Name: string,
  Address: string,
  NodeStatus: string,
  Version: string,
  Meta: map(string),
  RaftVersion: int,
  IsLeader: bool,
  NodeType: string,
  Ext: any,
})
const ServerStats = struct('ServerStats', { LastContact: durationText, LastTerm: uint, LastIndex: uint })
const ServerHealth = struct('ServerHealth', { Healthy: bool, StableSince: time })
export const AutopilotServerState = struct('ServerState', {
  Server: AutopilotServer,
  /** "leader", "voter", "non-voter". */
  State: string,
  Stats: ServerStats,
  Health: ServerHealth,
})
export type AutopilotServerState = ReturnType<typeof AutopilotServerState.of>
export const AutopilotState = struct('State', {
  Healthy: bool,
  FailureTolerance: int,
  Servers: map(pointer(AutopilotServerState)),
  /** The leader's ID. */
  Leader: string,
  Voters: list(string),
  Ext: any,
})
export type AutopilotState = ReturnType<typeof AutopilotState.of>

/** One type that a secondary copies, as the server that copies it sees it; times in milliseconds since 1970, 0: never. */
const CopiedType = struct('CopiedType', {
  Running: bool,
  Index: uint,
  LastSuccessWallMs: uint,
  LastErrorWallMs: uint,
  LastError: string,
})
export const CopiesRequest = struct('CopiesRequest', { Datacenter: string, ...queryOptions })
export type CopiesRequest = ReturnType<typeof CopiesRequest.of>
export const CopiesReply = struct('CopiesReply', { Types: map(CopiedType) })
export type CopiesReply = ReturnType<typeof CopiesReply.of>
