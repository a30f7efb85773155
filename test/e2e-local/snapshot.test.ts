/**
 * A datacenter saved and restored as an operator does it: by the command line, through gateways, on another machine's
 * engine, and over a kill -9 in the middle.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '#base'
import { HttpClient } from '#client'
import { freePorts } from '#local'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'
import { HANSE } from '../support/programs.ts'

const KILLS = 5
/** A kill comes at a random moment up to here after the restore was asked for. */
const MAX_RESTORE_MS = 1_500

const bed = new TestBed()
let dc1: Datacenter
let dc2: Datacenter

before(async () => {
  const primaryGateway = await bed.address()
  dc1 = await bed.make({ name: 'dc1' })
  dc2 = await bed.make({ name: 'dc2', primaryGateways: [primaryGateway] })
  for (const each of [dc1, dc2]) {
    each.startServer()
    await each.ready()
  }
  dc1.startGateway(primaryGateway)
  dc2.startGateway(await bed.address())
  await readEachOther([dc1, dc2])
})
after(() => bed.stop())

const file = (name: string) => join(bed.root, name)

async function hanse(at: Datacenter, ...words: string[]): Promise<string> {
  const { code, output } = await bed.programs.hanse(words, { CONSUL_HTTP_ADDR: `${at.host}:${at.ports.http}` })
  assert.equal(code, 0, output)
  return output
}

const rootOf = async (at: Datacenter) => {
  const roots = (await at.client.json('GET', '/v1/agent/connect/ca/roots')) as { ActiveRootID: string }
  return roots.ActiveRootID
}

interface Leaf {
  readonly SerialNumber: string
}
const leafOf = async (at: Datacenter, service: string) =>
  (await at.client.json('GET', `/v1/agent/connect/ca/leaf/${service}`)) as Leaf

test('snapshot save and restore take a datacenter back; watchers wake, indexes and serial numbers go on', async () => {
  await dc1.put('k', 'before')
  const root = await rootOf(dc1)
  assert.match(await hanse(dc1, 'snapshot', 'save', file('s.snap')), /^Saved and verified snapshot to index \d+\n$/)
  assert.equal(statSync(file('s.snap')).mode & 0o777, 0o600)
  const inspected = await hanse(dc1, 'snapshot', 'inspect', file('s.snap'))
  assert.match(inspected, /^ ID +1-\d+-\d+\n Size +\d+\n Index +\d+\n Term +1\n Version +1\n\n Type +Count +Size\n/)
  assert.match(inspected, /\n KVS +1 +\d+B\n/)

  await dc1.put('k', 'after')
  await dc1.put('new', 'x')
  await dc1.client.expect('PUT', '/v1/agent/service/register', { body: { Name: 'registered-after' } })
  const before = await leafOf(dc1, 'one')
  const asked = await dc1.client.expect('GET', '/v1/kv/k')
  const gone = await dc1.client.expect('GET', '/v1/kv/new')
  const waiting = ['k', 'new', 'never'].map((key) =>
    dc1.client.request('GET', `/v1/kv/${key}`, { query: { index: gone.index + 1, wait: '60s' } }),
  )
  await delay(100)
  assert.equal(await hanse(dc1, 'snapshot', 'restore', file('s.snap')), 'Restored snapshot\n')
  const [k, missing, never] = await Promise.all(waiting)
  assert.deepEqual([k?.status, missing?.status, never?.status], [200, 404, 404])
  for (const answer of [k, missing, never]) assert.ok((answer?.index ?? 0) > Math.max(asked.index, gone.index))
  assert.equal(await dc1.get('k'), 'before')
  assert.equal(await rootOf(dc1), root)
  // What the agent itself knows is in the catalog again, and what signs goes on with other numbers.
  await eventually('the agent registers its service again', async () => {
    const instances = await dc1.client.json('GET', '/v1/catalog/service/registered-after')
    assert.equal((instances as unknown[]).length, 1)
  })
  const next = await leafOf(dc1, 'two')
  assert.notEqual(next.SerialNumber, before.SerialNumber)
  await dc1.put('k', 'written after')
  await readEachOther([dc1, dc2])
})

test('a secondary is saved and restored through the gateways, and catches up with its primary', async () => {
  await dc2.put('k', 'before')
  await hanse(dc1, 'snapshot', 'save', '-datacenter', 'dc2', file('dc2.snap'))
  await dc2.put('k', 'after')
  const entry = { Kind: 'service-defaults', Name: 'web', Protocol: 'http' }
  await dc1.client.json('PUT', '/v1/config', { body: entry })
  const replicated = () => dc2.client.expect('GET', '/v1/config/service-defaults/web')
  await eventually('the entry is replicated', replicated)
  assert.equal(await hanse(dc1, 'snapshot', 'restore', '-datacenter', 'dc2', file('dc2.snap')), 'Restored snapshot\n')
  assert.equal(await dc2.get('k'), 'before')
  await eventually('the entry is replicated again', replicated)
  await readEachOther([dc1, dc2])
  await leafOf(dc2, 'three')
})

test('what is no snapshot, is cut, altered or of another datacenter is refused, and nothing changes', async () => {
  await dc1.put('k', 'kept')
  const whole = readFileSync(file('s.snap'))
  copyFileSync(file('s.snap'), file('cut.snap'))
  truncateSync(file('cut.snap'), whole.length - 40)
  const altered = Buffer.from(whole)
  altered[whole.length >> 1] = (altered[whole.length >> 1] ?? 0) ^ 1
  writeFileSync(file('altered.snap'), altered)
  writeFileSync(file('text.snap'), 'not an archive')
  const cases: [string, RegExp][] = [
    ['cut.snap', /it is damaged/],
    ['altered.snap', /it is damaged|not made by Hanse/],
    ['text.snap', /failed to decompress snapshot: gzip: invalid header/],
    ['dc2.snap', /it is of datacenter "dc2" and this is "dc1"/],
    ['missing.snap', /ENOENT/],
  ]
  for (const [name, message] of cases) {
    const words = ['snapshot', 'restore', '-http-addr', `${dc1.host}:${dc1.ports.http}`, file(name)]
    const { code, output } = await bed.programs.hanse(words)
    assert.equal(code, 1)
    assert.match(output, message)
  }
  const sent = await dc1.client.request('PUT', '/v1/snapshot', { body: altered })
  assert.notEqual(sent.status, 200)
  assert.equal(await dc1.get('k'), 'kept')
})

test('a snapshot moves a datacenter to a new server, in memory or on disk, with its authority', async () => {
  const root = await rootOf(dc1)
  const { index } = await dc1.client.expect('GET', '/v1/kv/k')
  await hanse(dc1, 'snapshot', 'save', '-append-filename', 'version,dc,node,status', file('move.snap'))
  const saved = file('move-1.21.0-dc1-server-dc1-leader.snap')
  const onDisk = await bed.make({ name: 'dc1', label: 'moved' })
  onDisk.startServer()
  await onDisk.ready()
  const [http = 0, server = 0, serf_lan = 0] = await freePorts(3)
  const ports = `ports { http = ${http} server = ${server} serf_lan = ${serf_lan} serf_wan = -1 dns = -1 grpc = -1 }`
  const inMemory = bed.programs.start('server in memory', [HANSE, 'agent', '-dev', '-hcl', ports])
  await inMemory.says('serving: ')
  for (const address of [`${onDisk.host}:${onDisk.ports.http}`, `127.0.0.1:${http}`]) {
    const { code, output } = await bed.programs.hanse(['snapshot', 'restore', '-http-addr', address, saved])
    assert.equal(code, 0, output)
    const client = new HttpClient({ address })
    const answer = await client.expect('GET', '/v1/kv/k', { query: { raw: true } })
    assert.equal(answer.body.toString(), 'kept')
    assert.ok(answer.index > index, 'who knew the old server sees a lower index')
    const roots = (await client.json('GET', '/v1/agent/connect/ca/roots')) as { ActiveRootID: string }
    assert.equal(roots.ActiveRootID, root)
    client.close()
  }
  await Promise.all([onDisk.server?.stop(), inMemory.stop()])
})

test(`a server killed in the middle of a restore, ${KILLS} times, holds the old or the new, whole`, async (t) => {
  const random = seededRandom(31)
  const keys = Array.from({ length: 40 }, (_, at) => `big/${String(at).padStart(2, '0')}`)
  const fill = (value: string) => Promise.all(keys.map((key) => dc1.put(key, value.repeat(400_000))))
  await fill('n')
  await hanse(dc1, 'snapshot', 'save', file('big.snap'))
  const seen = new Map<string, number>()
  for (let kill = 0; kill < KILLS; kill++) {
    await fill('o')
    const { index } = await dc1.client.expect('GET', '/v1/kv/big/00')
    let answered = false
    const restore = dc1.client.request('PUT', '/v1/snapshot', { body: readFileSync(file('big.snap')) }).then(
      ({ status }) => {
        answered = status === 200
      },
      () => {},
    )
    // The first is cut off at once; the last not at all: what was answered is there after a kill as well.
    if (kill === KILLS - 1) await restore
    else if (kill > 0) await delay(random.int(MAX_RESTORE_MS))
    await dc1.server?.stop('SIGKILL')
    await restore
    dc1.startServer()
    await dc1.ready()
    const values = await Promise.all(keys.map((key) => dc1.get(key)))
    const found = new Set(values.map((value) => `${value[0]}${value.length}`))
    assert.equal(found.size, 1, `a mixture: ${[...found]}`)
    for (const one of found) seen.set(one, (seen.get(one) ?? 0) + 1)
    assert.ok(!answered || found.has('n400000'), 'an answered restore is gone')
    assert.ok((await dc1.client.expect('GET', '/v1/kv/big/00')).index >= index, 'the index went back')
  }
  t.diagnostic([...seen].map(([what, times]) => `${times} times ${what}`).join(', '))
  assert.equal(seen.size, 2)
})
