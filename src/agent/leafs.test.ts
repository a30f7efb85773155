/**
 * A new leaf while the authority is not there: waited for as long as it may only be restarting, then refused.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Logger, ManualClock, seededRandom, silentLogger } from '#base'
import { caError } from '#ca'
import { createCertificate, createCertificateAuthority, IssuedCert } from '#codec'
import { connectCa, type Endpoints } from '#endpoints'
import { StoredRoots } from '#state'
import { Leafs } from './leafs.ts'
import { fixture, until } from './local-fixture.ts'

const WAIT = { minIndex: 0, waitMs: 600_000, signal: new AbortController().signal }

/** Leafs whose authority refuses, for so many times. */
async function leafs(context: TestContext, { refusals, known = true }: { refusals: number; known?: boolean }) {
  const clock = new ManualClock()
  const { state, endpoints } = await fixture(context)
  const begin = () => state.write((tx) => tx.putCaRoots(StoredRoots.of({ ClusterID: 'c', Roots: [] })))
  if (known) await begin()
  const { certPem } = createCertificate({ ca: createCertificateAuthority({}), commonName: 'web' })
  let asked = 0
  const sign = async () => {
    if (++asked <= refusals) throw caError('CA_NOT_READY', {})
    const [ValidAfter, ValidBefore] = [0, 3_600_000].map((ms) => new Date(clock.wallMs() + ms).toISOString())
    return IssuedCert.of({ CertPEM: certPem, ValidAfter, ValidBefore })
  }
  const faulty: Endpoints = Object.create(endpoints, {
    call: { value: (operation: object) => (operation === connectCa.sign ? sign() : undefined) },
  })
  let said = 0
  const log: Logger = { ...silentLogger, warn: () => void said++ }
  const made = new Leafs('dc1', { endpoints: faulty, state, clock, random: seededRandom(1), log })
  made.start()
  context.after(() => made.stop())
  return { made, clock, begin, refused: (times: number) => until(`it was refused ${times} times`, () => said >= times) }
}

test('a new leaf waits for an authority that is only restarting', async (context) => {
  const { made, clock, refused } = await leafs(context, { refusals: 1 })
  const got = made.get('web', WAIT)
  await refused(1)
  clock.advance(3_000)
  assert.match((await got).certificate.CertPEM, /BEGIN CERTIFICATE/)
})

test('without an authority a new leaf is refused after seven seconds, and from then on at once', async (context) => {
  const { made, clock, refused } = await leafs(context, { refusals: 1_000 })
  let over = false
  const given = assert.rejects(made.get('web', WAIT), { code: 'CA_NOT_READY' }).finally(() => {
    over = true
  })
  await refused(1)
  clock.advance(6_999)
  await refused(2)
  assert.equal(over, false)
  clock.advance(1)
  await given
  await assert.rejects(made.get('web', WAIT), { code: 'CA_NOT_READY' })
})

test('while no authority is known yet a leaf waits for one, and is refused after seven seconds', async (context) => {
  const { made, clock, begin } = await leafs(context, { refusals: 0, known: false })
  const early = made.get('web', WAIT)
  const refused = assert.rejects(made.get('api', { ...WAIT, waitMs: 1_000 }), { code: 'CA_NOT_READY' })
  clock.advance(1_000)
  await refused
  await begin()
  assert.match((await early).certificate.CertPEM, /BEGIN CERTIFICATE/)
})

test('where no authority has been known for seven seconds, a leaf is refused at once', async (context) => {
  const { made, clock } = await leafs(context, { refusals: 0, known: false })
  const refused = assert.rejects(made.get('web', WAIT), { code: 'CA_NOT_READY' })
  clock.advance(7_000)
  await refused
  await assert.rejects(made.get('web', WAIT), { code: 'CA_NOT_READY' })
})
