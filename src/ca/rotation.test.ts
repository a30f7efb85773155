/**
 * The life of a federation's authorities as transcripts: begin, secondaries, rotation, refusals, renewal, restart.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { certificateFacts } from '#codec'
import { Authorities, configured, subjectsOf, verifies } from './fixture.ts'
import { primaryWakeAtMs } from './primary.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const P384 = configured({ PrivateKeyType: 'ec', PrivateKeyBits: 384 })

test('stepPrimary() begins a federation: a root with the recorded name, in force and stored', () => {
  const all = new Authorities([])
  all.start()
  const [row] = all.primary.roots
  assert.ok(row)
  const root = new X509Certificate(row.RootCert)
  assert.match(root.subject, /^CN=pri-[0-9a-z]{1,8}\.consul\.ca\.66679aad\.consul$/)
  assert.equal(row.Name, 'Consul CA Primary Cert')
  assert.deepEqual([row.Active, row.PrivateKeyType, row.PrivateKeyBits, row.SerialNumber], [true, 'ec', 256, 1])
  assert.equal(row.ExternalTrustDomain, '66679aad-6740-68de-6eb4-3b50d0fc5ad2')
  assert.deepEqual([row.NotBefore, row.NotAfter], ['2026-11-23T10:11:01Z', '2036-11-20T10:11:01Z'])
  assert.ok(row.RootCert.endsWith('-----END CERTIFICATE-----\n'))
  assert.deepEqual(all.stored.get('dc1')?.roots, all.primary.roots)
  const { CertPEM, ValidAfter, ValidBefore, SerialNumber } = all.leaf('dc1', 'web').certificate
  assert.deepEqual(subjectsOf(CertPEM), ['leaf'])
  // A minute in the past, and 72 hours from there.
  assert.deepEqual([ValidAfter, ValidBefore], ['2026-11-23T10:10:01Z', '2026-11-26T10:10:01Z'])
  assert.match(SerialNumber, /^0[0-9a-f]$/)
})

test('a rotation keeps the old root, cross-signs the new one, and makes chains as recorded', () => {
  const all = new Authorities(['dc2'])
  all.start()
  const before = { dc1: all.leaf('dc1', 'web'), dc2: all.leaf('dc2', 'front') }
  const oldBundle = all.bundle('dc1')
  all.configure('dc1', P384)
  const [old, root] = all.primary.roots
  assert.deepEqual(
    [old?.Active, root?.Active, root?.PrivateKeyBits, root?.IntermediateCerts?.length],
    [false, true, 384, 1],
  )
  const cross = certificateFacts(new X509Certificate(root?.IntermediateCerts?.[0] ?? ''))
  assert.equal(cross.notAfterMs - cross.notBeforeMs, 7 * DAY_MS)
  // The secondary has not heard of it: it goes on as before.
  const meanwhile = all.leaf('dc2', 'front')
  all.tell('dc2')
  const [oldThere, rootThere] = all.secondary('dc2').roots
  assert.deepEqual([oldThere?.Active, oldThere?.IntermediateCerts?.length], [false, 1])
  assert.deepEqual([rootThere?.Active, rootThere?.IntermediateCerts?.length], [true, 2])
  assert.equal(rootThere?.IntermediateCerts?.[0], root?.IntermediateCerts?.[0])
  const after = { dc1: all.leaf('dc1', 'web'), dc2: all.leaf('dc2', 'front') }
  assert.deepEqual(subjectsOf(after.dc1.certificate.CertPEM), ['leaf', 'root'])
  assert.deepEqual(subjectsOf(after.dc2.certificate.CertPEM), ['leaf', 'root', 'intermediate'])
  for (const bundle of [oldBundle, all.bundle('dc1'), all.bundle('dc2')]) {
    for (const leaf of [before.dc1, before.dc2, meanwhile, after.dc1, after.dc2]) assert.ok(verifies(leaf, bundle, all))
  }
})

test('the old root is forgotten after twice the leaf TTL, and the cross-signed one with it', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.configure('dc1', P384)
  all.tell('dc2')
  assert.equal(primaryWakeAtMs(all.primary), all.clock.wallMs() + 6 * DAY_MS)
  all.clock.advance(6 * DAY_MS - 1)
  all.inPrimary({ kind: 'tick' })
  assert.equal(all.primary.roots.length, 2)
  all.clock.advance(1)
  all.inPrimary({ kind: 'tick' })
  all.tell('dc2')
  for (const name of ['dc1', 'dc2']) {
    assert.equal(all.of(name).roots.length, 1, name)
    const chain = subjectsOf(all.leaf(name, 'web').certificate.CertPEM)
    assert.deepEqual(chain, name === 'dc1' ? ['leaf'] : ['leaf', 'intermediate'])
  }
  assert.equal(primaryWakeAtMs(all.primary), undefined)
})

test('a shorter leaf TTL set with a rotation does not shorten the trust in leafs that live longer', () => {
  const all = new Authorities([])
  all.start()
  const leaf = all.leaf('dc1', 'web')
  all.configure('dc1', configured({ LeafCertTTL: '1h', PrivateKeyBits: 384 }))
  all.clock.advance(71 * HOUR_MS)
  all.inPrimary({ kind: 'tick' })
  assert.ok(verifies(leaf, all.bundle('dc1'), all))
})

test('a configuration that asks for the same root changes settings only, and bad ones change nothing', () => {
  const all = new Authorities([])
  all.start()
  const before = all.primary
  assert.throws(() => all.configure('dc1', configured({ LeafCertTTL: '1m' })), { code: 'CA_BAD_CONFIG' })
  assert.equal(all.primary.configuration, before.configuration)
  all.configure('dc1', configured({ LeafCertTTL: '24h' }))
  assert.deepEqual(all.primary.roots, before.roots)
  const { ValidAfter, ValidBefore } = all.leaf('dc1', 'web').certificate
  assert.equal(Date.parse(ValidBefore) - Date.parse(ValidAfter), DAY_MS)
})

test('with ForceWithoutCrossSigning the new root has no cross-signed certificate', () => {
  const all = new Authorities([])
  all.start()
  all.configure('dc1', configured({ PrivateKeyBits: 384 }, true))
  assert.equal(all.primary.roots[1]?.IntermediateCerts, null)
})

test("an operator's own root and key take over by a rotation, and the key is shown nowhere", () => {
  const [all, other] = [new Authorities(['dc2']), new Authorities([], 9)]
  all.start()
  other.start()
  const theirs = other.stored.get('dc1')
  assert.ok(theirs?.authority)
  const { certPem, keyPem } = theirs.authority
  assert.throws(() => all.configure('dc1', configured({ RootCert: certPem })), /RootCert needs its PrivateKey/)
  const leaf = all.leaf('dc1', 'web')
  all.configure('dc1', configured({ RootCert: certPem, PrivateKey: keyPem }))
  all.tell('dc2')
  assert.equal(all.primary.roots.at(-1)?.RootCert, certPem)
  for (const shown of [all.primary, all.stored.get('dc1')?.configuration, all.log]) {
    assert.ok(!JSON.stringify(shown).includes('PRIVATE KEY') && !inspect(shown, { depth: 9 }).includes('PRIVATE KEY'))
  }
  for (const name of ['dc1', 'dc2']) assert.ok(verifies(all.leaf(name, 'web'), [certPem], all))
  assert.ok(verifies(leaf, all.bundle('dc2'), all))
})
