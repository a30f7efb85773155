/**
 * The one way in: routing, hops, waiting, cancelling, and what comes from the wire, between two datacenters.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { DirEntry, decode, encode, NodeService, QuerySource } from '#codec'
import { UnknownMethodError } from '#net'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { allOperations, catalog, federationState, health, kvs, status } from './index.ts'

let both: Federation
let dc1: Datacenter
let dc2: Datacenter

before(async () => {
  both = await federation(['dc1', 'dc2'])
  dc1 = both.of('dc1')
  dc2 = both.of('dc2')
})
after(() => both.close())

interface HandMade {
  readonly method: string
  readonly request_body_hex: string
  readonly response_header: { readonly Error: string }
}

const NS_PER_S = 1_000_000_000

function register(where: Datacenter, service: string, Datacenter = ''): Promise<unknown> {
  const Service = NodeService.of({ Service: service, Port: 80 })
  const args = catalog.register.args.of({ Datacenter, Node: `${service}-node`, Address: '192.0.2.1', Service })
  return where.endpoints.call(catalog.register, args)
}

async function instances(where: Datacenter, service: string, asked: object = {}) {
  return where.endpoints.call(health.serviceNodes, health.serviceNodes.args.of({ ServiceName: service, ...asked }))
}

function put(where: Datacenter, key: string, value: string, Datacenter = ''): Promise<boolean> {
  const DirEnt = DirEntry.of({ Key: key, Value: Buffer.from(value) })
  return where.endpoints.call(kvs.apply, kvs.apply.args.of({ Op: 'set', Datacenter, DirEnt }))
}

test('allOperations has every operation once, by its wire name', () => {
  const names = allOperations.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.every((name) => /^[A-Z]\w+\.[A-Z]\w+$/.test(name)))
  assert.ok(names.length >= 80)
})

test('call() goes to the datacenter that Datacenter names, and to this one when it is empty or its own', async () => {
  await register(dc1, 'web', 'dc2')
  assert.equal((await instances(dc1, 'web')).Nodes?.length, 0)
  assert.equal((await instances(dc1, 'web', { Datacenter: 'dc1' })).Nodes?.length, 0)
  const there = await instances(dc1, 'web', { Datacenter: 'dc2' })
  assert.equal(there.Nodes?.[0]?.Node?.Datacenter, 'dc2')
  assert.deepEqual(there, await instances(dc2, 'web'))
})

test('call() to a datacenter that nobody knows says what clients match on', async () => {
  await assert.rejects(instances(dc1, 'web', { Datacenter: 'dc9' }), { message: 'No path to datacenter' })
  await assert.rejects(register(dc1, 'web', 'dc9'), { code: 'NO_PATH_TO_DATACENTER' })
})

test('an error of another datacenter gets the prefix of its hop and keeps its text', async () => {
  await assert.rejects(instances(dc1, '', { Datacenter: 'dc2' }), {
    code: 'REMOTE_ERROR',
    message: 'rpc error making call: Must provide service name',
  })
  const args = encode(health.serviceNodes.args, health.serviceNodes.args.of({ Datacenter: 'dc9', ServiceName: 'x' }))
  await assert.rejects(dc1.endpoints.handle('Health.ServiceNodes', args, { remote: 'test' }), {
    message: 'No path to datacenter',
  })
})

test('the time limit of a call to another datacenter covers the wait that it asks for', async () => {
  const limits: number[] = []
  for (const asked of [
    {},
    { MinQueryIndex: 1, MaxQueryTime: 16 * NS_PER_S },
    { MinQueryIndex: 1 },
    { MinQueryIndex: 1, MaxQueryTime: 3600 * NS_PER_S },
  ]) {
    await instances(dc1, 'web', { Datacenter: 'dc2', ...asked })
    limits.push(dc1.sent.at(-1)?.timeoutMs ?? 0)
  }
  assert.deepEqual(limits, [60_000, 24_000, 325_750, 644_500])
})

test('operations of the primary run there, whatever datacenter they name', async () => {
  const State = { Datacenter: 'dc2', MeshGateways: null, UpdatedAt: '2024-05-06T07:08:09Z' }
  const shape = federationState.apply.args
  const full = decode(shape, encode(shape, shape.of({ Op: 'upsert', Datacenter: 'dc2', State: stateOf(State) })))
  assert.equal(await dc2.endpoints.call(federationState.apply, full), true)
  assert.equal(dc2.sent.at(-1)?.datacenter, 'dc1')
  const list = await dc1.endpoints.call(federationState.list, federationState.list.args.of())
  assert.equal(list.States?.[0]?.UpdatedAt, '2024-05-06T07:08:09Z')
  assert.equal(list.States?.[0]?.PrimaryModifyIndex, list.Index)
  assert.deepEqual((await dc2.endpoints.call(federationState.list, federationState.list.args.of())).States, [])
})

function stateOf(given: object) {
  const empty = {
    Datacenter: '',
    MeshGateways: null,
    UpdatedAt: '',
    PrimaryModifyIndex: 0,
    CreateIndex: 0,
    ModifyIndex: 0,
  }
  return { ...empty, ...given }
}

test('FederationState.Get asks TargetDatacenter for the state of Datacenter', async () => {
  const shape = federationState.get.args
  const here = await dc2.endpoints.call(federationState.get, shape.of({ Datacenter: 'dc2' }))
  assert.equal(here.State, null)
  const asked = shape.of({ Datacenter: 'dc2', TargetDatacenter: 'dc1' })
  assert.equal((await dc2.endpoints.call(federationState.get, asked)).State?.Datacenter, 'dc2')
  const other = shape.of({ Datacenter: 'dc1', TargetDatacenter: 'dc1' })
  assert.equal((await dc2.endpoints.call(federationState.get, other)).State, null)
})

test('operations that run here are never forwarded', async () => {
  const before = dc1.sent.length
  assert.deepEqual(await dc1.endpoints.call(catalog.listDatacenters, catalog.listDatacenters.args.of()), ['dc1', 'dc2'])
  await dc1.endpoints.call(status.ping, status.ping.args.of({ Datacenter: 'dc2' }))
  assert.equal(dc1.sent.length, before)
  assert.equal(await dc1.endpoints.call(status.leader, status.leader.args.of({ Datacenter: 'dc2' })), '127.0.0.1:8300')
  assert.equal(dc1.sent.length, before + 1)
})

test('a blocking read wakes for its own change and not for another', async () => {
  const { Index } = await instances(dc1, 'sleeper')
  let woken = false
  const waiting = instances(dc1, 'sleeper', { MinQueryIndex: Math.max(Index, dc1.state.index) })
  waiting.then(() => {
    woken = true
  })
  await register(dc1, 'someone-else')
  assert.equal(woken, false)
  await register(dc1, 'sleeper')
  const answer = await waiting
  assert.equal(answer.Nodes?.length, 1)
  assert.ok(answer.Index > Index)
  assert.equal(answer.KnownLeader, true)
  assert.equal(answer.LastContact, 0)
})

test('a blocking read of another datacenter waits there and is woken there', async () => {
  await register(dc2, 'far')
  const { Index } = await instances(dc1, 'far', { Datacenter: 'dc2' })
  const waiting = instances(dc1, 'far', { Datacenter: 'dc2', MinQueryIndex: Index })
  const Service = NodeService.of({ ID: 'second', Service: 'far', Port: 81 })
  const args = catalog.register.args.of({ Node: 'other-node', Address: '192.0.2.2', Service })
  await dc2.endpoints.call(catalog.register, args)
  assert.equal((await waiting).Nodes?.length, 2)
})

test('a blocking read gives the same answer again when its time is over', async () => {
  const now = await instances(dc1, 'web')
  const later = await instances(dc1, 'web', { MinQueryIndex: 1_000_000, MaxQueryTime: 1000 })
  assert.equal(later, now)
})

test('waitMs() takes the default, the cap and a sixteenth of jitter', () => {
  const within = (ms: number, from: number) => assert.ok(ms >= from && ms <= (from * 17) / 16, `${ms} for ${from}`)
  within(dc1.endpoints.waitMs(0), 300_000)
  within(dc1.endpoints.waitMs(10 * NS_PER_S), 10_000)
  within(dc1.endpoints.waitMs(10_000 * NS_PER_S), 600_000)
})

test('a blocking read ends with its caller, here and in another datacenter', async () => {
  for (const Datacenter of ['dc1', 'dc2']) {
    const caller = new AbortController()
    const args = health.serviceNodes.args.of({ ServiceName: 'nobody', Datacenter, MinQueryIndex: 1_000_000 })
    const waiting = dc1.endpoints.call(health.serviceNodes, args, { signal: caller.signal })
    setImmediate(() => caller.abort())
    await assert.rejects(waiting, /the caller has gone/)
  }
})

test('a consistent read sees every write that was answered before it', async () => {
  await put(dc1, 'consistent', 'yes')
  const args = kvs.get.args.of({ Key: 'consistent', RequireConsistent: true })
  assert.equal(dc1.endpoints.live(kvs.get, args), undefined)
  assert.equal((await dc1.endpoints.call(kvs.get, args)).Entries?.[0]?.Value?.toString(), 'yes')
})

test('followers of a storm of writes miss nothing: indexes only grow and the last state arrives', async () => {
  const LAST = 'last'
  const follow = async (Key: string): Promise<void> => {
    let index = 0
    for (;;) {
      const args = kvs.get.args.of({ Key, MinQueryIndex: index, MaxQueryTime: 20 * NS_PER_S })
      const reply = await dc1.endpoints.call(kvs.get, args)
      assert.ok(reply.Index > index, `${Key}: ${reply.Index} after ${index}`)
      index = reply.Index
      if (reply.Entries?.[0]?.Value?.toString() === LAST) return
    }
  }
  const keys = ['storm/a', 'storm/b', 'storm/c']
  const followers = keys.flatMap((key) => Array.from({ length: 20 }, () => follow(key)))
  for (let round = 0; round < 50; round++) await Promise.all(keys.map((key) => put(dc1, key, String(round))))
  await Promise.all(keys.map((key) => put(dc1, key, LAST)))
  await Promise.all(followers)
})

test('live() shares one answer between callers that differ only in how they ask', async () => {
  const shape = catalog.listServices.args
  const plain = dc1.endpoints.live(catalog.listServices, shape.of())
  const Source = QuerySource.of({ Datacenter: 'dc1', Ip: '192.0.2.77' })
  const stale = shape.of({ AllowStale: true, Datacenter: 'dc1', Token: 'x', Source })
  assert.ok(plain)
  assert.equal(dc1.endpoints.live(catalog.listServices, stale), plain)
  assert.notEqual(dc1.endpoints.live(catalog.listServices, shape.of({ NodeMetaFilters: { a: 'b' } })), plain)
  assert.equal(dc1.endpoints.live(catalog.listServices, shape.of({ Datacenter: 'dc2' })), undefined)
  const near = catalog.listNodes.args.of({ Source: QuerySource.of({ Datacenter: 'dc1', Node: 'n' }) })
  assert.equal(dc1.endpoints.live(catalog.listNodes, near), undefined, 'distances change without an index')
  await register(dc1, 'brand-new')
  assert.equal(plain.fired, true)
  const next = dc1.endpoints.live(catalog.listServices, stale)
  assert.ok(next && next.index > plain.index)
  assert.deepEqual(next.reply.Services?.['brand-new'], [])
})

test('live().next() wakes with the answer that all others get too', async () => {
  const args = kvs.list.args.of({ Key: 'live/' })
  const live = dc1.endpoints.live(kvs.list, args)
  assert.ok(live)
  const waiting = [live.next(live.index, { timeoutMs: 60_000 }), live.next(live.index, { timeoutMs: 60_000 })]
  await put(dc1, 'live/a', '1')
  const [first, second] = await Promise.all(waiting)
  assert.equal(first, second)
  assert.equal(first?.reply.Entries?.length, 1)
})

test('waiters above the limit are refused', async () => {
  const small = await federation(['dc1'], { limits: { parkedWaiters: 1 } })
  const alone = small.of('dc1')
  const caller = new AbortController()
  const args = kvs.get.args.of({ Key: 'k', MinQueryIndex: 1_000_000 })
  const parked = alone.endpoints.call(kvs.get, args, { signal: caller.signal })
  await assert.rejects(alone.endpoints.call(kvs.get, args), { code: 'TOO_MANY_WAITERS', status: 429 })
  caller.abort()
  await assert.rejects(parked)
  await small.close()
})

test('handle() names what it does not serve as the wire does', async () => {
  const handle = (method: string) => dc1.endpoints.handle(method, Buffer.from([0x80]), { remote: 'test' })
  await assert.rejects(handle('Nope.Nope'), { message: "rpc: can't find service Nope.Nope" })
  await assert.rejects(handle('Catalog.Nope'), { message: "rpc: can't find method Catalog.Nope" })
  await assert.rejects(handle('Nope'), UnknownMethodError)
})

test('handle() answers the recorded hand-made mistakes with the recorded words', async () => {
  const url = new URL('../../test/vectors/rpc-cross-dc-2.json', import.meta.url)
  const { hand_made: calls }: { hand_made: HandMade[] } = JSON.parse(readFileSync(url, 'utf8'))
  const mistakes = calls.filter(
    ({ method, response_header: { Error: text } }) => method === 'Health.ServiceNodes' && text,
  )
  assert.equal(mistakes.length, 3)
  for (const { method, request_body_hex: hex, response_header } of mistakes) {
    const handled = dc1.endpoints.handle(method, Buffer.from(hex, 'hex'), { remote: 'test' })
    await assert.rejects(handled, { message: response_header.Error })
  }
})

test('handle() serves operations that other parts bring', async () => {
  const echo = { ...status.ping, name: 'Hanse.Echo' }
  const alone = await federation(['dc1'], { operations: [echo] })
  const reply = await alone.of('dc1').endpoints.handle('Hanse.Echo', Buffer.from([0x80]), { remote: 'test' })
  assert.deepEqual([...reply], [0x80])
  await alone.close()
})

test('handle() passes a call for a third datacenter on', async () => {
  const args = encode(
    kvs.apply.args,
    kvs.apply.args.of({
      Op: 'set',
      Datacenter: 'dc2',
      DirEnt: DirEntry.of({ Key: 'through', Value: Buffer.from('v') }),
    }),
  )
  const reply = await dc1.endpoints.handle('KVS.Apply', args, { remote: 'test' })
  assert.deepEqual([...reply], [0xc2], 'false: a plain write meets no condition')
  const there = await dc2.endpoints.call(kvs.get, kvs.get.args.of({ Key: 'through' }))
  assert.equal(there.Entries?.[0]?.Value?.toString(), 'v')
})
