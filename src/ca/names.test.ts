/**
 * SPIFFE IDs: every recorded one comes back as it was; what is none is refused with the recorded or a clear text.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { formatSpiffeId, parseSpiffeId, serviceId, trustDomainOf } from './names.ts'

const T = '66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul'
const vectors = readFileSync(new URL('../../test/vectors/identities.json', import.meta.url), 'utf8')
const recorded = [...new Set(vectors.match(/spiffe:\/\/[^"\\\s]+/g) ?? [])].filter((uri) => !uri.includes('//x/'))

test('parseSpiffeId() and formatSpiffeId() give back every recorded name', () => {
  assert.ok(recorded.length >= 10)
  for (const uri of recorded) assert.equal(formatSpiffeId(parseSpiffeId(uri)), uri)
  assert.deepEqual(parseSpiffeId(`spiffe://${T}/agent/client/dc/dc2/id/s2`), {
    kind: 'agent',
    trustDomain: T,
    partition: 'default',
    datacenter: 'dc2',
    node: 's2',
  })
  assert.deepEqual(parseSpiffeId(`spiffe://${T}`), { kind: 'authority', trustDomain: T })
})

test('parseSpiffeId() reads partitions and percent-encoded names, and formatSpiffeId() writes them', () => {
  const uri = `spiffe://${T}/ap/east/ns/default/dc/dc1/svc/a%20b`
  const id = parseSpiffeId(uri)
  assert.ok(id.kind === 'service' && id.service === 'a b' && id.partition === 'east')
  assert.equal(formatSpiffeId(id), uri)
  assert.equal(trustDomainOf('AB'), 'ab.consul')
  assert.equal(formatSpiffeId(serviceId(T, 'dc1', 'web')), `spiffe://${T}/ns/default/dc/dc1/svc/web`)
})

test('parseSpiffeId() refuses what is no name of the mesh', () => {
  assert.throws(() => parseSpiffeId('https://x/y'), { message: "SPIFFE ID must have 'spiffe' scheme" })
  for (const wrong of [
    'spiffe:',
    'spiffe://',
    `spiffe://${T}/`,
    `spiffe://${T}:443/agent/server/dc/dc1`,
    `spiffe://a@${T}/agent/server/dc/dc1`,
    `spiffe://${T}/agent/server/dc/`,
    `spiffe://${T}/agent/server/dc/dc1?x`,
    `spiffe://${T}/ns/default/dc/dc1/svc/web/more`,
    `spiffe://${T}/ns/default/dc/dc1/svc/%zz`,
    `spiffe://${T}/${'a'.repeat(3000)}`,
  ]) {
    assert.throws(() => parseSpiffeId(wrong), { code: 'CA_BAD_SPIFFE_ID' }, wrong)
  }
})

test('parseSpiffeId() answers changed names with its own errors only, and never reads one name as another', () => {
  const random = seededRandom(5)
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.from(recorded[round % recorded.length] ?? '')
    for (let change = random.int(3); change >= 0; change--) bytes[random.int(bytes.length)] = random.int(256)
    const text = bytes.toString('latin1')
    try {
      const id = parseSpiffeId(text)
      assert.deepEqual(parseSpiffeId(formatSpiffeId(id)), id)
    } catch (error) {
      assert.ok(error instanceof HanseError && /^CA_(NOT_SPIFFE|BAD_SPIFFE_ID)$/.test(error.code), String(error))
    }
  }
})
