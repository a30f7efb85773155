/** What a server's member of etcd was: read, refused by name, put aside. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { candidatesAmong, parseTag, tagOf } from './etcd-candidates.ts'
import { EtcdPlace, type EtcdRecord, parseRecord } from './etcd-record.ts'

const root = mkdtempSync(join(tmpdir(), 'hanse-etcd-record-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0
function folder(): string {
  const path = join(root, String(++folders))
  mkdirSync(path)
  return path
}

const owner = { datacenter: 'dc1', nodeId: '11111111-2222-4333-8444-555555555555', name: 's1' }
const founders = [{ name: 's1', peerUrl: 'https://10.0.0.1:2380' }]
const record: EtcdRecord = { ...owner, founding: { founders, token: 'abc' }, begun: true }

test('EtcdPlace keeps a record, for its owner only', () => {
  const directory = folder()
  const place = new EtcdPlace(directory)
  assert.equal(place.read(owner), undefined)
  place.write(record)
  assert.deepEqual(place.read(owner), record)
  assert.equal(statSync(join(directory, 'etcd.json')).mode & 0o777, 0o600)
  place.write({ ...owner, founding: undefined, begun: false })
  assert.deepEqual(place.read(owner), { ...owner, founding: undefined, begun: false })
  place.forget()
  assert.equal(place.read(owner), undefined)
})

const OTHERS = [
  { what: 'another server', differs: { name: 's2' }, says: /is of server "s1" of datacenter "dc1"/ },
  { what: 'another datacenter', differs: { datacenter: 'dc2' }, says: /is of server "s1" of datacenter "dc1"/ },
  { what: 'another node ID', differs: { nodeId: '9' }, says: /with node ID 11111111-/ },
]
for (const { what, differs, says } of OTHERS) {
  test(`EtcdPlace refuses the data of ${what} by name, and changes nothing`, () => {
    const directory = folder()
    const place = new EtcdPlace(directory)
    place.write(record)
    const before = readFileSync(join(directory, 'etcd.json'), 'utf8')
    assert.throws(() => place.read({ ...owner, ...differs }), foreign(says))
    assert.equal(readFileSync(join(directory, 'etcd.json'), 'utf8'), before)
    assert.deepEqual(readdirSync(directory), ['etcd.json'])
  })
}

test('EtcdPlace refuses data without a record, and a record that cannot be read', () => {
  const without = folder()
  mkdirSync(join(without, 'etcd', 'member'), { recursive: true })
  assert.throws(() => new EtcdPlace(without).read(owner), foreign(/it does not say whose it is/))
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"datacenter":"dc1"}',
    '{"datacenter":1,"nodeId":"a","name":"b","begun":true}',
  ]) {
    const directory = folder()
    writeFileSync(join(directory, 'etcd.json'), text)
    assert.throws(() => new EtcdPlace(directory).read(owner), foreign(/it cannot be read/), text)
  }
  const directory = folder()
  mkdirSync(join(directory, 'etcd.json'))
  assert.throws(() => new EtcdPlace(directory).read(owner), foreign(/it cannot be read/))
})

test('putAside() keeps the data under another name', () => {
  const directory = folder()
  const place = new EtcdPlace(directory)
  place.write(record)
  assert.equal(place.hasData, false)
  mkdirSync(join(place.dataDir, 'member', 'wal'), { recursive: true })
  assert.equal(place.hasData, false)
  writeFileSync(join(place.dataDir, 'member', 'wal', '0.wal'), 'x')
  assert.equal(place.hasData, true)
  place.putAside(17)
  assert.deepEqual(readdirSync(directory).sort(), ['etcd.json.old', 'etcd.removed-17'])
  assert.ok(existsSync(join(directory, 'etcd.removed-17', 'member', 'wal', '0.wal')))
  place.putAside(18)
})

test('parseRecord() takes nothing but records, whatever bytes it gets', () => {
  assert.deepEqual(parseRecord(JSON.stringify(record)), record)
  const random = seededRandom(1)
  const text = JSON.stringify(record)
  for (let at = 0; at < 2_000; at++) {
    const bytes = Buffer.from(text)
    for (let flip = 0; flip <= random.int(3); flip++) bytes[random.int(bytes.length)] = random.int(256)
    const parsed = parseRecord(bytes.toString('utf8', 0, random.int(bytes.length + 1)))
    if (parsed) for (const key of ['datacenter', 'nodeId', 'name'] as const) assert.equal(typeof parsed[key], 'string')
  }
})

test('parseTag() reads what tagOf() writes, and nothing that is none, whatever bytes it gets', () => {
  const said = {
    name: 's1',
    standing: 'waiting',
    clientUrl: 'https://[fd00::1]:2379',
    peerUrl: 'https://[fd00::1]:2380',
    nonce: 'n',
    says: 'abc',
  } as const
  assert.deepEqual(parseTag('s1', tagOf(said)), said)
  const silent = { ...said, standing: 'member', nonce: '', says: '' } as const
  assert.deepEqual(parseTag('s1', tagOf(silent)), silent)
  for (const tag of [
    '',
    'member',
    'member x 2380',
    'leader https://a:1 2',
    'member https://a 2',
    'member https://a:1/x 2',
    'member https://a:1 x',
  ]) {
    assert.equal(parseTag('s1', tag), undefined, tag)
  }
  const random = seededRandom(2)
  for (let at = 0; at < 2_000; at++) {
    const bytes = Buffer.from(tagOf(said))
    for (let flip = 0; flip <= random.int(3); flip++) bytes[random.int(bytes.length)] = random.int(256)
    const parsed = parseTag('s1', bytes.toString())
    if (parsed) assert.match(parsed.peerUrl, /^https?:\/\/[^/,]+:\d{1,5}$/)
  }
})

test('candidatesAmong() leaves out who is gone, no server, of another datacenter or silent about etcd', () => {
  const tags = { role: 'consul', dc: 'dc1', etcd: 'member https://a:1 2 n' }
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 4 }
  const member = { name: 's1', address: '10.0.0.1', port: 8301, status: 'alive', tags, ...versions } as const
  assert.deepEqual(
    candidatesAmong([member], 'dc1').map(({ name }) => name),
    ['s1'],
  )
  const none = [
    { ...member, status: 'failed' },
    { ...member, status: 'left' },
    { ...member, tags: { ...tags, role: 'node' } },
    { ...member, tags: { ...tags, dc: 'dc2' } },
    { ...member, tags: { role: 'consul', dc: 'dc1' } },
  ] as const
  assert.deepEqual(candidatesAmong(none, 'dc1'), [])
})

function foreign(says: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof HanseError)
    assert.equal(error.code, 'ETCD_FOREIGN')
    assert.match(error.message, says)
    assert.match(error.message, /; nothing was changed$/)
    return true
  }
}
