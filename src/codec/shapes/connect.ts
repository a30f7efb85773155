/**
 * The certificate authority of the mesh on the wire and in JSON: roots, issued certificates, configuration, requests.
 *
 * Source: RPC wire notes §10 (ConnectCA), federation wire notes §9.
 */
import {
  any,
  bool,
  int,
  jsonOmitEmpty,
  list,
  map,
  pointer,
  string,
  struct,
  time,
  uint,
  uint64,
  wireOnly,
} from '../schema.ts'
import { queryMeta, raftIndex } from './common.ts'

/** One root and the intermediates that lead to it. `SigningCert` and `SigningKey` are always empty between servers. */
export const CARoot = struct('CARoot', {
  /** SHA-1 of the certificate, lower-case hex with colons. */
  ID: string,
  Name: string,
  SerialNumber: uint64,
  /** Key identifier of what signs leafs here: the root's, or in a secondary the intermediate's. */
  SigningKeyID: string,
  /** The cluster id. */
  ExternalTrustDomain: string,
  NotBefore: time,
  NotAfter: time,
  RootCert: string,
  IntermediateCerts: list(string),
  SigningCert: jsonOmitEmpty(string),
  SigningKey: jsonOmitEmpty(string),
  Active: bool,
  RotatedOutAt: wireOnly(time),
  PrivateKeyType: string,
  PrivateKeyBits: int,
  ...raftIndex,
})
export type CARoot = ReturnType<typeof CARoot.of>

export const IndexedCARoots = struct('IndexedCARoots', {
  ActiveRootID: string,
  TrustDomain: string,
  Roots: list(CARoot),
  ...queryMeta,
})
export type IndexedCARoots = ReturnType<typeof IndexedCARoots.of>

/** Arguments of ConnectCA.Sign and ConnectCA.SignIntermediate; the latter's reply is PEM text. */
export const CASignRequest = struct('CASignRequest', {
  Datacenter: string,
  CSR: string,
  Token: string,
})
export type CASignRequest = ReturnType<typeof CASignRequest.of>

/** A signed leaf: of a service, an agent, a server or a gateway (`Kind`). The private key is only in agents' answers. */
export const IssuedCert = struct('IssuedCert', {
  /** Hex bytes with colons: "0d", "01:2c". */
  SerialNumber: string,
  /** The leaf and the certificates that lead to the root, in the order of a TLS handshake. */
  CertPEM: string,
  PrivateKeyPEM: jsonOmitEmpty(string),
  Service: jsonOmitEmpty(string),
  ServiceURI: jsonOmitEmpty(string),
  Agent: jsonOmitEmpty(string),
  AgentURI: jsonOmitEmpty(string),
  ServerURI: jsonOmitEmpty(string),
  Kind: jsonOmitEmpty(string),
  KindURI: jsonOmitEmpty(string),
  ValidAfter: time,
  ValidBefore: time,
  ...raftIndex,
})
export type IssuedCert = ReturnType<typeof IssuedCert.of>

/** The provider and its settings. The cluster id travels between servers only. */
export const CAConfiguration = struct('CAConfiguration', {
  ClusterID: wireOnly(string),
  Provider: string,
  Config: map(any),
  State: map(string),
  ForceWithoutCrossSigning: bool,
  ...raftIndex,
})
export type CAConfiguration = ReturnType<typeof CAConfiguration.of>

/** What the built-in provider keeps; nil in every request of one server to another. */
export const CAConsulProviderState = struct('CAConsulProviderState', {
  ID: string,
  PrivateKey: string,
  RootCert: string,
  IntermediateCert: string,
  ...raftIndex,
})
export type CAConsulProviderState = ReturnType<typeof CAConsulProviderState.of>

/** Arguments of ConnectCA.ConfigurationSet: only `Config`, `Datacenter` and `Token` are filled. */
export const CARequest = struct('CARequest', {
  Op: string,
  Index: uint,
  Datacenter: string,
  Config: pointer(CAConfiguration),
  Roots: list(CARoot),
  ProviderState: pointer(CAConsulProviderState),
  Token: string,
})
export type CARequest = ReturnType<typeof CARequest.of>
