/** Certificates that the other members of etcd would not accept are refused before it starts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, systemClock, systemRandom } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import { loadConfig } from './config.ts'
import { memberIdentity, memberTls, serverNameOf } from './etcd-certificates.ts'

const modules = { clock: systemClock, random: systemRandom }
const ca = createCertificateAuthority({ days: 30, domain: 'consul' }, modules)

function identity(dnsNames: string[], ipAddresses: string[]) {
  const options = {
    ca,
    commonName: dnsNames[0] ?? '',
    dnsNames,
    ipAddresses,
    days: 30,
    serverAuth: true,
    clientAuth: true,
  }
  const { certPem, keyPem } = createCertificate(options, modules)
  return { caPem: ca.certPem, certPem, keyPem }
}

const files = '-hcl=tls { internal_rpc { ca_file = "/ca" cert_file = "/c" key_file = "/k" } }'
const { config } = loadConfig({ args: ['-server', '-data-dir', '/d', '-bind', '10.0.0.1', files] })
const { config: bare } = loadConfig({ args: ['-server', '-data-dir', '/d', '-bind', '10.0.0.1'] })
const name = 'server.dc1.consul'

test('memberTls() takes a certificate with the name of servers and the address or DNS name of this one', () => {
  const paths = { ca: '/ca', cert: '/c', key: '/k', allowedName: name }
  assert.equal(serverNameOf(config), name)
  assert.deepEqual(memberTls(config, '10.0.0.1', identity([name], ['10.0.0.1'])), paths)
  assert.deepEqual(memberTls(config, 'fd00::1', identity([name], ['fd00::1'])), paths)
  assert.deepEqual(memberTls(config, 's1.hanse.svc', identity([name, 's1.hanse.svc'], [])), paths)
  assert.deepEqual(memberTls(config, 's1.hanse.svc', identity([name, '*.hanse.svc'], [])), paths)
})

test('memberTls() asks for none on loopback', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
    assert.equal(memberTls(bare, host, undefined), undefined)
})

const REFUSED = [
  {
    what: 'an address that is missing',
    host: '10.0.0.2',
    config,
    shown: identity([name], ['10.0.0.1']),
    says: /"\/c" is not valid for it/,
  },
  {
    what: 'a DNS name that is missing',
    host: 's2.hanse.svc',
    config,
    shown: identity([name], ['10.0.0.1']),
    says: /"\/c" is not valid for it/,
  },
  {
    what: "another datacenter's name",
    host: '10.0.0.1',
    config,
    shown: identity(['server.dc2.consul'], ['10.0.0.1']),
    says: /not that of "server\.dc1\.consul"/,
  },
  {
    what: "a client's",
    host: '10.0.0.1',
    config,
    shown: identity(['client.dc1.consul'], ['10.0.0.1']),
    says: /not that of "server\.dc1\.consul"/,
  },
  { what: 'none off loopback', host: '10.0.0.1', config: bare, shown: undefined, says: /has no ca_file/ },
  {
    what: 'none at a name that only looks like loopback',
    host: '127.example.com',
    config: bare,
    shown: undefined,
    says: /has no ca_file/,
  },
  {
    what: 'one without a CA file',
    host: '10.0.0.1',
    config: bare,
    shown: identity([name], ['10.0.0.1']),
    says: /has no ca_file/,
  },
]
for (const { what, host, config: given, shown, says } of REFUSED) {
  test(`memberTls() refuses ${what}`, () => {
    assert.throws(
      () => memberTls(given, host, shown),
      (error) => {
        assert.ok(error instanceof HanseError)
        assert.equal(error.code, 'ETCD_CERTIFICATE')
        assert.match(error.message, says)
        assert.ok(error.hint?.includes(host))
        return true
      },
    )
  })
}

test('memberIdentity() is the same until the certificate changes', () => {
  let shown: ReturnType<typeof identity> | undefined
  const current = memberIdentity(() => shown, name)
  assert.equal(current(), undefined)
  shown = identity([name], [])
  const first = current()
  assert.equal(first, current())
  assert.equal(first?.serverName, name)
  shown = identity([name], [])
  assert.notEqual(first, current())
})
