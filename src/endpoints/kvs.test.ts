/**
 * The key/value store beyond the transcript: conditions, limits, prefixes.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { DirEntry } from '#codec'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { kvs } from './index.ts'

let all: Federation
let dc1: Datacenter
before(async () => {
  all = await federation(['dc1'])
  dc1 = all.of('dc1')
})
after(() => all.close())

function apply(Op: string, entry: Partial<DirEntry>): Promise<boolean> {
  return dc1.endpoints.call(kvs.apply, kvs.apply.args.of({ Op, DirEnt: DirEntry.of(entry) }))
}
const value = (text: string) => ({ Value: Buffer.from(text) })

async function entry(Key: string): Promise<DirEntry | undefined> {
  return (await dc1.endpoints.call(kvs.get, kvs.get.args.of({ Key }))).Entries?.[0]
}

async function keys(Prefix: string, Seperator = ''): Promise<readonly string[] | null> {
  return (await dc1.endpoints.call(kvs.listKeys, kvs.listKeys.args.of({ Prefix, Seperator }))).Keys
}

test('cas and delete-cas write only where the index is the one given; 0 is a key that is not there', async () => {
  assert.equal(await apply('cas', { Key: 'c', ...value('1') }), true)
  const first = await entry('c')
  assert.ok(first)
  assert.equal(await apply('cas', { Key: 'c', ...value('2') }), false)
  assert.equal(await apply('cas', { Key: 'c', ModifyIndex: first.ModifyIndex, ...value('3') }), true)
  const second = await entry('c')
  assert.equal(second?.Value?.toString(), '3')
  assert.equal(second?.CreateIndex, first.CreateIndex)
  assert.equal(await apply('delete-cas', { Key: 'c', ModifyIndex: first.ModifyIndex }), false)
  assert.equal(await apply('delete-cas', { Key: 'c', ModifyIndex: second?.ModifyIndex ?? 0 }), true)
  assert.equal(await apply('delete-cas', { Key: 'c', ModifyIndex: 5 }), true, 'nothing is left to delete')
})

test('of many cas writers of one key exactly one wins', async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) => apply('cas', { Key: 'race', ...value(`${i}`) })),
  )
  assert.equal(results.filter((won) => won).length, 1)
  assert.equal((await entry('race'))?.Value?.toString(), String(results.indexOf(true)))
})

test('delete-tree takes a prefix of any size and nothing else', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => apply('set', { Key: `tree/${i}`, ...value('x') })))
  await apply('set', { Key: 'tree', ...value('stays') })
  await apply('delete-tree', { Key: 'tree/' })
  assert.deepEqual(await keys('tree'), ['tree'])
})

test('listKeys cuts at the separator, each result once', async () => {
  for (const Key of ['d/a', 'd/b/1', 'd/b/2', 'd/c']) await apply('set', { Key })
  assert.deepEqual(await keys('d/', '/'), ['d/a', 'd/b/', 'd/c'])
  assert.deepEqual(await keys('d', '/'), ['d/'])
  assert.equal(await keys('none/'), null)
})

test('the flags of a key keep all 64 bits', async () => {
  await apply('set', { Key: 'flags', Flags: 18_446_744_073_709_551_615n })
  assert.equal((await entry('flags'))?.Flags, 18_446_744_073_709_551_615n)
})

test('a missing key can be waited for, and its deletion too', async () => {
  const { Index } = await dc1.endpoints.call(kvs.get, kvs.get.args.of({ Key: 'w' }))
  const coming = dc1.endpoints.call(kvs.get, kvs.get.args.of({ Key: 'w', MinQueryIndex: Index }))
  await apply('set', { Key: 'w', ...value('here') })
  const there = await coming
  assert.equal(there.Entries?.[0]?.Value?.toString(), 'here')
  const going = dc1.endpoints.call(kvs.get, kvs.get.args.of({ Key: 'w', MinQueryIndex: there.Index }))
  await apply('delete', { Key: 'w' })
  const gone = await going
  assert.equal(gone.Entries, null)
  assert.ok(gone.Index > there.Index)
})

test('writes that cannot be done are refused by name and change nothing', async () => {
  const before = dc1.state.index
  await assert.rejects(apply('set', { Key: '' }), { message: 'Must provide key' })
  await assert.rejects(apply('nope', { Key: 'k' }), { message: 'Invalid KVS operation "nope"' })
  await assert.rejects(apply('toString', { Key: 'k' }), { message: 'Invalid KVS operation "toString"' })
  await assert.rejects(apply('lock', { Key: 'k', Session: 's' }), {
    message: 'raft apply failed: invalid session "s"',
  })
  for (const Op of ['lock', 'unlock']) {
    await assert.rejects(apply(Op, { Key: 'k' }), { message: 'raft apply failed: missing session' })
  }
  await assert.rejects(apply('set', { Key: 'k'.repeat(16_384) }), { code: 'KEY_TOO_LONG' })
  await assert.rejects(apply('set', { Key: 'k', Value: Buffer.alloc(512 * 1024 + 1) }), { code: 'VALUE_TOO_LARGE' })
  assert.equal(dc1.state.index, before)
  await apply('set', { Key: 'k'.repeat(16_320), ...value('long') })
  await apply('set', { Key: 'k', Value: Buffer.alloc(512 * 1024) })
})
