/**
 * The gauges of when certificates end: there for each, going down, and gone with their certificate.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, Metrics, silentLogger } from '#base'
import { createCertificate, createCertificateAuthority } from '#codec'
import type { TlsIdentity } from '#net'
import { State } from '#state'
import { openMemory } from '#store'
import { Certificates } from './certificates.ts'

const DAY_MS = 86_400_000
const LEAF = 'spiffe://x.consul/ns/default/dc/dc2/svc/web'

test('gauges tell how long certificates last, go down, and go away with a certificate', async (t) => {
  const [clock, metrics] = [new ManualClock(), new Metrics()]
  const ca = createCertificateAuthority({}, { clock })
  const own = createCertificate({ ca, commonName: 'server.dc2.consul', days: 30 }, { clock })
  const api = createCertificate({ ca, commonName: 'api.dc2', days: 60 }, { clock })
  const leaf = createCertificate({ ca, commonName: '', uris: [LEAF], days: 3 }, { clock })
  const engine = await openMemory()
  const state = await State.open({ engine, clock, log: silentLogger, metrics: new Metrics(), datacenter: 'dc2' })
  t.after(async () => {
    state.close()
    await engine.close()
  })
  const identity = { caPem: ca.certPem, certPem: own.certPem, keyPem: own.keyPem }
  const now: { leafs: string[]; certPem: string; https: TlsIdentity | undefined } = {
    leafs: [leaf.certPem],
    certPem: own.certPem,
    https: { ...identity, ...api },
  }
  const certificates = new Certificates('dc2', {
    state,
    identity: () => ({ ...identity, certPem: now.certPem }),
    https: () => now.https,
    leafs: () => now.leafs,
    clock,
    log: silentLogger,
    metrics,
  })
  const value = (name: string, kind?: string) =>
    [...metrics.gauges.values()].find((gauge) => gauge.name === name && gauge.labels['kind'] === kind)?.value
  certificates.start()
  assert.deepEqual(
    certificates.list().map(({ kind, name }) => [kind, name]),
    [
      ['leaf', LEAF],
      ['server', 'server.dc2.consul'],
      ['https', 'api.dc2'],
    ],
  )
  assert.equal(value('consul.agent.tls.cert.expiry'), 30 * 86_400)
  assert.equal(value('hanse.certificate.expiry', 'leaf'), 3 * 86_400)
  assert.equal(value('hanse.certificate.expiry', 'https'), 60 * 86_400)
  assert.equal(value('consul.mesh.active-root-ca.expiry'), undefined)

  clock.advance(DAY_MS)
  assert.equal(value('consul.agent.tls.cert.expiry'), 29 * 86_400)
  now.leafs = []
  now.https = undefined
  clock.advance(5_000)
  assert.equal(value('hanse.certificate.expiry', 'leaf'), undefined)
  assert.equal(value('hanse.certificate.expiry', 'https'), undefined)
  assert.equal(metrics.gauges.size, 2)

  now.certPem = 'no certificate'
  assert.deepEqual(certificates.list(), [])
  certificates.stop()
  clock.advance(DAY_MS)
  assert.equal(metrics.gauges.size, 2)
})
