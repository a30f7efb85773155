/**
 * handle() fed damaged bodies of recorded calls: whatever comes, the caller gets an error that Hanse knows, or an answer.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { decode } from '#codec'
import { type Federation, federation } from './fixture.ts'
import { allOperations } from './index.ts'

interface Call {
  readonly method: string
  readonly request_body_hex?: string
  readonly response_header: { readonly Error: string }
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../test/vectors/${name}`, import.meta.url), 'utf8'))
const first: { calls: Call[] } = read('rpc-cross-dc.json')
const second: { captured: Call[] } = read('rpc-cross-dc-2.json')
const served = new Map(allOperations.map((operation) => [operation.name, operation]))
const calls = [...first.calls, ...second.captured].filter(({ method }) => served.has(method))

let all: Federation
before(async () => {
  all = await federation(['dc1', 'dc2'])
})
after(() => all.close())

/** No call may wait: a read that would is given up. */
const handle = (method: string, body: Buffer) => {
  const signal = AbortSignal.timeout(1)
  return all.of('dc1').endpoints.handle(method, body, { remote: 'test', signal })
}

/** What a call is refused for here, where the recording's tables and settings are not. */
const REFUSED =
  /the caller has gone$|ACL not found$|ACL support disabled$|Intention not found$|No cluster leader$|Missing node registration$|Connect must be enabled/i

test('handle() answers every recorded call of a method that is served', async () => {
  assert.ok(calls.length >= 30, `${calls.length} calls`)
  for (const { method, request_body_hex: hex } of calls) {
    const operation = served.get(method)
    try {
      const reply = await handle(method, Buffer.from(hex ?? '80', 'hex'))
      assert.ok(operation)
      decode(operation.reply, reply)
    } catch (error) {
      assert.match(String(error), REFUSED, method)
    }
  }
})

test('handle() throws its own errors only, whatever is done to the bytes', async () => {
  const random = seededRandom(20_260_101)
  const bodies = calls.map(({ method, request_body_hex: hex }) => ({ method, body: Buffer.from(hex ?? '80', 'hex') }))
  for (let round = 0; round < 4000; round++) {
    const { method, body } = bodies[random.int(bodies.length)] ?? { method: 'Status.Ping', body: Buffer.alloc(0) }
    const damaged = round % 5 === 0 ? random.bytes(random.int(64)) : Buffer.from(body)
    for (let i = 0; i < 1 + random.int(4) && damaged.length > 0; i++)
      damaged[random.int(damaged.length)] = random.int(256)
    const cut = random.int(3) === 0 ? damaged.subarray(0, random.int(damaged.length + 1)) : damaged
    try {
      await handle(method, cut)
    } catch (error) {
      assert.ok(error instanceof HanseError, `${method} ${cut.toString('hex')}: ${error}`)
    }
  }
})
