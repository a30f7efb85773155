/**
 * /v1/operator/keyring: gossip keys of the WAN pool and of every datacenter's LAN pool.
 *
 * A list answers with what could be reached; a pool that could not is an entry with `Error`, no keys and no nodes, so
 * that clients which know nothing of it still read the rest. Installing, using and removing a key is only done when it
 * is done everywhere, so there one failure fails the request, naming each pool and node that failed.
 */
import { KeyringRequest, KeyringResponse, string, struct } from '#codec'
import { internal } from '#endpoints'
import { errorList } from '../error-list.ts'
import { apiError } from '../errors.ts'
import { EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { type ApiRequest, decodeBody, MAX_JSON_BODY_BYTES, parseBool } from '../http/request.ts'
import { call, type Handler, type Route } from '../http/route.ts'
import type { RoutePorts } from './read-route.ts'

const MAX_RELAY_FACTOR = 5
const KeyBody = struct('keyringArgs', { Key: string })
const names = { type: 'agent.keyringArgs', path: 'keyringArgs' }

export function keyringRoutes(ports: RoutePorts): Route[] {
  const methods = {
    GET: listHandler(ports),
    POST: changeHandler(ports, 'install'),
    PUT: changeHandler(ports, 'use'),
    DELETE: changeHandler(ports, 'remove'),
  }
  return [{ pattern: '/v1/operator/keyring', methods, refuses: 'nothing' }]
}

function relayFactor(request: ApiRequest): number {
  const text = request.query.get('relay-factor')
  if (text === null || text === '') return 0
  const value = /^-?\d{1,9}$/.test(text) ? Number(text) : undefined
  if (value === undefined) {
    const problem = `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`
    throw apiError('BAD_PARAMETER', { text: `Error parsing relay factor: ${problem}` })
  }
  if (value >= 0 && value <= MAX_RELAY_FACTOR) return value
  throw apiError('BAD_PARAMETER', { text: 'Invalid relay-factor: Relay factor must be in range: [0, 5]' })
}

function localOnly(request: ApiRequest): boolean {
  const text = request.query.get('local-only')
  if (text === null || text === '') return false
  const value = parseBool(text)
  if (value !== undefined) return value
  throw apiError('BAD_PARAMETER', { text: `Error parsing local-only: invalid value ${JSON.stringify(text)}` })
}

async function ask(ports: RoutePorts, request: ApiRequest, Operation: string, Key: string) {
  const args = KeyringRequest.of({
    Operation,
    Key,
    RelayFactor: relayFactor(request),
    LocalOnly: localOnly(request),
  })
  const reply = await ports.endpoints.call(internal.keyringOperation, args, request)
  return reply.Responses ?? []
}

function listHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const responses = await ask(ports, request, 'list', '')
    if (responses.length > 0 && responses.every((response) => response.Error !== '')) throw refused(responses)
    const shown = responses.map((response) =>
      KeyringResponse.toJson({ ...response, Keys: response.Keys ?? {}, PrimaryKeys: response.PrimaryKeys ?? {} }),
    )
    return jsonAnswer(shown, request.pretty)
  })
}

function changeHandler(ports: RoutePorts, operation: string): Handler {
  return call(async (request) => {
    const { Key } = decodeBody(KeyBody, await request.body(MAX_JSON_BODY_BYTES), names)
    const responses = await ask(ports, request, operation, Key)
    if (responses.some((response) => response.Error !== '')) throw refused(responses)
    return EMPTY_ANSWER
  })
}

/** Every pool and node that failed, in the form of Consul's lists of errors. */
function refused(responses: readonly KeyringResponse[]): Error {
  const lines: string[] = []
  for (const { WAN, Datacenter, Error: error, Messages } of responses) {
    if (error === '') continue
    lines.push(`${WAN ? 'WAN' : `${Datacenter} (LAN)`} error: ${error}`)
    for (const [node, message] of Object.entries(Messages ?? {})) lines.push(`${node}: ${message}`)
  }
  return apiError('KEYRING_REFUSED', { text: errorList(lines) })
}
