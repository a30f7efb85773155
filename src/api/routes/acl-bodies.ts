/**
 * Bodies of the ACL routes: JSON in the forms of the API's types, refused in the recorded words.
 */
import { aclError } from '#acl'
import { HanseError } from '#base'
import { type Kind, parseGoJson } from '#codec'
import { apiError } from '../errors.ts'
import { type ApiRequest, MAX_JSON_BODY_BYTES } from '../http/request.ts'

/**
 * Reads a body; its refusals begin with `what`: `Policy decoding failed`.
 *
 * @throws HanseError BAD_PARAMETER
 */
export async function jsonBody<T>(request: ApiRequest, kind: Kind<T>, what: string): Promise<T> {
  const body = await request.body(MAX_JSON_BODY_BYTES)
  try {
    return kind.fromJson(parseGoJson(body.toString()), 'Body', { unknownKeys: 'skip' })
  } catch (thrown) {
    if (!(thrown instanceof HanseError) || thrown.code !== 'JSON_DECODE') throw thrown
    throw apiError('BAD_PARAMETER', { text: `${what}: ${thrown.message}` }, thrown)
  }
}

const NOTHING = Buffer.from(JSON.stringify({}))

/** The same for objects; `optional`: nothing at all stands for an empty one. */
export async function aclBody<T>(
  request: ApiRequest,
  kind: Kind<T>,
  name: string,
  { optional = false }: { optional?: boolean } = {},
): Promise<T> {
  const body = await request.body(MAX_JSON_BODY_BYTES)
  const given = optional && body.length === 0 ? NOTHING : body
  return jsonBody({ ...request, body: async () => given }, kind, `${name} decoding failed`)
}

/**
 * The ID of what is written: that of the path, which the body may repeat; none for a new one.
 *
 * @throws HanseError BAD_PARAMETER, CREATE_WITH_ID
 */
export function refuseMismatch(request: ApiRequest, given: string, field: string, kind: string): string {
  const { rest } = request
  if (rest === '') {
    if (given !== '') throw aclError('CREATE_WITH_ID', { kind })
    return ''
  }
  if (given !== '' && given !== rest) {
    throw apiError('BAD_PARAMETER', { text: `${field} in URL and payload do not match` })
  }
  return rest
}
