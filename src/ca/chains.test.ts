/**
 * Chains before, during and after a rotation, judged by OpenSSL and by real mutual TLS handshakes, and the recorded ones
 * beside ours.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { systemClock } from '#base'
import { certificateFacts, IndexedCARoots, splitPem } from '#codec'
import { rootsAnswer } from './authority.ts'
import { certificateId, rootRow } from './certificates.ts'
import { Authorities, ChainChecker, configured, type SignedLeaf } from './fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'hanse-ca-'))
after(() => rmSync(directory, { recursive: true }))

interface Entry {
  readonly name: string
  readonly certificates?: readonly string[]
  readonly response?: unknown
}
const file = new URL('../../test/vectors/identities.json', import.meta.url)
const entries: readonly Entry[] = JSON.parse(readFileSync(file, 'utf8')).certificates
const recordedRoots = (name: string) =>
  IndexedCARoots.fromJson(entries.find((entry) => entry.name === name)?.response, '', { unknownKeys: 'refuse' })

let files = 0
function write(text: string): string {
  const path = join(directory, `${++files}.pem`)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

/** What OpenSSL says about a chain, for a client and for a server. */
function opensslVerifies(certPem: string, roots: readonly string[], atMs?: number): boolean {
  const [leaf = '', ...chain] = splitPem(certPem)
  const untrusted = chain.length === 0 ? [] : ['-untrusted', write(chain.join(''))]
  const time = atMs === undefined ? [] : ['-attime', String(Math.floor(atMs / 1000))]
  return ['sslserver', 'sslclient'].every((purpose) => {
    const args = ['verify', '-purpose', purpose, ...time, '-CAfile', write(roots.join('')), ...untrusted, write(leaf)]
    try {
      return execFileSync('openssl', args, { stdio: 'pipe' }).toString().includes(': OK')
    } catch {
      return false
    }
  })
}

/** The URI of the server as a client saw it in a handshake in which both sides showed a certificate. */
async function handshake(server: SignedLeaf, client: SignedLeaf, roots: readonly string[]): Promise<string[]> {
  const ca = [...roots]
  const listener = createServer({
    cert: server.certificate.CertPEM,
    key: server.keyPem,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
  })
  listener.on('tlsClientError', () => undefined)
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const accepted = once(listener, 'secureConnection')
  const socket = tlsConnect({
    host: '127.0.0.1',
    port,
    cert: client.certificate.CertPEM,
    key: client.keyPem,
    ca,
    checkServerIdentity: () => undefined,
  })
  try {
    await once(socket, 'secureConnect')
    const [peer] = (await accepted) as [TLSSocket]
    const uri = (tls: TLSSocket) =>
      certificateFacts(new X509Certificate(tls.getPeerCertificate(false).raw)).uris[0] ?? ''
    const seen = [uri(socket), uri(peer)]
    peer.destroy()
    return seen
  } finally {
    socket.destroy()
    listener.close()
  }
}

test('OpenSSL and Node accept every chain, before, during and after a rotation, with old and new bundles', async () => {
  const all = new Authorities(['dc2'], 1, systemClock.wallMs())
  all.start()
  const before = [all.leaf('dc1', 'web'), all.leaf('dc2', 'front')]
  const old = all.bundle('dc1')
  all.configure('dc1', configured({ PrivateKeyBits: 384 }))
  const during = all.leaf('dc2', 'front')
  all.tell('dc2')
  const afterwards = [all.leaf('dc1', 'web'), all.leaf('dc2', 'front')]
  const leafs = [...before, during, ...afterwards]
  assert.deepEqual(
    leafs.map(({ certificate }) => splitPem(certificate.CertPEM).length),
    [1, 2, 2, 2, 3],
  )
  for (const bundle of [old, all.bundle('dc1'), all.bundle('dc2')]) {
    for (const leaf of leafs) {
      assert.ok(opensslVerifies(leaf.certificate.CertPEM, bundle))
      const [server, client] = await handshake(leaf, afterwards[1] ?? leaf, bundle)
      assert.equal(server, leaf.certificate.ServiceURI)
      assert.equal(client, afterwards[1]?.certificate.ServiceURI)
    }
  }
  const stranger = new Authorities([], 3, systemClock.wallMs())
  stranger.start()
  assert.ok(!opensslVerifies(stranger.leaf('dc1', 'web').certificate.CertPEM, old))
  await assert.rejects(handshake(before[0]!, stranger.leaf('dc1', 'web'), stranger.bundle('dc1')))
})

test('the recorded chains verify with the recorded bundles by the same rules', () => {
  const bundles = ['before rotation: /v1/connect/ca/roots of dc1', 'after rotation: /v1/connect/ca/roots of dc2'].map(
    (name) => (recordedRoots(name).Roots ?? []).map(({ RootCert }) => RootCert),
  )
  const atMs = Date.UTC(2026, 10, 23, 10, 30)
  const checker = new ChainChecker()
  let checked = 0
  for (const { name, certificates } of entries) {
    if (!/(leaf|intermediate returned)/.test(name) || certificates === undefined) continue
    for (const bundle of name.startsWith('intermediate') ? bundles.slice(1) : bundles) {
      assert.ok(checker.leadsToRoot(certificates.join(''), bundle, atMs), name)
      if (checked++ % 6 === 0 && !name.startsWith('inter'))
        assert.ok(opensslVerifies(certificates.join(''), bundle, atMs), name)
    }
  }
  assert.ok(checked >= 30, `only ${checked}`)
})

test('rootRow() is the recorded row of every recorded root', () => {
  for (const name of ['before rotation: /v1/connect/ca/roots of dc1', 'after rotation: /v1/connect/ca/roots of dc1']) {
    const answer = recordedRoots(name)
    for (const row of answer.Roots ?? []) {
      const { CreateIndex, ModifyIndex, Active } = row
      const made = rootRow(row.RootCert, row.ExternalTrustDomain, row.IntermediateCerts ?? [])
      assert.deepEqual({ ...made, CreateIndex, ModifyIndex, Active }, row)
      assert.equal(certificateId(new X509Certificate(row.RootCert)), row.ID)
    }
  }
})

test('rootsAnswer() has the recorded form: names of fields, their order, the text of values', () => {
  const all = new Authorities(['dc2'])
  all.start()
  all.configure('dc1', configured({ PrivateKeyBits: 384 }))
  all.tell('dc2')
  const shapeOf = (json: string) =>
    json
      .replace(/-----BEGIN[^"]+-----\\n"/g, 'PEM"')
      .replace(/([0-9a-f]{2}:)+[0-9a-f]{2}/g, 'ID')
      .replace(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME')
      .replace(/"(SerialNumber|CreateIndex|ModifyIndex)":\d+/g, '"$1":N')
  for (const name of ['dc1', 'dc2']) {
    const ours = JSON.stringify(IndexedCARoots.toJson(IndexedCARoots.of(rootsAnswer(all.of(name)))))
    const theirs = JSON.stringify(
      IndexedCARoots.toJson(recordedRoots(`after rotation: /v1/connect/ca/roots of ${name}`)),
    )
    assert.equal(shapeOf(ours), shapeOf(theirs), name)
  }
})
