/** Servers on an etcd that the user runs: with TLS, out of reach, and with data that is not theirs. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePorts } from '#local'
import { etcdBinary } from '../support/etcd.ts'
import { EtcdDatacenter, makeCa, makeCertificate } from '../support/etcd-datacenter.ts'
import { eventually } from '../support/eventually.ts'

test('servers share a named etcd with TLS, live through its absence, and leave alone what is not theirs', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3', 's4', 's5', 's6'])
  const [client = 0, admin = 0, peer = 0, nobody = 0] = await freePorts(4)
  const endpoint = `https://127.0.0.1:${client}`
  const paths = makeCertificate(dc.root, dc.ca, 'etcd.example.com')
  const args = [
    ...['--name', 'e1', '--data-dir', join(dc.root, 'named'), '--log-level', 'warn'],
    ...['--listen-client-urls', `${endpoint},http://127.0.0.1:${admin}`, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', `http://127.0.0.1:${peer}`, '--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`],
    ...['--initial-cluster', `e1=http://127.0.0.1:${peer}`, '--client-cert-auth', '--trusted-ca-file', paths.ca],
    ...['--cert-file', paths.cert, '--key-file', paths.key],
  ]
  const run = () => dc.programs.start('etcd', [etcdBinary(), ...args])
  const etcd = run()
  const files = { ca_file: paths.ca, cert_file: paths.cert, key_file: paths.key, server_name: 'etcd.example.com' }
  const named = (more: object = {}) => ({
    bootstrap_expect: 0,
    store: { etcd: { endpoints: [endpoint], ...files, ...more } },
  })
  const [s1, s2, s3, s4, s5, s6] = dc.servers
  assert.ok(s1 && s2 && s3 && s4 && s5 && s6)
  // Those that get no answer take the longest.
  const elsewhere = join(dc.root, 'elsewhere')
  mkdirSync(elsewhere)
  const wrong = { ca_file: makeCertificate(elsewhere, makeCa(), 'other.example.com').ca }
  const unanswered = Promise.all([
    s3.refuses(named(wrong)),
    s4.refuses(named({ endpoints: [`https://127.0.0.1:${nobody}`] })),
  ])
  s5.start(named({ endpoints: [`https://127.0.0.1:${nobody}`] }))
  await s5.program.says('opening the store in etcd')
  assert.deepEqual(await s5.program.stop('SIGTERM'), { code: 0, signal: null })

  for (const server of [s1, s2]) server.start(named())
  await Promise.all([s1.serves(), s2.serves()])
  await s1.put('a', '1')
  await s2.has('a', '1')

  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const put = async (key: string, value: string) => {
    const body = JSON.stringify({ key: base64(key), value: base64(value) })
    const { ok, status } = await fetch(`http://127.0.0.1:${admin}/v3/kv/put`, { method: 'POST', body })
    assert.ok(ok, String(status))
  }
  await put('theirs/x', 'y')
  await put('newer/id', JSON.stringify({ layout: 99, datacenter: 'dc1', name: 'n' }))
  assert.match(
    await s6.refuses(named({ prefix: 'theirs/' })),
    /the keys below "theirs\/" are not Hanse's; nothing was changed/,
  )
  assert.match(await s6.refuses(named({ prefix: 'newer/' })), /its layout is 99/)
  const dc2 = { ...named({ prefix: 'hanse/dc1/' }), datacenter: 'dc2', retry_join: [] }
  const foreign = await s6.refuses(dc2)
  assert.match(foreign, /its keys belong to datacenter "dc1", this one is "dc2"; nothing was changed/)
  assert.match(foreign, /^hint: .*store\.etcd\.prefix/m)

  await etcd.stop('SIGKILL')
  await eventually(
    'a write fails by name',
    async () => {
      const { status, body } = await s1.ask('PUT', '/v1/kv/b', '2')
      assert.deepEqual([status, /No cluster leader/.test(String(body))], [500, true], String(body))
    },
    { timeoutMs: 60_000 },
  )
  for (const mode of ['&stale', '']) {
    const read = await s2.ask('GET', `/v1/kv/a?raw${mode}`)
    assert.deepEqual([read.status, String(read.body)], [200, '1'], mode)
    assert.equal(read.headers['x-consul-knownleader'], 'false', 'it says that it may be old')
    assert.ok(Number(read.headers['x-consul-lastcontact']) > 2_000, 'and how old')
  }
  for (const mode of ['&consistent', '&stale&max_stale=1s']) {
    const { status, body } = await s2.ask('GET', `/v1/kv/a?raw${mode}`)
    assert.deepEqual([status, /No cluster leader/.test(String(body))], [500, true], mode)
  }
  run()
  await eventually('writes go on', () => s1.put('b', '3'), { timeoutMs: 60_000 })
  await s2.has('b', '3')
  for (const said of await unanswered) assert.match(said, /No cluster leader: etcd "https:.*" does not answer/)
})
