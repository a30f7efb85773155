/** Archives: what is written is read, and whatever is cut, altered, too large or of another kind is refused by name. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { HanseError, seededRandom } from '#base'
import { readArchive } from './archive-reader.ts'
import { writeArchive } from './archive-writer.ts'
import { MAX_RECORD_BYTES, MAX_RECORD_KEY_BYTES } from './limits.ts'
import { encodeMeta, metaOf, type SnapshotMeta } from './meta.ts'
import { encodeRecords, RecordReader, type SnapshotRecord } from './records.ts'
import { Spool } from './spool.ts'
import { BLOCK_BYTES, END_OF_ARCHIVE, paddingOf, tarHeader } from './tar.ts'

const record = (key: string, value: string | Buffer): SnapshotRecord => ({ key, value: Buffer.from(value) })
const RECORDS = [record('kv/a', 'one'), record('kv/b\0é', ''), record('meta/state', '{}'), record('nodes/x', '\xff\0')]

async function* once(bytes: Buffer, pieceBytes = bytes.length || 1): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

function metaFor(records: readonly SnapshotRecord[], change: Partial<SnapshotMeta> = {}): SnapshotMeta {
  const facts = {
    Index: 56,
    Schema: 1,
    Datacenter: 'dc1',
    Records: records.length,
    Size: encodeRecords(records).length,
  }
  return { ...metaOf(facts, 1795423163429), ...change }
}

async function archiveOf(records: readonly SnapshotRecord[]): Promise<Buffer> {
  const state = encodeRecords(records)
  const sum = createHash('sha256').update(state).digest('hex')
  const ended = Promise.withResolvers<void>()
  const archive = await buffer(
    writeArchive(metaFor(records), { chunks: () => once(state, 7), sum }, 1795423163429, ended.resolve),
  )
  await ended.promise
  return archive
}

async function read(bytes: Buffer, pieceBytes?: number) {
  const records: SnapshotRecord[] = []
  const onState = (_: Buffer, more: readonly SnapshotRecord[]) => {
    records.push(...more.map(({ key, value }) => ({ key, value: Buffer.from(value) })))
  }
  return { meta: await readArchive(once(bytes, pieceBytes), { onState }), records }
}

/** An archive of any files, with sums that fit unless others are given. */
function tarOf(files: readonly (readonly [name: string, content: Buffer | string])[], change?: (tar: Buffer) => void) {
  const parts = files.flatMap(([name, content]) => {
    const bytes = Buffer.from(content)
    return [tarHeader(name, bytes.length, 0), bytes, Buffer.alloc(paddingOf(bytes.length))]
  })
  const tar = Buffer.concat([...parts, END_OF_ARCHIVE])
  change?.(tar)
  return gzipSync(tar)
}

const sha = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')

function filesOf(meta: Buffer | string, state: Buffer | string) {
  const sums = `${sha(meta)}  meta.json\n${sha(state)}  state.bin\n`
  return [['meta.json', meta] as const, ['state.bin', state] as const, ['SHA256SUMS', sums] as const]
}

const codeOfRead = (bytes: Buffer) =>
  read(bytes).then(
    () => 'read',
    (error: unknown) => (error instanceof HanseError ? error.code : `no code: ${error}`),
  )

test('readArchive() gives what writeArchive() was given, in pieces of any length', async () => {
  const archive = await archiveOf(RECORDS)
  for (const pieceBytes of [1, 13, 512, archive.length]) {
    assert.deepEqual(await read(archive, pieceBytes), { meta: metaFor(RECORDS), records: RECORDS })
  }
  assert.deepEqual((await read(await archiveOf([]))).records, [])
})

test('an archive is one that tar and sha256sum read and find right', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hanse-archive-'))
  try {
    writeFileSync(join(directory, 's.snap'), await archiveOf(RECORDS))
    execFileSync('tar', ['-xzf', 's.snap'], { cwd: directory })
    const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: directory, encoding: 'utf8' })
    assert.equal(checked, 'meta.json: OK\nstate.bin: OK\n')
    assert.equal(JSON.parse(readFileSync(join(directory, 'meta.json'), 'utf8')).ID, '1-56-1795423163429')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('readArchive() refuses an archive that is cut anywhere', async () => {
  const archive = await archiveOf(RECORDS)
  for (let length = 0; length < archive.length; length++) {
    const code = await codeOfRead(archive.subarray(0, length))
    assert.ok(['SNAPSHOT_DAMAGED', 'SNAPSHOT_NO_ARCHIVE'].includes(code), `${length}: ${code}`)
  }
  const tar = gunzipSync(archive)
  for (let length = 0; length < tar.length - BLOCK_BYTES; length += 64) {
    assert.equal(await codeOfRead(gzipSync(tar.subarray(0, length))), 'SNAPSHOT_DAMAGED', `tar of ${length}`)
  }
})

test('readArchive() refuses an archive with any bit flipped, or reads the same (fuzz)', async () => {
  const archive = await archiveOf(RECORDS)
  const tar = gunzipSync(archive)
  const random = seededRandom(11)
  const outcomes = new Map<string, number>()
  for (let round = 0; round < 1500; round++) {
    const inner = round % 3 > 0
    const bytes = Buffer.from(inner ? tar : archive)
    const at = random.int(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8))
    const code = await codeOfRead(inner ? gzipSync(bytes) : bytes)
    outcomes.set(code, (outcomes.get(code) ?? 0) + 1)
    if (code === 'read') {
      const { meta, records } = await read(inner ? gzipSync(bytes) : bytes)
      assert.deepEqual(records, RECORDS, `flip at ${at}`)
      assert.deepEqual(meta, metaFor(RECORDS))
    } else assert.match(code, /^SNAPSHOT_/, `flip at ${at}: ${code}`)
  }
  assert.ok((outcomes.get('SNAPSHOT_DAMAGED') ?? 0) > 500)
})

test('readArchive() survives any bytes (fuzz)', async () => {
  const random = seededRandom(12)
  for (let round = 0; round < 400; round++) {
    const noise = Buffer.from(random.bytes(random.int(3000)))
    const code = await codeOfRead(round % 2 === 0 ? noise : gzipSync(noise))
    assert.match(code, /^SNAPSHOT_/)
  }
})

test('readArchive() names what is wrong with an archive whose sums fit', async () => {
  const meta = encodeMeta(metaFor(RECORDS))
  const state = encodeRecords(RECORDS)
  const withMeta = (change: object) => JSON.stringify({ ...JSON.parse(meta.toString()), ...change })
  const consul = '{"Version":1,"ID":"2-56-1795423163429","Index":56,"Term":2,"Size":4}'
  const frame = (keyBytes: number, valueBytes: number) => {
    const head = Buffer.alloc(8)
    head.writeUInt32BE(keyBytes, 0)
    head.writeUInt32BE(valueBytes, 4)
    return Buffer.concat([head, Buffer.from('kv/a')])
  }
  const states = (bytes: Buffer, Records = 1) => tarOf(filesOf(withMeta({ Size: bytes.length, Records }), bytes))
  const cases: [string, Buffer, string][] = [
    ['text', Buffer.from('not an archive'), 'SNAPSHOT_NO_ARCHIVE'],
    ['nothing', Buffer.alloc(0), 'SNAPSHOT_DAMAGED'],
    ['gzip of text', gzipSync('x'.repeat(2000)), 'SNAPSHOT_FOREIGN'],
    ['of Consul', tarOf(filesOf(consul, 'abcd')), 'SNAPSHOT_FOREIGN'],
    ['no files', tarOf([]), 'SNAPSHOT_FOREIGN'],
    ['another order', tarOf([...filesOf(meta, state)].reverse()), 'SNAPSHOT_FOREIGN'],
    ['a path', tarOf([['../meta.json', meta]]), 'SNAPSHOT_FOREIGN'],
    ['an absolute path', tarOf([['/etc/passwd', meta]]), 'SNAPSHOT_FOREIGN'],
    ['one more file', tarOf([...filesOf(meta, state), ['more', 'x']]), 'SNAPSHOT_DAMAGED'],
    ['a file twice', tarOf([...filesOf(meta, state), ['meta.json', meta]]), 'SNAPSHOT_DAMAGED'],
    ['bytes behind', Buffer.concat([tarOf(filesOf(meta, state)), Buffer.from('more')]), 'SNAPSHOT_DAMAGED'],
    ['other sums', tarOf([...filesOf(meta, state).slice(0, 2), ['SHA256SUMS', 'x']]), 'SNAPSHOT_DAMAGED'],
    ['a newer version', tarOf(filesOf(withMeta({ Version: 2 }), state)), 'SNAPSHOT_NEWER'],
    ['no JSON', tarOf(filesOf('{', state)), 'SNAPSHOT_DAMAGED'],
    ['JSON of null', tarOf(filesOf('null', state)), 'SNAPSHOT_DAMAGED'],
    ['a negative index', tarOf(filesOf(withMeta({ Index: -1 }), state)), 'SNAPSHOT_DAMAGED'],
    ['another size', tarOf(filesOf(withMeta({ Size: 1 }), state)), 'SNAPSHOT_DAMAGED'],
    ['fewer records', tarOf(filesOf(withMeta({ Records: 5 }), state)), 'SNAPSHOT_DAMAGED'],
    ['a huge meta', tarOf([['meta.json', ' '.repeat(70_000)]]), 'SNAPSHOT_TOO_LARGE'],
    ['a huge key', states(frame(MAX_RECORD_KEY_BYTES + 1, 0)), 'SNAPSHOT_DAMAGED'],
    ['no key', states(frame(0, 4)), 'SNAPSHOT_DAMAGED'],
    ['a huge value', states(frame(4, 0xffffffff)), 'SNAPSHOT_DAMAGED'],
    ['a cut value', states(frame(4, 1)), 'SNAPSHOT_DAMAGED'],
    ['a key twice', states(Buffer.concat([frame(4, 0), frame(4, 0)]), 2), 'SNAPSHOT_DAMAGED'],
    ['keys out of order', states(encodeRecords([record('b', ''), record('a', '')]), 2), 'SNAPSHOT_DAMAGED'],
    [
      'a key that is no text',
      states(Buffer.concat([frame(4, 0).subarray(0, 8), Buffer.from([0xff, 0xfe, 0xfd, 0xfc])])),
      'SNAPSHOT_DAMAGED',
    ],
  ]
  for (const [what, bytes, code] of cases) assert.equal(await codeOfRead(bytes), code, what)
  const linked = tarOf(filesOf(meta, state), (tar) => {
    const header = tarHeader('meta.json', meta.length, 0)
    header[156] = '2'.charCodeAt(0)
    header.fill(' ', 148, 156)
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    )
    header.copy(tar)
  })
  assert.equal(await codeOfRead(linked), 'SNAPSHOT_FOREIGN', 'a link')
})

test('a header that says more than the limit is refused before anything is read', async () => {
  const huge = tarOf(filesOf(encodeMeta(metaFor(RECORDS)), encodeRecords(RECORDS)), (tar) => {
    const at = BLOCK_BYTES + BLOCK_BYTES
    tarHeader('state.bin', 0o77777777777, 0).copy(tar, at)
  })
  assert.equal(await codeOfRead(huge), 'SNAPSHOT_DAMAGED')
})

test('RecordReader takes a record as large as the store does, and none larger', () => {
  const key = 'k'.repeat(MAX_RECORD_KEY_BYTES)
  const largest = record(key, Buffer.alloc(MAX_RECORD_BYTES - MAX_RECORD_KEY_BYTES))
  assert.equal(new RecordReader().push(encodeRecords([largest])).length, 1)
  const larger = record(key, Buffer.alloc(MAX_RECORD_BYTES - MAX_RECORD_KEY_BYTES + 1))
  assert.throws(() => new RecordReader().push(encodeRecords([larger])), { code: 'SNAPSHOT_DAMAGED' })
})

test('a spool has no name, and names its directory when that cannot be written', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hanse-spool-'))
  try {
    const spool = await Spool.open(directory)
    assert.deepEqual(readdirSync(directory), [])
    spool.writeNow(Buffer.from('one '))
    await spool.write(Buffer.from('two'))
    assert.equal(spool.bytes, 7)
    assert.equal(String(await buffer(spool.read())), 'one two')
    await spool.close()
    await assert.rejects(Spool.open(join(directory, 'missing')), { code: 'SNAPSHOT_NO_SPACE', message: /missing/ })
  } finally {
    rmSync(directory, { recursive: true })
  }
})
