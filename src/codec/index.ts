/**
 * codec/: bytes ⇄ values. The msgpack dialect of the wire, protobuf, schemas, shapes, LZW, certificates, HCL, filters. Pure.
 */
export {
  checkFilterSyntax,
  compileFilter,
  type Filter,
  type FilterField,
  type FilterFields,
} from './bexpr.ts'
export { filterError } from './bexpr-errors.ts'
export { compileRegex } from './bexpr-regex.ts'
export { RegexProblem } from './bexpr-regex-parse.ts'
export { codecError } from './errors.ts'
export { type GoJsonOptions, goJson, goJsonError, goString, parseGoJson, parseJson } from './go-json.ts'
export type { JsonObject, JsonValue } from './go-json-reader.ts'
export { parseHcl } from './hcl.ts'
export { compressLzw, decompressLzw } from './lzw.ts'
export { MAX_DEPTH, MsgpackReader } from './msgpack-reader.ts'
export { type MsgpackValue, writeValue } from './msgpack-value.ts'
export { MsgpackWriter } from './msgpack-writer.ts'
export type { MessageOf, ProtobufMessage } from './protobuf-message.ts'
export {
  any,
  bool,
  bytes,
  decode,
  decodeFrom,
  encode,
  type FieldTraits,
  float,
  type Infer,
  int,
  type Json,
  type JsonReadOptions,
  jsonName,
  jsonOmitEmpty,
  jsonOnly,
  type Kind,
  list,
  map,
  pointer,
  type Shape,
  type Struct,
  string,
  struct,
  time,
  timeFromBytes,
  timeToBytes,
  uint,
  uint64,
  wireOmitEmpty,
  wireOnly,
  withJson,
  ZERO_TIME,
} from './schema.ts'
export * from './shapes/acl.ts'
export * from './shapes/acl-calls.ts'
export * from './shapes/agent.ts'
export * from './shapes/catalog.ts'
export * from './shapes/catalog-replies.ts'
export * from './shapes/catalog-requests.ts'
export * from './shapes/check-definition.ts'
export * from './shapes/common.ts'
export * from './shapes/config-entries.ts'
export * from './shapes/config-entries-api-gateway.ts'
export * from './shapes/config-entries-chain.ts'
export * from './shapes/config-entries-defaults.ts'
export * from './shapes/config-entries-gateways.ts'
export * from './shapes/config-entries-intentions.ts'
export type { LenientReadOptions, ReadProblems } from './shapes/config-entries-kinds.ts'
export * from './shapes/config-entries-resolved.ts'
export * from './shapes/config-entries-routing.ts'
export * from './shapes/connect.ts'
export * from './shapes/coordinate.ts'
export * from './shapes/etcd.ts'
export * from './shapes/federation.ts'
export * from './shapes/kv.ts'
export * from './shapes/operator.ts'
export * from './shapes/servers.ts'
export * from './shapes/session.ts'
export * from './shapes/subscription.ts'
export * from './shapes/txn.ts'
export * from './shapes/user-event.ts'
export {
  CA_DAYS_DEFAULT,
  CERTIFICATE_DAYS_DEFAULT,
  type CertificateAuthorityOptions,
  type CertificateOptions,
  createCertificate,
  createCertificateAuthority,
  type IssuingEnvironment,
  type PemPair,
} from './x509.ts'
export { EMPTY_NAME } from './x509-build.ts'
export { checkTlsIdentity, type IdentityCheck, nameCovers, type PemIdentity } from './x509-check.ts'
export { x509Error } from './x509-errors.ts'
export {
  type IssuerName,
  issueMeshCertificate,
  issueSelfSigned,
  type MeshCertificate,
  meshCertificateBody,
  meshKeyIdentifier,
  meshName,
  type Signer,
  selfSignatureDigest,
  serialBytes,
  signerFrom,
  signerFromPem,
} from './x509-issue.ts'
export {
  type CertificateFacts,
  certificateFacts,
  certificateNames,
  certificatesFromPem,
  messageOfCrypto,
  privateKeyFromPem,
  splitPem,
} from './x509-read.ts'
export {
  type CertificateRequest,
  createCertificateRequest,
  MAX_REQUEST_CHARACTERS,
  parseCertificateRequest,
  type RequestOptions,
} from './x509-request.ts'
