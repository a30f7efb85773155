/** Who is kept out of a datacenter's etcd, and who does not even start; each by name. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#base'
import { EtcdMembership } from '#store'
import {
  EtcdDatacenter,
  identityOf,
  makeCa,
  makeCertificate,
  type Settings,
  type TlsPaths,
  tlsSettings,
} from '../support/etcd-datacenter.ts'
import { eventually } from '../support/eventually.ts'

const tlsOf = (paths: TlsPaths): Settings => ({ tls: { internal_rpc: tlsSettings(paths) } })

/** What a stranger with this certificate learns from a member's port for clients. */
async function listThrough(endpoint: string, paths: TlsPaths | undefined): Promise<unknown> {
  const identity = paths && identityOf(paths)
  const membership = new EtcdMembership({ endpoints: [endpoint], identity: () => identity, clock: systemClock })
  try {
    return await membership.list({ timeoutMs: 3_000 })
  } finally {
    membership.close()
  }
}

/** What a stranger with this certificate learns from a member's port for members. */
function askPeer(port: number, paths: TlsPaths): Promise<number> {
  const { ca, cert, key } = identityOf(paths)
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/members', servername: 'server.dc1.consul', ca, cert, key }
    const asked = request(options, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    asked.on('error', reject).end()
  })
}

test('only servers of the datacenter reach its etcd or come into it', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2', 's3', 's4'])
  await dc.start(['s1', 's2', 's3'])
  const [s1, s4] = [dc.server('s1'), dc.server('s4')]
  const client = `https://127.0.0.1:${s1.place.client}`
  const own = dc.tls
  assert.ok(own)
  assert.equal(await askPeer(s1.place.peer, own), 200)
  await listThrough(client, own)
  const foreignCa = join(dc.root, 'foreign')
  mkdirSync(foreignCa)
  const strangers = [
    makeCertificate(dc.root, dc.ca, 'client.dc1.consul'),
    makeCertificate(dc.root, dc.ca, 'server.dc2.consul'),
    { ...makeCertificate(foreignCa, makeCa(), 'server.dc1.consul'), ca: own.ca },
  ]
  await Promise.all(
    strangers.map(async (paths) => {
      await assert.rejects(listThrough(client, paths), /does not answer/, paths.cert)
      await assert.rejects(askPeer(s1.place.peer, paths), paths.cert)
    }),
  )
  await assert.rejects(listThrough(client.replace('https', 'http'), undefined), /does not answer/)

  const otherKey = Buffer.alloc(32, 9).toString('base64')
  const dc2 = tlsOf(makeCertificate(dc.root, dc.ca, 'server.dc2.consul'))
  for (const settings of [{ encrypt: otherKey }, { datacenter: 'dc2', ...dc2 }]) {
    const before = s4.settings
    const program = s4.start(settings)
    await program.says(/no LAN member could be joined/)
    await program.says(/waiting for other servers, to found etcd with them: present=1/)
    assert.deepEqual(await program.stop('SIGTERM'), { code: 0, signal: null })
    s4.settings = before
    // The keyring in there counts more than the setting.
    rmSync(s4.dataDir, { recursive: true })
  }
  const { etcd } = s4.settings.store as { etcd: object }
  const taken = { ...etcd, client_port: s1.place.client, peer_port: s1.place.peer }
  const said = await s4.refuses({ store: { etcd: taken } })
  assert.match(said, /Join etcd at ".*": that is the address of server "s1", which is alive/)
  await dc.assertVoters(['s1', 's2', 's3'])
  assert.deepEqual(
    dc.programs.running().filter((line) => line.includes(s4.dataDir)),
    [],
  )
})

test('what the other members would not accept does not start', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1'])
  const s1 = dc.server('s1')
  const { settings } = s1
  const { etcd } = settings.store as { etcd: object }
  const refused: readonly { settings: Settings; says: RegExp }[] = [
    {
      settings: { store: { etcd: { ...etcd, advertise_host: '127.0.0.2' } } },
      says: /reach at "127\.0\.0\.2": the certificate .* is not valid for it/,
    },
    {
      settings: tlsOf(makeCertificate(dc.root, dc.ca, 'server.dc2.consul')),
      says: /is not that of "server\.dc1\.consul"/,
    },
    {
      settings: { tls: {}, store: { etcd: { ...etcd, advertise_host: 's1.example.com' } } },
      says: /"s1\.example\.com": tls\.internal_rpc has no ca_file/,
    },
    {
      settings: { store: { etcd: { ...etcd, binary: '/bin/true' } } },
      says: /Cannot run etcd "\/bin\/true": its --version is not that of etcd/,
    },
  ]
  for (const { settings: wrong, says } of refused) {
    const said = await s1.refuses(wrong)
    assert.match(said, says)
    assert.match(said, /^hint: /m)
    s1.settings = settings
  }
  const record = { datacenter: 'dc1', nodeId: 'x', name: 's9', begun: true }
  writeFileSync(join(s1.dataDir, 'etcd.json'), JSON.stringify(record))
  const before = readdirSync(s1.dataDir)
  assert.match(
    await s1.refuses(),
    /Use the data of etcd in .*: it is of server "s9".* of datacenter "dc1"; nothing was changed/,
  )
  assert.deepEqual(readdirSync(s1.dataDir), before)
  assert.deepEqual(dc.programs.running(), [])
})

test('an etcd that cannot listen is given up by name, and nothing is left running', async (context) => {
  const dc = await EtcdDatacenter.make(context, ['s1', 's2'], { store: undefined })
  const [s1, s2] = [dc.server('s1'), dc.server('s2')]
  const etcd = { binary: process.env['HANSE_ETCD'], client_port: s1.place.client, peer_port: s1.place.peer }
  const alone = { bootstrap_expect: 1, retry_join: [], store: { engine: 'etcd', etcd } }
  s1.start(alone)
  await s1.serves()
  const said = await s2.refuses(alone)
  assert.match(said, /Cannot run etcd ".*": it has ended 5 times, and never worked: .*address already in use/)
  await eventually('nothing is left', () => {
    assert.deepEqual(
      dc.programs.running().filter((line) => line.includes(s2.dataDir)),
      [],
    )
  })
})
