/**
 * A server that does not belong to the datacenter is refused, and both sides say why by name.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock, systemRandom } from '#base'
import { createCertificate, type PemPair } from '#codec'
import { newCa, newGossipKey } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { type TestServer, testServers } from '../support/servers.ts'

const root = mkdtempSync(join(tmpdir(), 'hanse-refusals-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** @param trusted - other CAs than the one that signs */
function tlsOf(label: string, ca: PemPair, trusted = ca.certPem) {
  const dnsNames = ['server.dc1.consul', '*.server.dc1.consul']
  const { certPem, keyPem } = createCertificate(
    {
      ...{ ca, commonName: label, dnsNames, ipAddresses: ['127.0.0.1'], uris: [], days: 30 },
      serverAuth: true,
      clientAuth: true,
    },
    { clock: systemClock, random: systemRandom },
  )
  const file = (what: string, text: string) => {
    const path = join(root, `${label}-${what}.pem`)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const files = { ca_file: file('ca', trusted), cert_file: file('cert', certPem), key_file: file('key', keyPem) }
  return { internal_rpc: { ...files, verify_incoming: true, verify_outgoing: true, verify_server_hostname: true } }
}

const said = (server: TestServer, pattern: RegExp) => () =>
  assert.ok(
    server.log.some((line) => pattern.test(line)),
    `${server.name} says nothing of ${pattern}`,
  )

test('another datacenter name', async (context) => {
  const datacenter = await testServers(context)
  const s1 = await datacenter.start('s1')
  const stranger = await datacenter.start('x1', { datacenter: 'dc9' })
  await eventually('the stranger says it', said(stranger, /Member 's1' part of wrong datacenter 'dc1'/))
  await eventually('the other one says it', said(s1, /Member 'x1' part of wrong datacenter 'dc9'/))
  assert.equal(s1.agent.core.gossip.lan.members().length, 1)
})

test('another gossip key', async (context) => {
  const datacenter = await testServers(context, { encrypt: newGossipKey() })
  const s1 = await datacenter.start('s1')
  const stranger = await datacenter.start('x1', { encrypt: newGossipKey() })
  await eventually('the stranger says it', said(stranger, /no LAN member could be joined/))
  await eventually('the other one says it', said(s1, /GOSSIP_KEY_DIFFERS/))
  assert.equal(s1.agent.core.gossip.lan.members().length, 1)
})

test('another CA', async (context) => {
  const datacenter = await testServers(context, { tls: tlsOf('ours', newCa()) })
  const s1 = await datacenter.start('s1')
  const stranger = await datacenter.start('x1', { tls: tlsOf('theirs', newCa()) })
  await eventually('the stranger says it', said(stranger, /Member 's1' trusts another CA than 'x1'/))
  await eventually('the other one says it', said(s1, /Member 'x1' trusts another CA than 's1'.*LAN_ANOTHER_CA/))
  assert.equal(s1.agent.core.gossip.lan.members().length, 1)
  const { status, body } = await s1.client.request('GET', '/v1/operator/autopilot/health')
  assert.equal(status, 200, String(body))
})

test('two CAs for a while keep servers together; a certificate that one of them does not trust is named', async (context) => {
  const [old, next] = [newCa(), newCa()]
  const both = `${old.certPem}\n${next.certPem}`
  const datacenter = await testServers(context, { tls: tlsOf('old', old) })
  const s1 = await datacenter.start('s1')
  await datacenter.start('s2', { tls: tlsOf('both', old, both) })
  await eventually('both are healthy', async () => {
    const { status, body } = await s1.client.request('GET', '/v1/operator/autopilot/health')
    assert.equal(status, 200, String(body))
    assert.equal(s1.agent.core.gossip.lan.members().length, 2)
  })
  await datacenter.start('s3', { tls: tlsOf('early', next, both) })
  const refused = /a server of this datacenter is refused: its certificate is not of our CA.*s3/
  await eventually('the one that does not trust it says so', said(s1, refused))
})
