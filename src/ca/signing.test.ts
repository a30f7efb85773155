/**
 * What is signed and what is refused: recorded texts, rates, serial numbers, dates.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createCertificateRequest } from '#codec'
import { Authorities, configured, makeKey, verifies } from './fixture.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

test('nothing outlives what signed it, and an authority that has ended signs nothing', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.refusal = 'primary datacenter is unreachable'
  all.clock.advance(364 * DAY_MS)
  const until = new X509Certificate(all.secondary('dc2').authority?.signer.certPem ?? '').validToDate.getTime()
  assert.equal(Date.parse(all.leaf('dc2', 'web').certificate.ValidBefore), until)
  all.clock.advance(2 * DAY_MS)
  assert.throws(() => all.leaf('dc2', 'web'), { message: 'CA has not finished initializing' })
  all.refusal = ''
  all.inSecondary('dc2', { kind: 'tick' })
  assert.ok(verifies(all.leaf('dc2', 'web'), all.bundle('dc1'), all))
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
