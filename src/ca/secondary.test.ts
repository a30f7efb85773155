/**
 * A secondary's authority as transcripts: its intermediate, refusals, renewal, the primary's absence, damaged answers.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { certificateFacts, IndexedCARoots, parseCertificateRequest } from '#codec'
import { Authorities, configured, makeKey, subjectsOf, verifies } from './fixture.ts'
import { secondaryWakeAtMs, stepSecondary } from './secondary.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const P384 = configured({ PrivateKeyType: 'ec', PrivateKeyBits: 384 })

test('stepSecondary() gets an intermediate, shows it with the root, and signs leafs with it', () => {
  const all = new Authorities(['dc2'])
  assert.throws(() => all.leaf('dc2', 'front'), { message: 'CA has not finished initializing' })
  all.start()
  const [row] = all.secondary('dc2').roots
  assert.equal(row?.IntermediateCerts?.length, 1)
  const intermediate = new X509Certificate(row?.IntermediateCerts?.[0] ?? '')
  assert.equal(certificateFacts(intermediate).notAfterMs - certificateFacts(intermediate).notBeforeMs, 8760 * HOUR_MS)
  assert.notEqual(row?.SigningKeyID, all.primary.roots[0]?.SigningKeyID)
  const leaf = all.leaf('dc2', 'front')
  assert.deepEqual(subjectsOf(leaf.certificate.CertPEM), ['leaf', 'intermediate'])
  assert.ok(verifies(leaf, all.bundle('dc1'), all))
  assert.throws(
    () => all.inSecondary('dc2', { kind: 'sign-intermediate', requestId: 0, csr: 'zz' }) ?? all.sign('dc2', 'zz'),
    {
      message: 'no PEM-encoded data found',
    },
  )
})

test('a refused secondary tries again by itself, later each time, and says why once', () => {
  const all = new Authorities(['dc2'])
  all.refusal = "Permission denied: token lacks permission 'operator:write'"
  all.start()
  for (let round = 0; round < 12; round++) {
    const wakeAt = secondaryWakeAtMs(all.secondary('dc2')) ?? 0
    assert.ok(wakeAt > all.clock.wallMs() && wakeAt - all.clock.wallMs() <= 60_000)
    all.clock.advance(wakeAt - all.clock.wallMs())
    all.inSecondary('dc2', { kind: 'tick' })
  }
  assert.equal(all.log.filter((line) => line.startsWith('dc2 warn')).length, 1)
  assert.match(all.secondary('dc2').lastError, /operator:write/)
  all.refusal = ''
  all.clock.advance(60_000)
  all.inSecondary('dc2', { kind: 'tick' })
  assert.ok(verifies(all.leaf('dc2', 'web'), all.bundle('dc1'), all))
  assert.equal(all.secondary('dc2').lastError, '')
})

test('a secondary renews its intermediate at half of its life, and goes on signing while the primary is away', () => {
  const all = new Authorities(['dc2'])
  all.start()
  const first = all.secondary('dc2').authority?.signer.certPem
  all.refusal = 'primary datacenter is unreachable'
  all.clock.advance(183 * DAY_MS)
  all.inSecondary('dc2', { kind: 'tick' })
  assert.equal(all.secondary('dc2').authority?.signer.certPem, first)
  const away = all.leaf('dc2', 'new-service')
  assert.ok(verifies(away, all.bundle('dc1'), all))
  all.refusal = ''
  all.clock.advance(60_000)
  all.inSecondary('dc2', { kind: 'tick' })
  assert.notEqual(all.secondary('dc2').authority?.signer.certPem, first)
  assert.ok(verifies(away, all.bundle('dc2'), all))
})

test('a secondary that comes back after the primary forgot its root keeps trusting its own leafs', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.configure('dc1', P384)
  all.clock.advance(8 * DAY_MS)
  all.inPrimary({ kind: 'tick' })
  const leaf = all.leaf('dc2', 'web')
  all.refusal = 'away'
  all.tell('dc2')
  assert.equal(all.secondary('dc2').roots.length, 2)
  assert.ok(verifies(all.leaf('dc2', 'web'), all.bundle('dc2'), all))
  all.refusal = ''
  all.clock.advance(60_000)
  all.inSecondary('dc2', { kind: 'tick' })
  assert.ok(verifies(leaf, all.bundle('dc2'), all))
  assert.ok(verifies(all.leaf('dc2', 'web'), all.bundle('dc1'), all))
  all.clock.advance(6 * DAY_MS)
  all.inSecondary('dc2', { kind: 'tick' })
  assert.equal(all.secondary('dc2').roots.length, 1)
})

test('a secondary drops a cross-signed certificate when it ends, though the primary is away', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.configure('dc1', P384)
  all.tell('dc2')
  assert.deepEqual(subjectsOf(all.leaf('dc2', 'web').certificate.CertPEM), ['leaf', 'root', 'intermediate'])
  for (let wakes = 0; wakes < 2; wakes++) {
    all.clock.advance((secondaryWakeAtMs(all.secondary('dc2')) ?? 0) - all.clock.wallMs())
    all.inSecondary('dc2', { kind: 'tick' })
  }
  assert.deepEqual(subjectsOf(all.leaf('dc2', 'web').certificate.CertPEM), ['leaf', 'intermediate'])
})

test("a secondary takes a real primary's recorded roots, and asks for an intermediate in the recorded form", () => {
  const file = new URL('../../test/vectors/identities.json', import.meta.url)
  const entries: readonly { name: string; response?: unknown }[] = JSON.parse(readFileSync(file, 'utf8')).certificates
  const answer = entries.find(({ name }) => name === 'after rotation: /v1/connect/ca/roots of dc1')?.response
  const roots = IndexedCARoots.fromJson(answer, '', { unknownKeys: 'refuse' })
  const all = new Authorities(['dc2'])
  const told = stepSecondary(all.secondary('dc2'), { kind: 'roots', roots }, all.moment)
  assert.deepEqual(
    told.effects.map(({ kind }) => kind),
    ['store', 'make-key'],
  )
  assert.deepEqual(
    told.state.roots.map(({ ID }) => ID),
    roots.Roots?.map(({ ID }) => ID),
  )
  const [effect] = stepSecondary(
    told.state,
    { kind: 'key', key: makeKey({ type: 'ec', bits: 256 }) },
    all.moment,
  ).effects
  assert.ok(effect?.kind === 'sign-intermediate')
  const { uris, authority } = parseCertificateRequest(effect.csr)
  assert.deepEqual([uris, authority], [['spiffe://66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul'], true])
})

test('a secondary with another kind of key configured gets a new intermediate', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.configure('dc2', configured({ PrivateKeyType: 'rsa', PrivateKeyBits: 2048 }))
  const { signer } = all.secondary('dc2').authority ?? {}
  assert.equal(signer?.key.asymmetricKeyType, 'rsa')
  assert.ok(verifies(all.leaf('dc2', 'web'), all.bundle('dc1'), all))
  assert.throws(() => all.configure('dc2', configured({ RootCert: 'x', PrivateKey: 'y' })), /primary datacenter/)
})

test('a secondary does not take an intermediate that is not its own, not of a known root, or no certificate', () => {
  const [all, foreign] = [new Authorities(['dc2']), new Authorities(['dc3'], 5)]
  all.refusal = 'not yet'
  all.start()
  foreign.start()
  all.clock.advance(60_000)
  const asked = stepSecondary(all.secondary('dc2'), { kind: 'tick' }, all.moment)
  const keyed = stepSecondary(asked.state, { kind: 'key', key: makeKey({ type: 'ec', bits: 256 }) }, all.moment)
  const theirs = foreign.secondary('dc3').authority?.signer.certPem ?? ''
  for (const pem of ['zz', '', theirs, all.bundle('dc1')[0] ?? '']) {
    const { state } = stepSecondary(keyed.state, { kind: 'intermediate', pem }, all.moment)
    assert.equal(state.authority, undefined)
    assert.notEqual(state.lastError, '')
  }
  const broken = { ActiveRootID: 'x', TrustDomain: 'y.consul', Roots: null }
  assert.deepEqual(
    stepSecondary(all.secondary('dc2'), { kind: 'roots', roots: broken }, all.moment).state.roots,
    all.secondary('dc2').roots,
  )
})
