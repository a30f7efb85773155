/** `hanse snapshot`: files as recorded from the real program's, readable for their owner only, and refused in words. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { encodeRecords, metaOf, type SnapshotRecord, writeArchive } from '#snapshot'
import { runCommand } from './test-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-cli-snapshot-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string) => join(folder, name)

/** Length of both lengths before a record. */
const FRAME_BYTES = 8

/** A record that takes so many bytes in all. */
function sized(key: string, bytes: number): SnapshotRecord {
  return { key, value: Buffer.alloc(bytes - FRAME_BYTES - Buffer.byteLength(key)) }
}

function archiveOf(records: readonly SnapshotRecord[]): Promise<Buffer> {
  const sorted = [...records].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  const state = encodeRecords(sorted)
  const facts = { Index: 56, Size: state.length, Schema: 1, Datacenter: 'dc1', Records: records.length }
  const sum = createHash('sha256').update(state).digest('hex')
  const chunks = async function* () {
    yield state
  }
  return buffer(writeArchive(metaOf(facts, 1795423163429), { chunks, sum }, 0, () => {}))
}

const RECORDS = [
  sized('nodes/n', 2_000),
  sized('services/n\0s', 3_861),
  sized('checks/n\0c', 1_000),
  sized('connect-ca-roots/only', 1_231),
  sized('acl-tokens/a', 600),
  sized('acl-tokens/b', 628),
  sized('meta/guard/001', 1_024),
  sized('config-entries/k\0n', 839),
  sized('meta/state', 292),
  sized('kv/z', 69),
  sized('meta/left/all', 70),
  sized('later-table/x', 40),
]

const META = ` ID           1-56-1795423163429
 Size         11654
 Index        56
 Term         1
 Version      1
`

const TYPES = `
 Type                Count      Size
 ----                ----       ----
 Register            3          6.7KB
 ConnectCA           1          1.2KB
 ACLToken            2          1.2KB
 Index               1          1KB
 ConfigEntry         1          839B
 SystemMetadata      1          292B
 Tombstone           1          70B
 KVS                 1          69B
 later-table         1          40B
 ----                ----       ----
 Total                          11.4KB
`

const KEYS = `
 Key Name      Count      Size
 ----          ----       ----
 z             1          69B
 ----          ----       ----
 Total                    69B
`

test('snapshot inspect prints what the real program prints, by type and by key', async () => {
  writeFileSync(file('s.snap'), await archiveOf(RECORDS))
  const inspect = async (...words: string[]) => {
    const { status, both } = await runCommand(['snapshot', 'inspect', ...words, file('s.snap')])
    assert.equal(status, 0, both)
    return both
  }
  assert.equal(await inspect(), META + TYPES)
  assert.equal(await inspect('-kvdetails'), META + TYPES + KEYS)
  const json = JSON.parse(await inspect('-format', 'json', '-kvdetails'))
  assert.deepEqual(json.Meta, { ID: '1-56-1795423163429', Size: 11654, Index: 56, Term: 1, Version: 1 })
  assert.deepEqual(json.Stats[0], { Name: 'Register', Sum: 6861, Count: 3 })
  assert.deepEqual([json.StatsKV, json.TotalSize, json.TotalSizeKV], [[{ Name: 'z', Sum: 69, Count: 1 }], 11654, 69])
})

test('snapshot inspect gathers keys by depth and prefix', async () => {
  const keys = ['a/b/c', 'a/b/d', 'a/e', 'f', 'a/b/c/g']
  writeFileSync(file('kv.snap'), await archiveOf(keys.map((key) => sized(`kv/${key}`, 100))))
  const rows = async (...words: string[]) => {
    const { both } = await runCommand(['snapshot', 'inspect', '-kvdetails', ...words, file('kv.snap')])
    return (both.split('Key Name')[1] ?? '').split('\n').slice(2, -3)
  }
  assert.deepEqual(await rows(), [
    ' a/b           3          300B',
    ' a/e           1          100B',
    ' f             1          100B',
  ])
  assert.deepEqual(await rows('-kvdepth', '1'), [' a             4          400B', ' f             1          100B'])
  assert.deepEqual(await rows('-kvdepth', '3', '-kvfilter', 'a/b/'), [
    ' a/b/c         2          200B',
    ' a/b/d         1          100B',
  ])
})

test('snapshot decode names what it cannot read, and prints nothing of a file that is damaged at its end', async () => {
  writeFileSync(file('d.snap'), await archiveOf([sized('kv/z', 69), sized('later-table/x', 40)]))
  const { status, stdout, stderr } = await runCommand(['snapshot', 'decode', file('d.snap')])
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ Type, Data }) => [Type, Data.Key, Data.Bytes]),
    [
      ['SnapshotHeader', undefined, undefined],
      ['KVS', 'kv/z', 57],
      ['later-table', 'later-table/x', 19],
    ],
  )
  assert.match(lines[1].Data.Problem, /"z"/)
  assert.deepEqual(
    [status, stderr],
    [1, 'Records that this version of Hanse cannot read: 1; see "Problem" in their data\n'],
  )
  const bytes = await archiveOf(RECORDS)
  writeFileSync(file('cut.snap'), bytes.subarray(0, bytes.length - 20))
  const cut = await runCommand(['snapshot', 'decode', file('cut.snap')])
  assert.deepEqual([cut.status, cut.stdout], [1, ''])
  assert.match(cut.stderr, /it is damaged/)
})

test('snapshot save writes a checked file that only its owner may read, over an older one too', async () => {
  const archive = await archiveOf(RECORDS)
  writeFileSync(file('saved.snap'), 'an older one', { mode: 0o644 })
  const answers = { 'GET /v1/snapshot': { body: archive, headers: { 'X-Consul-Index': '56' } } }
  const { status, both } = await runCommand(['snapshot', 'save', file('saved.snap')], { answers })
  assert.equal(both, 'Saved and verified snapshot to index 56\n')
  assert.equal(status, 0)
  assert.ok(readFileSync(file('saved.snap')).equals(archive))
  assert.equal(statSync(file('saved.snap')).mode & 0o777, 0o600)
})

test('snapshot save names the file by version, datacenter, node and role', async () => {
  const self = {
    Config: { Datacenter: 'dc1', NodeName: 's1', Version: '1.21.0' },
    Stats: { consul: { leader: 'true' } },
  }
  const answers = {
    'GET /v1/agent/self': { body: self },
    'GET /v1/snapshot': { body: await archiveOf(RECORDS), headers: { 'X-Consul-Index': '56' } },
  }
  const words = ['snapshot', 'save', '-append-filename', 'version,dc,node,status', file('long.snap')]
  assert.equal((await runCommand(words, { answers })).status, 0)
  assert.ok(existsSync(file('long-1.21.0-dc1-s1-leader.snap')))
  const wrong = await runCommand(['snapshot', 'save', '-append-filename', 'color', file('x.snap')], { answers })
  assert.match(wrong.stderr, /"color" is not version, dc, node, status/)
})

test('snapshot save leaves no file behind when there is none to have', async () => {
  const before = readdirSync(folder)
  const denied = "Permission denied: anonymous token lacks permission 'acl:write'."
  const whole = await archiveOf(RECORDS)
  const cases = [
    [
      { status: 403, body: denied },
      /^Error saving snapshot: Unexpected response code: 403 \(Permission denied: .*'acl:write'/,
    ],
    [{ body: whole.subarray(0, -30) }, /^Error saving snapshot: Cannot read snapshot: it is damaged, it is cut/],
    [{ body: 'hello' }, /^Error saving snapshot: failed to decompress snapshot: gzip: invalid header/],
  ] as const
  for (const [answer, message] of cases) {
    const { status, stderr } = await runCommand(['snapshot', 'save', file('none.snap')], {
      answers: { 'GET /v1/snapshot': answer },
    })
    assert.equal(status, 1)
    assert.match(stderr, message)
  }
  const nowhere = await runCommand(['snapshot', 'save', join(folder, 'no', 'x.snap')], {
    answers: { 'GET /v1/snapshot': { body: whole } },
  })
  assert.match(nowhere.stderr, /^Write ".*x\.snap": ENOENT/)
  assert.deepEqual(readdirSync(folder), before)
})

test('snapshot restore sends a whole file, and one that is none not at all', async () => {
  writeFileSync(file('whole.snap'), await archiveOf(RECORDS))
  writeFileSync(file('none.snap'), 'not an archive')
  const answers = { 'PUT /v1/snapshot?dc=dc2': {} }
  const done = await runCommand(['snapshot', 'restore', '-datacenter', 'dc2', file('whole.snap')], { answers })
  assert.deepEqual([done.status, done.both], [0, 'Restored snapshot\n'])
  assert.deepEqual(
    done.asked.map(({ line }) => line),
    ['PUT /v1/snapshot?dc=dc2'],
  )
  const refused = await runCommand(['snapshot', 'restore', file('none.snap')], { answers })
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /failed to decompress snapshot: gzip: invalid header/)
  assert.equal(refused.asked.length, 0)
  const missing = await runCommand(['snapshot', 'inspect', file('missing.snap')])
  assert.match(missing.stderr, /^Read ".*missing\.snap": ENOENT/)
})
