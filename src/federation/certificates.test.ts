/**
 * When certificates end, as the status tells it, and which of them somebody has to do something about.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CertificateExpiry } from '#ca'
import { certificateProblems, certificateStatus } from './certificates.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.parse('2026-11-23T00:00:00Z')
const CONTEXT = { datacenter: 'dc2', primaryDatacenter: 'dc1', domain: 'consul' }

function certificate(days: number, more: Partial<CertificateExpiry> = {}): CertificateExpiry {
  return {
    kind: 'server',
    name: 'server.dc2.consul',
    serial: '01',
    keyId: 'aa:bb',
    notBeforeMs: NOW_MS - 30 * DAY_MS,
    notAfterMs: NOW_MS + days * DAY_MS,
    remainingMs: days * DAY_MS,
    state: days <= 0 ? 'expired' : days < 3 ? 'soon' : 'ok',
    active: true,
    ...more,
  }
}

test('certificateStatus() tells times as RFC 3339 and what is left in seconds, negative after the end', () => {
  assert.deepEqual(certificateStatus(certificate(-1)), {
    Kind: 'server',
    Name: 'server.dc2.consul',
    KeyID: 'aa:bb',
    NotBefore: '2026-10-24T00:00:00.000Z',
    NotAfter: '2026-11-22T00:00:00.000Z',
    RemainingSeconds: -86_400,
    State: 'expired',
    Active: true,
  })
})

test('certificateProblems() has none while every certificate has time', () => {
  assert.deepEqual(certificateProblems([certificate(20), certificate(3000, { kind: 'root' })], CONTEXT), [])
})

test('certificateProblems() names the certificate, when it ends and the command that makes a new one', () => {
  assert.deepEqual(certificateProblems([certificate(2)], CONTEXT), [
    {
      Code: 'CERTIFICATE_ENDS',
      Message: 'Server certificate (setting "cert_file"): "server.dc2.consul" ends 2026-11-25T00:00:00.000Z',
      Hint: "make a new one, replace the files, then hanse reload: hanse tls cert create -server -dc dc2 -node '*'",
    },
  ])
  const https = certificate(2, { kind: 'https', name: 'api.dc2' })
  const [api] = certificateProblems([https], CONTEXT)
  assert.match(api?.Message ?? '', /^Certificate of the HTTPS port \(setting "tls.https.cert_file"\): "api.dc2" ends /)
  assert.match(api?.Hint ?? '', /hanse reload: hanse tls cert create -server -dc dc2 -additional-dnsname NAME$/)
  const root = certificate(-2, { kind: 'root', name: 'pri-1.consul.ca' })
  const [problem] = certificateProblems([root], CONTEXT)
  assert.match(problem?.Message ?? '', /^Root certificate of the mesh: "pri-1\.consul\.ca" ended 2026-11-21T/)
  assert.match(problem?.Hint ?? '', /in datacenter "dc1".*: hanse connect ca set-config /)
})

test('certificateProblems() is silent about a root that was replaced and one that was cross-signed', () => {
  const replaced = certificate(1, { kind: 'root', active: false })
  assert.deepEqual(certificateProblems([replaced, certificate(1, { kind: 'cross-signed root' })], CONTEXT), [])
})

test('certificateProblems() makes one problem of many leafs, and the same one while time goes by', () => {
  const leafs = ['a', 'b', 'c', 'd', 'e'].map((name) => certificate(1, { kind: 'leaf', name }))
  const problems = certificateProblems([...leafs, certificate(2, { kind: 'intermediate', name: 'i' })], CONTEXT)
  assert.deepEqual(
    problems.map(({ Message }) => Message.replaceAll(/ ends [^,]+/g, '')),
    ['Certificate of a service: "a", "b", "c", and 2 more', 'Intermediate certificate of the mesh: "i"'],
  )
  const later = leafs.map((leaf) => ({ ...leaf, remainingMs: leaf.remainingMs - 5_000 }))
  assert.deepEqual(certificateProblems(later, CONTEXT), problems.slice(0, 1))
})
