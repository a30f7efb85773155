/** Snapshots of a datacenter: who may, what is refused with nothing changed, how many at a time, and by the wire. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { duplexPair, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { globalManagementPolicy } from '#acl'
import { ManualClock, silentLogger, systemClock, systemRandom } from '#base'
import { ACLToken, DirEntry, decode, encode, SNAPSHOT_OP, SnapshotRequest, SnapshotResponse } from '#codec'
import { readLed, writeLed } from '#net'
import { encodeRecords, metaOf, readArchive, type SnapshotMeta, type SnapshotRecord, writeArchive } from '#snapshot'
import { seedAcls } from './acl-bootstrap.ts'
import { type Federation, federation } from './fixture.ts'
import { IDLE_MS } from './snapshot-run.ts'
import { serveSnapshot } from './snapshot-stream.ts'
import { MAX_SNAPSHOTS } from './snapshots.ts'

const RIGHT = 'aaaaaaaa-0000-4000-8000-00000000000a'
const NARROW = 'bbbbbbbb-0000-4000-8000-00000000000b'

let world: Federation

before(async () => {
  world = await federation(['dc1', 'dc2'], { acl: { enabled: true, defaultPolicy: 'deny' } })
  const { state } = world.of('dc1')
  await seedAcls(state, { clock: systemClock, random: systemRandom }, { primary: true, initialManagement: '' })
  await state.write((tx) => {
    const Policies = [{ ID: globalManagementPolicy.ID, Name: '' }]
    tx.putAclToken(ACLToken.of({ AccessorID: RIGHT, SecretID: RIGHT, Policies }))
    tx.putAclToken(ACLToken.of({ AccessorID: NARROW, SecretID: NARROW }))
  })
  await put('dc2', 'of', 'dc2')
})

after(() => world.close())

const put = (dc: string, key: string, value: string) =>
  world.of(dc).state.write((tx) => tx.putKv(DirEntry.of({ Key: key, Value: Buffer.from(value) })))
const get = (dc: string, key: string) =>
  world
    .of(dc)
    .state.read((tx) => tx.kv.get(key))
    .value?.Value?.toString()

const options = (datacenter = '', token = RIGHT) => ({ datacenter, token })

async function saved(from: string, datacenter = ''): Promise<{ index: number; bytes: Buffer }> {
  const { index, archive } = await world.of(from).endpoints.snapshots.save(options(datacenter))
  return { index, bytes: await buffer(archive) }
}

function archiveOf(records: readonly SnapshotRecord[], change: Partial<SnapshotMeta> = {}): Promise<Buffer> {
  const state = encodeRecords(records)
  const facts = { Index: 5, Size: state.length, Schema: 1, Datacenter: 'dc1', Records: records.length }
  const sum = createHash('sha256').update(state).digest('hex')
  const chunks = async function* () {
    yield state
  }
  return buffer(writeArchive({ ...metaOf(facts, 0), ...change }, { chunks, sum }, 0, () => {}))
}

test('save() and restore() take a datacenter back to where it was, and its index on', async () => {
  await put('dc1', 'k', 'before')
  const { index, bytes } = await saved('dc1')
  const meta = await readArchive(Readable.from([bytes]))
  assert.equal(meta.Index, index)
  assert.equal(meta.Datacenter, 'dc1')
  await put('dc1', 'k', 'after')
  await put('dc1', 'more', 'x')
  const shown = world.of('dc1').state.index
  await world.of('dc1').endpoints.snapshots.restore(options(), Readable.from([bytes]))
  assert.deepEqual([get('dc1', 'k'), get('dc1', 'more')], ['before', undefined])
  assert.ok(world.of('dc1').state.index > shown)
})

test('who may not manage ACLs may neither save nor restore', async () => {
  const { snapshots } = world.of('dc1').endpoints
  const text =
    "Permission denied: anonymous token lacks permission 'acl:write'. The anonymous token is used implicitly when a request does not specify a token."
  await assert.rejects(snapshots.save(options('', '')), { code: 'PERMISSION_DENIED', status: 403, message: text })
  await assert.rejects(snapshots.save(options('', NARROW)), { code: 'PERMISSION_DENIED' })
  await assert.rejects(snapshots.restore(options('', NARROW), Readable.from([])), { code: 'PERMISSION_DENIED' })
  await assert.rejects(snapshots.save(options('', 'unknown')), { code: 'ACL_NOT_FOUND' })
})

test('restore() refuses what is no snapshot of this datacenter and version, and nothing is changed', async () => {
  await put('dc1', 'kept', 'yes')
  const { bytes } = await saved('dc1')
  const { bytes: other } = await saved('dc2')
  const flipped = Buffer.from(bytes)
  const middle = Math.floor(flipped.length / 2)
  flipped[middle] = (flipped[middle] ?? 0) ^ 0x10
  const header = (text: string) => [{ key: 'meta/state', value: Buffer.from(text) }]
  const cases: [string, Buffer, string | RegExp][] = [
    ['no archive', Buffer.from('not an archive'), 'SNAPSHOT_NO_ARCHIVE'],
    ['cut', bytes.subarray(0, bytes.length - 20), 'SNAPSHOT_DAMAGED'],
    ['altered', flipped, /^SNAPSHOT_/],
    ['of another datacenter', other, 'SNAPSHOT_OF_ANOTHER_DATACENTER'],
    ['of a newer schema', await archiveOf([], { Schema: 2 }), 'SNAPSHOT_NEWER'],
    ['of a newer schema inside', await archiveOf(header('{"schema":2,"indexBase":0}')), 'SNAPSHOT_UNREADABLE'],
    ['with a header that is none', await archiveOf(header('{}')), 'SNAPSHOT_UNREADABLE'],
    [
      'with a record that is none',
      await archiveOf([{ key: 'kv/a', value: Buffer.from([0xc1]) }]),
      'SNAPSHOT_UNREADABLE',
    ],
  ]
  const { index } = world.of('dc1').state
  for (const [what, archive, code] of cases) {
    const refusal = world.of('dc1').endpoints.snapshots.restore(options(), Readable.from([archive]))
    await assert.rejects(refusal, (error: { code: string }) => {
      if (typeof code === 'string') assert.equal(error.code, code, what)
      else assert.match(error.code, code, what)
      return true
    })
  }
  assert.equal(world.of('dc1').state.index, index)
  assert.equal(get('dc1', 'kept'), 'yes')
})

test('a snapshot of another datacenter is saved, and restored, there', async () => {
  await put('dc2', 'there', '1')
  const { index, bytes } = await saved('dc1', 'dc2')
  assert.equal((await readArchive(Readable.from([bytes]))).Datacenter, 'dc2')
  assert.equal(index, world.of('dc2').state.index)
  await put('dc2', 'there', '2')
  await world.of('dc1').endpoints.snapshots.restore(options('dc2'), Readable.from([bytes]))
  assert.equal(get('dc2', 'there'), '1')
  const { snapshots } = world.of('dc1').endpoints
  await assert.rejects(snapshots.save(options('dc2', NARROW)), { code: 'REMOTE_REFUSED', message: /lacks permission/ })
  const wrong = snapshots.restore(options('dc2'), Readable.from([Buffer.from('x'.repeat(200_000))]))
  await assert.rejects(wrong, { code: 'REMOTE_ERROR', message: /gzip: invalid header/ })
  await assert.rejects(snapshots.save(options('dc9')), { code: 'NO_PATH_TO_DATACENTER' })
})

test('no more snapshots than MAX_SNAPSHOTS are at work, and each that ends makes room', async () => {
  const { snapshots } = world.of('dc1').endpoints
  const stuck = Array.from({ length: MAX_SNAPSHOTS }, () => new Readable({ read() {} }))
  for (const source of stuck) source.on('error', () => {})
  const running = stuck.map((source) => snapshots.restore(options(), source))
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(snapshots.save(options()), { code: 'SNAPSHOT_BUSY', status: 429 })
  for (const source of stuck) source.destroy(new Error('the sender has gone'))
  for (const each of await Promise.allSettled(running)) assert.equal(each.status, 'rejected')
  for (let round = 0; round < MAX_SNAPSHOTS + 2; round++) {
    const { archive } = await snapshots.save(options())
    archive.destroy()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await saved('dc1')
})

test('a sender that stands still is given up', async () => {
  const clock = new ManualClock()
  const still = await federation(['dc1'], { clock })
  const restoring = still.of('dc1').endpoints.snapshots.restore(options(), new Readable({ read() {} }))
  let over = false
  const refused = assert.rejects(restoring, { code: 'SNAPSHOT_DAMAGED', message: /stood still/ }).finally(() => {
    over = true
  })
  // The file on disk is opened first.
  while (!over) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    clock.advance(IDLE_MS)
  }
  await refused
  await still.close()
})

test('the stream of another server is answered as recorded, and refused in words', async () => {
  const ask = async (request: Buffer, body?: AsyncIterable<Uint8Array>) => {
    const [ours, theirs] = duplexPair()
    const serving = serveSnapshot(world.of('dc1').endpoints.snapshots, theirs, silentLogger)
    await writeLed(ours, request, body)
    const { lead, rest } = await readLed(ours)
    const answer = { reply: decode(SnapshotResponse, lead), lead, bytes: await buffer(Readable.from(rest)) }
    await serving
    return answer
  }
  const asked = SnapshotRequest.of({ Datacenter: 'dc1', Op: SNAPSHOT_OP.save, Token: RIGHT })
  const { reply, lead, bytes } = await ask(encode(SnapshotRequest, asked))
  assert.deepEqual([reply.Error, reply.Index], ['', world.of('dc1').state.index])
  assert.match(lead.toString('latin1'), /Backend.*ConsistencyLevel.*Error.*Index.*KnownLeader/s)
  assert.match(gunzipSync(bytes).toString('latin1'), /^meta\.json\0/)
  const recorded = Buffer.from('84aa416c6c6f775374616c65c2aa4461746163656e746572a3646331a24f7000a5546f6b656ea0', 'hex')
  assert.match((await ask(recorded)).reply.Error, /^Permission denied: anonymous token/)
  const unknown = encode(SnapshotRequest, { ...asked, Op: 7 })
  assert.match((await ask(unknown)).reply.Error, /unrecognized snapshot op/)
  const [ours, theirs] = duplexPair()
  ours.end(Buffer.from([0xc1]))
  await serveSnapshot(world.of('dc1').endpoints.snapshots, theirs, silentLogger)
  assert.ok(theirs.destroyed)
})
