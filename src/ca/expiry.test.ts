/**
 * When certificates end, as operators are told.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { CertificateExpiries } from './expiry.ts'
import { Authorities, configured } from './fixture.ts'

const DAY_MS = 86_400_000

test('CertificateExpiries lists every root, intermediate, leaf and server certificate, the nearest end first', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.configure('dc1', configured({ PrivateKeyBits: 384 }))
  all.tell('dc2')
  const ca = createCertificateAuthority({}, { clock: all.clock })
  const server = createCertificate({ ca, commonName: 'server.dc2.consul', days: 30 }, { clock: all.clock })
  const leafs = [all.leaf('dc2', 'web').certificate.CertPEM]
  const sources = { roots: all.secondary('dc2').roots, leafs, server: server.certPem }
  const expiries = new CertificateExpiries()
  const found = expiries.list(sources, all.clock.wallMs())
  assert.deepEqual(
    found.map(({ kind }) => kind),
    ['leaf', 'cross-signed root', 'server', 'intermediate', 'intermediate', 'root', 'root'],
  )
  assert.deepEqual(
    found.filter(({ kind }) => kind === 'root').map(({ active }) => active),
    [false, true],
  )
  const signing = found.filter(({ kind }) => kind === 'intermediate')
  assert.deepEqual(
    signing.filter(({ active }) => active).map(({ keyId }) => keyId),
    [sources.roots.find(({ Active }) => Active)?.SigningKeyID],
  )
  assert.equal(signing.length, 2)
  assert.equal(found[0]?.name, 'spiffe://66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul/ns/default/dc/dc2/svc/web')
  assert.equal(found[2]?.name, 'server.dc2.consul')
  assert.match(found[5]?.name ?? '', /^pri-[0-9a-z]+\.consul\.ca\.66679aad\.consul$/)
  assert.ok(found.every(({ state, keyId, serial }) => state === 'ok' && keyId.length === 95 && serial !== ''))
  const later = expiries.list(sources, all.clock.wallMs() + 28 * DAY_MS)
  assert.deepEqual(
    later.slice(0, 4).map(({ state }) => state),
    ['expired', 'expired', 'soon', 'ok'],
  )
  assert.equal(later[0]?.remainingMs, (found[0]?.remainingMs ?? 0) - 28 * DAY_MS)
})

test("CertificateExpiries tells the HTTPS port's certificate beside the server's, and once where both are one", () => {
  const ca = createCertificateAuthority({})
  const [server, https] = [30, 20].map(
    (days) => createCertificate({ ca, commonName: `for-${days}-days`, days }).certPem,
  )
  const kinds = (shown: { server?: string | undefined; https?: string | undefined }) => {
    const given = Object.fromEntries(Object.entries(shown).filter(([, pem]) => pem !== undefined))
    const found = new CertificateExpiries().list({ roots: [], ...given }, systemClock.wallMs())
    return found.map(({ kind, name, active }) => [kind, name, active])
  }
  assert.deepEqual(kinds({ server, https }), [
    ['https', 'for-20-days', true],
    ['server', 'for-30-days', true],
  ])
  assert.deepEqual(kinds({ server, https: server }), [['server', 'for-30-days', true]])
  assert.deepEqual(kinds({ https }), [['https', 'for-20-days', true]])
})

test('CertificateExpiries names a text that is no certificate', () => {
  assert.throws(() => new CertificateExpiries().list({ roots: [], server: 'zz' }, 0), { code: 'X509_NOT_PEM' })
})
