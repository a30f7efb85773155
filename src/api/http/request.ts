/**
 * One request as handlers see it: decoded path parts, parameters, body, the end of its caller.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { HanseError } from '#base'
import { goJsonError, type Kind, parseGoJson } from '#codec'
import { apiError } from '../errors.ts'

export interface ApiRequest {
  readonly method: string
  /** The decoded path behind the route's prefix: the key, service, node or datacenter. Empty for exact routes. */
  readonly rest: string
  readonly query: URLSearchParams
  /** Where `?dc=` or `?datacenter=` sends it; empty: here. */
  readonly datacenter: string
  readonly pretty: boolean
  readonly remoteAddress: string
  /** Who asks: of the request, else the agent's own for those who bring none. */
  readonly token: string
  header(name: string): string | undefined
  /** Reads the body. @throws HanseError BODY_TOO_LARGE, or what `tooLarge` makes */
  body(limitBytes: number, tooLarge?: (size: number) => HanseError): Promise<Buffer>
  /** The body as it comes, for one that no limit is known of here. */
  stream(): AsyncIterable<Uint8Array>
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal
}

/** Largest JSON body. */
export const MAX_JSON_BODY_BYTES = 2 * 1024 * 1024

/** `?dc=`, or `?datacenter=`, which wins. */
export function datacenterOf(query: URLSearchParams): string {
  return query.get('datacenter') || query.get('dc') || ''
}

/** What the request brings: `?token=`, `X-Consul-Token`, or a bearer token; empty without any. */
export function tokenOf(query: URLSearchParams, headers: IncomingHttpHeaders): string {
  const named = query.get('token') || headers['x-consul-token']
  if (typeof named === 'string' && named !== '') return named
  return /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? ''
}

/** A flag is set by being there, whatever its value. */
export function isSet(query: URLSearchParams, name: string): boolean {
  return query.has(name)
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

/** A boolean as Go reads it; undefined when it is none. */
export function parseBool(text: string): boolean | undefined {
  if (TRUE.has(text)) return true
  return FALSE.has(text) ? false : undefined
}

/** An unsigned parameter of up to 64 bits, 0 when absent. @throws HanseError BAD_NUMBER */
export function uintParameter(query: URLSearchParams, name: string): number | bigint {
  const text = query.get(name)
  if (text === null || text === '') return 0
  if (!/^\d{1,20}$/.test(text)) throw apiError('BAD_NUMBER', { value: text })
  const value = BigInt(text)
  if (value >= 1n << 64n) throw apiError('BAD_NUMBER', { value: text })
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

/**
 * Reads a JSON body as a shape.
 *
 * @param names.type - Go's name of the type in errors about the body itself (`structs.RegisterRequest`)
 * @param names.path - the first part of paths in errors about a field
 * @throws HanseError 400 `Request decode failed: …` in Go's words
 */
export function decodeBody<T>(kind: Kind<T>, body: Buffer, names: { type: string; path: string }, prepare = asIs): T {
  try {
    const json = parseGoJson(body.toString())
    if (json !== null && (typeof json !== 'object' || Array.isArray(json))) {
      const got = Array.isArray(json) ? 'array' : typeof json === 'boolean' ? 'bool' : typeof json
      const problem = `json: cannot unmarshal ${got === 'bigint' ? 'number' : got} into Go value of type ${names.type}`
      throw goJsonError('JSON_DECODE', { problem })
    }
    return kind.fromJson(prepare(json), names.path, { unknownKeys: 'refuse' })
  } catch (thrown) {
    if (thrown instanceof HanseError && thrown.code === 'JSON_DECODE') {
      throw apiError('BAD_BODY', { problem: thrown.message }, thrown)
    }
    throw thrown
  }
}

function asIs(json: unknown): unknown {
  return json
}
