/**
 * An HTTP answer as a value: status, flat header list, bytes. Whatever makes one, the server writes it the same way.
 */
import { gzipSync } from 'node:zlib'
import { HanseError, messageOf } from '#base'
import { jsonBytes } from './json-bytes.ts'

/** Names and values in turn, as node:http takes them without further work. */
export type HeaderList = readonly string[]

export interface Answer {
  readonly status: number
  readonly headers: HeaderList
  readonly body: Buffer
  /** The header list as a server writes it, length included; made at the first write and kept. */
  wire?: { readonly by: object; readonly headers: string[] }
}

export const NO_BODY = Buffer.alloc(0)
const JSON_TYPE: HeaderList = ['Content-Type', 'application/json']
export const TEXT_TYPE: HeaderList = ['Content-Type', 'text/plain; charset=utf-8']

/** Its value is the server's, where there is access control. */
export const DEFAULT_POLICY_HEADER = 'X-Consul-Default-Acl-Policy'
/** What every answer of a known endpoint carries. */
export const API_HEADERS: HeaderList = ['Vary', 'Accept-Encoding', DEFAULT_POLICY_HEADER, 'allow']

/** Bodies below it are not worth compressing; what Consul's handler uses. */
export const GZIP_MIN_BYTES = 1400
const GZIP_LEVEL = 4

export function jsonAnswer(value: unknown, pretty: boolean, headers: HeaderList = []): Answer {
  return { status: 200, headers: [...API_HEADERS, ...JSON_TYPE, ...headers], body: jsonBytes(value, pretty) }
}

/** 200 without a body, as writes to the agent answer. */
export const EMPTY_ANSWER: Answer = { status: 200, headers: [...API_HEADERS, ...JSON_TYPE], body: NO_BODY }

export function textAnswer(status: number, text: string, headers: HeaderList = []): Answer {
  return { status, headers: [...API_HEADERS, ...TEXT_TYPE, ...headers], body: Buffer.from(text) }
}

/** Nothing under that name: a status and no words. */
export function bareAnswer(status: number, headers: HeaderList = []): Answer {
  return { status, headers: [...API_HEADERS, ...headers], body: NO_BODY }
}

/** What was thrown, as Consul says it: the message alone. */
export function errorAnswer(thrown: unknown, headers: HeaderList = []): Answer {
  return textAnswer(thrown instanceof HanseError ? thrown.status : 500, messageOf(thrown), headers)
}

export function gzipBytes(body: Buffer): Buffer {
  return gzipSync(body, { level: GZIP_LEVEL })
}

export function gzipHeaders(headers: HeaderList): HeaderList {
  return ['Content-Encoding', 'gzip', ...headers]
}
