/**
 * TLS versions and cipher suites as a server port and a dialer keep to them, on real connections with certificates of both
 * kinds of key.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, createServer } from 'node:tls'
import { createCertificate, createCertificateAuthority } from '#codec'
import { dialTls } from './dial.ts'
import { ServerPort } from './server-port.ts'
import { CIPHER_SUITES, sameIdentity, secureContextOf, type TlsIdentity } from './tls-identity.ts'

const NAME = 'server.dc1.consul'
const ca = createCertificateAuthority({})
const ec: TlsIdentity = { caPem: ca.certPem, ...createCertificate({ ca, commonName: NAME, dnsNames: [NAME] }) }
const rsa = rsaIdentity()

/** Its own authority, as OpenSSL makes it. */
function rsaIdentity(): TlsIdentity {
  const folder = mkdtempSync(join(tmpdir(), 'hanse-rsa-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const files = ['-keyout', key, '-out', cert]
    const names = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...names], { stdio: 'ignore' })
    const certPem = readFileSync(cert, 'utf8')
    return { caPem: certPem, certPem, keyPem: readFileSync(key, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The address of a server port that has this identity. */
async function serving(context: TestContext, identity: TlsIdentity): Promise<{ host: string; port: number }> {
  const port = new ServerPort({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity,
    verifyIncoming: () => true,
    handlers: { rpc: () => {}, gossipStream: (stream) => stream.end('hello') },
  })
  await port.listen()
  context.after(() => port.close())
  return port.address
}

/** A real client that offers this; resolves once the server has greeted it, so that its certificate was taken too. */
async function greeted(at: object, own: TlsIdentity, offer: ConnectionOptions) {
  const { caPem: trusted, certPem: cert, keyPem: key } = own
  const alpn = ['consul/wan-gossip/stream']
  const socket = connect({ ...at, ca: trusted, cert, key, servername: NAME, ALPNProtocols: alpn, ...offer })
  await once(socket, 'data')
  const agreed = { cipher: socket.getCipher().standardName, version: socket.getProtocol() }
  socket.destroy()
  return agreed
}

test('each known cipher suite is one that the server port speaks, and then it speaks no other', async (context) => {
  for (const [name, ciphers] of Object.entries(CIPHER_SUITES)) {
    const own = name.includes('ECDSA') ? ec : rsa
    const at = await serving(context, { ...own, cipherSuites: [name] })
    const anything = { maxVersion: 'TLSv1.2', ciphers: Object.values(CIPHER_SUITES).join(':') } as const
    assert.equal((await greeted(at, own, anything)).cipher, name)
    const others = Object.values(CIPHER_SUITES).filter((each) => each !== ciphers)
    await assert.rejects(greeted(at, own, { ...anything, ciphers: others.join(':') }), /handshake failure/, name)
  }
})

test('cipher suites of TLS 1.2 leave TLS 1.3 as it is', async (context) => {
  const at = await serving(context, { ...ec, cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'] })
  assert.equal((await greeted(at, ec, {})).version, 'TLSv1.3')
})

test('the server port refuses a client that offers less than the oldest TLS that it may speak', async (context) => {
  const [strict, usual] = [await serving(context, { ...ec, minVersion: 'TLSv1.3' }), await serving(context, ec)]
  const old = { maxVersion: 'TLSv1.2' } as const
  await assert.rejects(greeted(strict, ec, old), /protocol version/)
  assert.equal((await greeted(strict, ec, {})).version, 'TLSv1.3')
  assert.equal((await greeted(usual, ec, old)).version, 'TLSv1.2')
})

test('dialTls() calls no server that speaks less, and offers the suites that are chosen', async (context) => {
  const server = createServer({ ...secureContextOf(ec), maxVersion: 'TLSv1.2' }, (socket) => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => void server.close())
  const { port } = server.address() as AddressInfo
  const dial = (more: Partial<TlsIdentity>) =>
    dialTls({ host: '127.0.0.1', port, servername: NAME, verifyName: NAME, identity: { ...ec, ...more } })
  const foreign = 'TLS_RSA_WITH_AES_128_CBC_SHA'
  for (const [more, none] of [
    [{ minVersion: 'TLSv1.3' }, /no version of TLS \("tls_min_version"\) is allowed on both sides/],
    [{ cipherSuites: [foreign] }, /no cipher suite \("tls_cipher_suites"\) is allowed on both sides/],
  ] as const) {
    await assert.rejects(dial(more), { code: 'DIAL_TLS', message: none })
  }
  const suite = 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'
  const socket = await dial({ cipherSuites: [suite] })
  assert.equal(socket.getCipher().standardName, suite)
  socket.destroy()
})

test('sameIdentity() sees every field, and takes defaults for what they are', () => {
  assert.ok(sameIdentity(ec, { ...ec, minVersion: 'TLSv1.2', cipherSuites: [] }))
  for (const other of [{ certPem: 'x' }, { keyPem: 'x' }, { caPem: 'x' }, { minVersion: 'TLSv1.3' as const }]) {
    assert.ok(!sameIdentity(ec, { ...ec, ...other }))
  }
  assert.ok(!sameIdentity(ec, { ...ec, cipherSuites: ['TLS_RSA_WITH_AES_128_CBC_SHA'] }))
})
