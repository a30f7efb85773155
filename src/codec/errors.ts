/**
 * What can be wrong with bytes and text from outside.
 */
import { errorTable } from '#base'

export const codecError = errorTable({
  MSGPACK_TRUNCATED: {
    status: 400,
    message: ({ offset }: { offset: number }) => `Decode msgpack: value ends early at byte ${offset}`,
  },
  MSGPACK_TYPE: {
    status: 400,
    message: ({ wanted, got, offset }: { wanted: string; got: string; offset: number }) =>
      `Decode msgpack: expected ${wanted} at byte ${offset}: found 0x${got}`,
  },
  MSGPACK_LIMIT: {
    status: 400,
    message: ({ what, limit, offset }: { what: string; limit: number; offset: number }) =>
      `Decode msgpack: ${what} at byte ${offset} is above the limit of ${limit}`,
  },
  PROTOBUF_TRUNCATED: {
    status: 400,
    message: ({ offset }: { offset: number }) => `Decode protobuf: message ends early at byte ${offset}`,
  },
  PROTOBUF_INVALID: {
    status: 400,
    message: ({ what, offset }: { what: string; offset: number }) => `Decode protobuf: ${what} before byte ${offset}`,
  },
  JSON_TYPE: {
    status: 400,
    message: ({ wanted, got, path }: { wanted: string; got: string; path: string }) =>
      `Request decode failed: json: cannot unmarshal ${got} into Go ${path === '' ? 'value' : `struct field ${path}`} of type ${wanted}`,
  },
  JSON_UNKNOWN_FIELD: {
    status: 400,
    message: ({ field }: { field: string }) => `Request decode failed: json: unknown field "${field}"`,
  },
  TIME_TEXT: {
    status: 400,
    message: ({ text }: { text: string }) => `Encode time "${text}": not an RFC 3339 time`,
  },
})
