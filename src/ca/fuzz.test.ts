/**
 * Damaged PEM text wherever it comes in from outside: only our own errors, and nothing half changed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, type Random, seededRandom } from '#base'
import { CARoot } from '#codec'
import { rootsAnswer } from './authority.ts'
import { Authorities, configured, makeKey } from './fixture.ts'
import { stepLeafs } from './leaf-manager.ts'
import { stepSecondary } from './secondary.ts'

/** PEM text with a few bytes changed, cut, or nothing like PEM at all; the base64 often stays base64. */
function damaged(text: string, random: Random): string {
  if (random.int(8) === 0) return random.bytes(random.int(300)).toString('latin1')
  const bytes = Buffer.from(text)
  for (let change = random.int(3); change >= 0; change--) {
    bytes[random.int(bytes.length)] = random.int(2) === 0 ? random.int(256) : 65 + random.int(26)
  }
  return bytes.subarray(0, random.int(6) === 0 ? random.int(bytes.length) : bytes.length).toString('latin1')
}

test('a secondary answers damaged roots and intermediates by keeping what it has', () => {
  const all = new Authorities(['dc2'])
  all.start()
  const good = rootsAnswer(all.primary)
  const before = all.secondary('dc2')
  const wanted = stepSecondary({ ...before, renewNow: true }, { kind: 'tick' }, all.moment).state
  const asked = stepSecondary(wanted, { kind: 'key', key: makeKey({ type: 'ec', bits: 256 }) }, all.moment).state
  const random = seededRandom(17)
  for (let round = 0; round < 400; round++) {
    const row = good.Roots?.[0]
    assert.ok(row)
    const bad = { ...good, Roots: [CARoot.of({ ...row, RootCert: damaged(row.RootCert, random) })] }
    const roots =
      random.int(2) === 0
        ? bad
        : { ...good, [random.int(2) === 0 ? 'ActiveRootID' : 'TrustDomain']: damaged('x.consul', random) }
    const told = stepSecondary(before, { kind: 'roots', roots }, all.moment).state
    assert.equal(told.authority?.signer, before.authority?.signer)
    const pem = damaged(before.authority?.signer.certPem ?? '', random)
    const signed = stepSecondary(asked, { kind: 'intermediate', pem }, all.moment).state
    assert.equal(signed.authority?.signer, before.authority?.signer)
  }
})

test('the primary answers a damaged root or key of an operator with an error, and keeps its root', () => {
  const [all, other] = [new Authorities([]), new Authorities([], 4)]
  all.start()
  other.start()
  const { certPem = '', keyPem = '' } = other.stored.get('dc1')?.authority ?? {}
  const random = seededRandom(23)
  for (let round = 0; round < 300; round++) {
    const RootCert = random.int(3) === 0 ? certPem : damaged(certPem, random)
    const PrivateKey = RootCert !== certPem && random.int(2) === 0 ? keyPem : damaged(keyPem, random)
    const before = all.primary
    try {
      all.configure('dc1', configured({ RootCert, PrivateKey }))
      // Damage outside of what counts, as in the text around a block, is none: back to the first root.
      all.primary = before
    } catch (error) {
      assert.ok(error instanceof HanseError, String(error))
      assert.ok(!error.message.includes(keyPem.slice(40, 80)))
      assert.equal(all.primary.authority, before.authority)
    }
  }
  const ed25519 =
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n-----END PRIVATE KEY-----\n'
  assert.throws(() => all.configure('dc1', configured({ PrivateKey: ed25519 })), /EC on a NIST curve/)
})

test('an agent answers damaged leafs by asking again', () => {
  const all = new Authorities([])
  all.start()
  const { certificate, keyPem } = all.leaf('dc1', 'web')
  const uri = certificate.ServiceURI
  const { state } = stepLeafs({ leafs: new Map(), signingKeyId: '' }, { kind: 'want', uri }, all.moment)
  const random = seededRandom(29)
  for (let round = 0; round < 400; round++) {
    const bad = { ...certificate, CertPEM: damaged(certificate.CertPEM, random) }
    const { effects } = stepLeafs(state, { kind: 'issued', uri, certificate: bad, keyPem }, all.moment)
    assert.ok(effects.every(({ kind }) => kind === 'changed' || kind === 'unavailable'))
  }
})
