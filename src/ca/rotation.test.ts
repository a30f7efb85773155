/**
 * The life of a federation's authorities as transcripts: begin, secondaries, rotation, refusals, renewal, restart.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { certificateFacts, createCertificateRequest, IndexedCARoots, parseCertificateRequest, splitPem } from '#codec'
import { Authorities, ChainChecker, configured, makeKey, type SignedLeaf } from './fixture.ts'
import { primaryWakeAtMs } from './primary.ts'
import { secondaryWakeAtMs, stepSecondary } from './secondary.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const P384 = configured({ PrivateKeyType: 'ec', PrivateKeyBits: 384 })

function subjectsOf(certPem: string): string[] {
  return splitPem(certPem).map((pem) => {
    const { subject, isCa } = certificateFacts(new X509Certificate(pem))
    return subject !== '' ? 'root' : isCa ? 'intermediate' : 'leaf'
  })
}

function verifies(leaf: SignedLeaf, roots: readonly string[], at: Authorities): boolean {
  return new ChainChecker().leadsToRoot(leaf.certificate.CertPEM, roots, at.clock.wallMs())
}

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

test('after a restart both go on where they were, with new serial numbers', () => {
  const all = new Authorities(['dc2'])
  all.start()
  const used = [all.leaf('dc1', 'a'), all.leaf('dc2', 'a')].map(({ certificate }) => certificate.SerialNumber)
  const again = new Authorities(['dc2'], 2, all.clock.wallMs())
  again.inPrimary({ kind: 'start', stored: all.stored.get('dc1') })
  again.inSecondary('dc2', { kind: 'start', stored: all.stored.get('dc2') })
  assert.deepEqual(again.primary.roots, all.primary.roots)
  const leafs = [again.leaf('dc1', 'a'), again.leaf('dc2', 'a')]
  for (const [index, leaf] of leafs.entries()) {
    assert.ok(verifies(leaf, all.bundle('dc1'), again))
    assert.notEqual(leaf.certificate.SerialNumber, used[index])
  }
  again.tell('dc2')
  assert.equal(again.secondary('dc2').authority?.signer.certPem, all.secondary('dc2').authority?.signer.certPem)
  const stored = all.stored.get('dc1')
  assert.ok(stored?.authority)
  const damaged = { ...stored, authority: { ...stored.authority, keyPem: 'x' } }
  assert.throws(() => new Authorities([]).inPrimary({ kind: 'start', stored: damaged }), { code: 'CA_BAD_STATE' })
})

test('serial numbers are never used twice, and are reserved before they are used', () => {
  const all = new Authorities([])
  all.start()
  const seen = new Set<string>()
  for (let count = 0; count < 300; count++) {
    all.clock.advance(100)
    const { SerialNumber } = all.leaf('dc1', 'web').certificate
    assert.ok(!seen.has(SerialNumber))
    seen.add(SerialNumber)
    assert.ok((all.stored.get('dc1')?.nextSerial ?? 0) > Number(`0x${SerialNumber.replaceAll(':', '')}`))
  }
})

test('signing refuses what is recorded as refused, with its text, and too many per second', () => {
  const all = new Authorities(['dc2'])
  all.start('66679aad-6740-68de-6eb4-3b50d0fc5ad2')
  const T = '66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul'
  const key = makeKey({ type: 'ec', bits: 256 })
  const sign = (...uris: string[]) => all.sign('dc1', createCertificateRequest({ key, uris }))
  const other = '11111111-2222-3333-4444-555555555555.consul'
  assert.throws(() => sign(`spiffe://${other}/ns/default/dc/dc1/svc/web`), {
    message: `SPIFFE ID in CSR from a different trust domain: ${other}, we are ${T}`,
  })
  assert.throws(() => sign(`spiffe://${T}/ns/default/dc/dc2/svc/web`), {
    message: 'SPIFFE ID in CSR from a different datacenter: dc2, we are dc1',
  })
  assert.throws(() => sign('https://x/y'), { message: "SPIFFE ID must have 'spiffe' scheme" })
  assert.throws(() => sign(), { message: 'URI must be either service, agent, server, or kind' })
  assert.throws(() => sign(`spiffe://${T}`), { code: 'CA_CSR_KIND' })
  assert.throws(() => sign(`spiffe://${T}/agent/server/dc/dc1`, `spiffe://${T}/gateway/mesh/dc/dc1`), {
    code: 'CA_CSR_NAMES',
  })
  assert.throws(() => sign(`spiffe://${T}/ns/team/dc/dc1/svc/web`), { code: 'CA_CSR_NAMESPACE' })
  const asAuthority = createCertificateRequest({ key, uris: [`spiffe://${T}/agent/server/dc/dc1`], authority: true })
  assert.throws(() => all.sign('dc1', asAuthority), { code: 'CA_CSR_AUTHORITY' })
  all.configure('dc1', configured({ CSRMaxPerSecond: 2 }))
  const leafs = () => all.leaf('dc1', 'web')
  leafs()
  leafs()
  assert.throws(leafs, { message: 'Rate limit reached, try again later', status: 429 })
  all.clock.advance(500)
  leafs()
})

test('stepPrimary() signs an intermediate only for an authority of its own trust domain', () => {
  const all = new Authorities([])
  all.start()
  const key = makeKey({ type: 'ec', bits: 256 })
  const ask = (csr: string) => {
    let code = ''
    const before = all.primary
    all.inPrimary({ kind: 'sign-intermediate', requestId: -1, csr })
    if (all.primary === before) code = 'refused'
    return code
  }
  const own = `spiffe://${all.primary.authority?.trustDomain}`
  assert.equal(ask(createCertificateRequest({ key, uris: [own], authority: true })), '')
  assert.equal(ask(createCertificateRequest({ key, uris: [own] })), 'refused')
  assert.equal(ask(createCertificateRequest({ key, uris: [`${own}/agent/server/dc/dc2`], authority: true })), 'refused')
  assert.equal(ask(createCertificateRequest({ key, uris: ['spiffe://other.consul'], authority: true })), 'refused')
  assert.equal(ask('zz'), 'refused')
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
