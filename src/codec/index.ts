/**
 * codec/: bytes ⇄ values. The msgpack dialect of the wire, schemas, shapes, LZW, certificates, HCL, filters. Pure.
 */
export {
  checkFilterSyntax,
  compileFilter,
  type Filter,
  type FilterField,
  type FilterFields,
} from './bexpr.ts'
export { filterError } from './bexpr-errors.ts'
export { codecError } from './errors.ts'
export { type GoJsonOptions, goJson, goJsonError, goString, parseGoJson, parseJson } from './go-json.ts'
export type { JsonObject, JsonValue } from './go-json-reader.ts'
export { compressLzw, decompressLzw } from './lzw.ts'
export { MAX_DEPTH, MsgpackReader, type MsgpackValue, MsgpackWriter, writeValue } from './msgpack.ts'
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
export * from './shapes/agent.ts'
export * from './shapes/catalog.ts'
export * from './shapes/check-definition.ts'
export * from './shapes/common.ts'
export * from './shapes/coordinate.ts'
export * from './shapes/federation.ts'
export * from './shapes/kv.ts'
export * from './shapes/operator.ts'
