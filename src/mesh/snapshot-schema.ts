/**
 * The snapshot as it travels: bytes and JSON → typed values, refused as a whole when a part is missing or of another type.
 *
 * A proxy is told by its server and by no one else, but reads with the same care as anyone.
 */
import {
  any,
  bool,
  CompiledDiscoveryChain,
  float,
  goJsonError,
  IntentionPermission,
  type Kind,
  list,
  map,
  type Struct,
  string,
  struct,
} from '#codec'
import type * as snapshot from './proxy-snapshot.ts'

/** A list that is never nil. */
function items<T>(item: Kind<T>): Kind<readonly T[]> {
  const nullable = list(item)
  return {
    ...nullable,
    zero: () => [],
    read: (reader, depth) => nullable.read(reader, depth) ?? [],
    fromJson: (json, path, options) => nullable.fromJson(json, path, options) ?? [],
  }
}

/** A map that is never nil. */
function entries<T>(item: Kind<T>): Kind<Readonly<Record<string, T>>> {
  const nullable = map(item)
  return {
    ...nullable,
    zero: () => ({}),
    read: (reader, depth) => nullable.read(reader, depth) ?? {},
    fromJson: (json, path, options) => nullable.fromJson(json, path, options) ?? {},
  }
}

/** One of a few words; the first is what a missing one means. */
function word<W extends string>(first: W, ...others: W[]): Kind<W> {
  const known = [first, ...others]
  const checked = (text: string): W => {
    const found = known.find((one) => one === text)
    if (found === undefined) {
      throw goJsonError('JSON_DECODE', {
        problem: `expected one of ${known.join(', ')}: found ${JSON.stringify(text)}`,
      })
    }
    return found
  }
  return {
    kindName: 'string',
    zero: () => first,
    isEmpty: () => false,
    write: (writer, value) => writer.string(value),
    read: (reader) => checked(reader.string()),
    toJson: (value) => value,
    fromJson: (json, path, options) => checked(string.fromJson(json, path, options)),
  }
}

/** Numbers of which some are fractions: weights, milliseconds. */
const number = float

const Endpoint: Struct<snapshot.EndpointSnapshot> = struct('EndpointSnapshot', {
  Address: string,
  Port: number,
  Healthy: bool,
  Weight: number,
})
const Target: Struct<snapshot.TargetSnapshot> = struct('TargetSnapshot', {
  Name: string,
  TargetID: string,
  Datacenter: string,
  SNI: string,
  SpiffeIDs: items(string),
  Gateway: word('none', 'local', 'remote'),
  ConnectTimeoutMs: number,
  Endpoints: items(Endpoint),
})
const Cluster: Struct<snapshot.ClusterSnapshot> = struct('ClusterSnapshot', {
  Name: string,
  ConnectTimeoutMs: number,
  Targets: items(Target),
})
const Split: Struct<snapshot.WeightedCluster> = struct('WeightedCluster', { Weight: number, Cluster: string })
const UpstreamListener: Struct<snapshot.UpstreamListener> = struct('UpstreamListener', {
  Name: string,
  Address: string,
  Port: number,
  SocketPath: string,
  SocketMode: string,
})
/** What people wrote has plain numbers here, so that it is the same after JSON. */
const plainAny: Kind<unknown> = {
  ...any,
  write: (writer, value) => any.write(writer, any.fromJson(value, '', { unknownKeys: 'skip' })),
  isEmpty: (value) => value === null,
  toJson: (value) => value,
  fromJson: (json) => json,
}
const Upstream: Struct<snapshot.UpstreamSnapshot> = struct('UpstreamSnapshot', {
  ID: string,
  Name: string,
  Datacenter: string,
  Listener: UpstreamListener,
  Protocol: string,
  Chain: CompiledDiscoveryChain,
  ClusterOfNode: entries(string),
  Splits: items(Split),
  Config: entries(plainAny),
})
const Rule: Struct<snapshot.IntentionRule> = struct('IntentionRule', {
  Source: string,
  Precedence: number,
  Principal: string,
  Action: string,
  Permissions: items(IntentionPermission),
})
const LocalApp: Struct<snapshot.LocalApp> = struct('LocalApp', {
  Address: string,
  Port: number,
  SocketPath: string,
  ConnectTimeoutMs: number,
  RequestTimeoutMs: number,
})
const PublicListener: Struct<snapshot.PublicListener> = struct('PublicListener', {
  Name: string,
  Address: string,
  Port: number,
  Protocol: string,
  LocalApp,
  MaxInboundConnections: number,
  DefaultAllow: bool,
  Rules: items(Rule),
})
const ExposedPath: Struct<snapshot.ExposedPath> = struct('ExposedPath', {
  Path: string,
  ListenerPort: number,
  LocalPathPort: number,
  Protocol: string,
})
const Leaf: Struct<snapshot.SnapshotLeaf> = struct('SnapshotLeaf', {
  CertPEM: string,
  PrivateKeyPEM: string,
  ValidBefore: string,
})

/** The reply of the operation that proxies wait on. */
export const ProxySnapshot: Struct<snapshot.ProxySnapshot> = struct('ProxySnapshot', {
  Kind: word('connect-proxy'),
  ProxyID: string,
  Node: string,
  Service: string,
  Datacenter: string,
  TrustDomain: string,
  Leaf,
  Roots: items(string),
  Public: PublicListener,
  ExposedPaths: items(ExposedPath),
  Upstreams: items(Upstream),
  Clusters: items(Cluster),
})
export type ProxySnapshot = snapshot.ProxySnapshot
