/**
 * Definitions as recorded: what was accepted is accepted, what was refused is refused with the same words.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { AgentCheckDefinition, AgentServiceDefinition, snakeToDefinition } from '#codec'
import { checkCheckDefinition, checkServiceDefinition } from './definition-checks.ts'
import { decodeBody } from './http/request.ts'

interface Exchange {
  readonly n: number
  readonly request: { readonly path: string; readonly body?: string }
  readonly response: { readonly status: number; readonly body: string }
}

const vector: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http.json', import.meta.url), 'utf8'),
)

/** Refused by what the agent holds or by the caller's rights, not for what they say. */
const NOT_BY_DEFINITION = new Set([255, 270])

function take({ path, body = '' }: Exchange['request']): void {
  const names = { type: 'x', path: '.Alias' }
  const bytes = Buffer.from(body)
  if (path.startsWith('/v1/agent/check/')) {
    checkCheckDefinition(decodeBody(AgentCheckDefinition, bytes, names, snakeToDefinition), { scripts: false })
  } else checkServiceDefinition(decodeBody(AgentServiceDefinition, bytes, names, snakeToDefinition), { scripts: false })
}

const registrations = vector.exchanges.filter(
  ({ n, request }) => /^\/v1\/agent\/(?:service|check)\/register/.test(request.path) && !NOT_BY_DEFINITION.has(n),
)

for (const { n, request, response } of registrations) {
  test(`definitions are taken or refused as recorded: ${n} ${request.body}`, () => {
    let refusal: HanseError | undefined
    try {
      take(request)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError, String(thrown))
      refusal = thrown
    }
    assert.equal(refusal?.status ?? 200, response.status, refusal?.message)
    assert.equal(refusal?.message ?? '', response.body)
  })
}

test('definitions survive changed bytes with their own errors only', () => {
  const random = seededRandom(2)
  for (let run = 0; run < 5000; run++) {
    const sample = registrations[random.int(registrations.length)]
    const body = Buffer.from(sample?.request.body ?? '')
    for (let n = 1 + random.int(4); n > 0 && body.length > 0; n--) body[random.int(body.length)] = random.int(256)
    try {
      take({ path: sample?.request.path ?? '', body: body.toString() })
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError, String(thrown))
    }
  }
})
