/**
 * The shape of GET /v1/internal/federation-status, read from JSON: the federation's `FederationStatus` as it travels.
 */

import { bool, float, int, type Kind, list, map, pointer, string, struct } from '#codec'

/** Lists that an answer may leave out, as lists. */
function listOf<T>(item: Kind<T>): Kind<readonly T[]> {
  const nullable = list(item)
  return {
    ...nullable,
    zero: () => [],
    isEmpty: (value) => value.length === 0,
    read: (reader, depth) => nullable.read(reader, depth) ?? [],
    fromJson: (json, path, options) => nullable.fromJson(json, path, options) ?? [],
  }
}

const Problem = struct('Problem', { Code: string, Message: string, Hint: string })
const Gateway = struct('Gateway', { Address: string, Healthy: bool, Source: string, LastError: string })
const ReplicationType = struct('ReplicationType', {
  Running: bool,
  Index: int,
  LastSuccess: string,
  LastError: string,
  LagSeconds: float,
})
const Datacenter = struct('Datacenter', {
  Name: string,
  Primary: bool,
  Local: bool,
  State: string,
  Since: string,
  Gateways: listOf(Gateway),
  Gossip: struct('Gossip', { Alive: int, Failed: int, Left: int }),
  RPC: struct('RPC', { OK: bool, LastSuccessSeconds: pointer(float), LastError: string, Since: string }),
  Replication: map(ReplicationType),
  Problems: listOf(Problem),
})

const Certificate = struct('Certificate', {
  Kind: string,
  Name: string,
  KeyID: string,
  NotBefore: string,
  NotAfter: string,
  RemainingSeconds: int,
  State: string,
  Active: bool,
})

export const Status = struct('FederationStatus', {
  Datacenter: string,
  PrimaryDatacenter: string,
  Domain: string,
  Node: string,
  GossipEncrypted: bool,
  Datacenters: listOf(Datacenter),
  Certificates: listOf(Certificate),
  Problems: listOf(Problem),
})
export type Status = ReturnType<typeof Status.of>
export type CertificateAnswer = ReturnType<typeof Certificate.of>
export type DatacenterAnswer = ReturnType<typeof Datacenter.of>
