/**
 * Sessions and the locks they hold: what makes them, what ends them, and what is left then.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { systemClock, systemRandom } from '#base'
import {
  ACLPolicy,
  ACLToken,
  DeregisterRequest,
  DirEntry,
  HealthCheck,
  Node,
  NodeService,
  RegisterRequest,
  Session,
  SessionRequest,
  SessionSpecificRequest,
} from '#codec'
import { seedAcls } from './acl-bootstrap.ts'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { catalog, kvs, session } from './index.ts'

let all: Federation
let dc1: Datacenter
let node = ''
let nodes = 0

before(async () => {
  all = await federation(['dc1'])
  dc1 = all.of('dc1')
})
after(() => all.close())

/** Each test has a node of its own: alive, with a service that has a check. */
beforeEach(async () => {
  node = `n${++nodes}`
  await check('serfHealth', 'passing')
  await register({ Service: NodeService.of({ ID: 'web', Service: 'web' }) })
  await check('web-check', 'warning', 'web')
})

async function register(more: Partial<RegisterRequest>): Promise<void> {
  await dc1.endpoints.call(catalog.register, RegisterRequest.of({ Node: node, Address: '10.0.0.1', ...more }))
}
const check = (CheckID: string, Status: string, ServiceID = '') =>
  register({ Check: HealthCheck.of({ CheckID, Name: CheckID, Status, ServiceID }) })
const deregister = (more: Partial<DeregisterRequest>) =>
  dc1.endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: node, ...more }))

function apply(Op: string, given: Partial<Session>): Promise<string> {
  return dc1.endpoints.call(session.apply, SessionRequest.of({ Op, Session: Session.of(given) }))
}
const create = (given: Partial<Session> = {}) => apply('create', { Node: node, NodeChecks: ['serfHealth'], ...given })

async function read(SessionID: string): Promise<Session | undefined> {
  return (await dc1.endpoints.call(session.get, SessionSpecificRequest.of({ SessionID }))).Sessions?.[0]
}

function kv(Op: string, Key: string, Session: string, value = 'v'): Promise<boolean> {
  const DirEnt = DirEntry.of({ Key: `${node}/${Key}`, Session, Value: Buffer.from(value) })
  return dc1.endpoints.call(kvs.apply, kvs.apply.args.of({ Op, DirEnt }))
}
async function entry(Key: string): Promise<DirEntry | undefined> {
  return (await dc1.endpoints.call(kvs.get, kvs.get.args.of({ Key: `${node}/${Key}` }))).Entries?.[0]
}

test('a session is refused with the words that clients know', async () => {
  const refusals: readonly (readonly [Partial<Session>, string])[] = [
    [{ Node: '' }, 'Must provide Node'],
    [{ Node: 'ghost' }, 'apply failed: Missing node registration'],
    [{ NodeChecks: ['nope'] }, "apply failed: Missing check 'nope' registration"],
    [{ ServiceChecks: [{ ID: 'nope', Namespace: '' }] }, "apply failed: Missing check 'nope' registration"],
    [{ Checks: ['nope'] }, "apply failed: Missing check 'nope' registration"],
    [{ Behavior: 'zzz' }, "Invalid Behavior setting 'zzz'"],
    [{ TTL: '5s' }, "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]"],
    [{ TTL: '25h' }, "Invalid Session TTL '90000000000000', must be between [10s=24h0m0s]"],
    [{ TTL: '10' }, 'Session TTL \'10\' invalid: time: invalid duration "10"'],
    [{ LockDelay: -1 }, "Invalid LockDelay '-1', must not be negative"],
    [{ Name: 'n'.repeat(1025) }, 'Cannot create session: its name has more than 1024 bytes'],
    [
      { NodeChecks: Array.from({ length: 65 }, () => 'serfHealth') },
      'Cannot create session: it has 65 checks and the limit is 64',
    ],
  ]
  for (const [given, message] of refusals) await assert.rejects(create(given), { message })
  await assert.rejects(apply('renew', { Node: node }), { message: 'Invalid session operation "renew"' })
  await assert.rejects(apply('destroy', {}), { message: 'Must provide ID' })
  await check('serfHealth', 'critical')
  await assert.rejects(create(), { message: "apply failed: Check 'serfHealth' is in critical state" })
  assert.equal((await dc1.endpoints.call(session.list, SessionSpecificRequest.of())).Sessions, null)
})

test('the shortest TTL is that of session_ttl_min, and the refusal names it', async (context) => {
  const strict = await federation(['dc1'], { minSessionTtlMs: 1_500 })
  context.after(() => strict.close())
  const { endpoints } = strict.of('dc1')
  await endpoints.call(catalog.register, RegisterRequest.of({ Node: 'n', Address: '10.0.0.1' }))
  const make = (TTL: string) =>
    endpoints.call(session.apply, SessionRequest.of({ Op: 'create', Session: Session.of({ Node: 'n', TTL }) }))
  assert.notEqual(await make('1500ms'), '')
  await assert.rejects(make('1499ms'), {
    message: "Invalid Session TTL '1499000000', must be between [1.5s=24h0m0s]",
  })
})

test('a session is shown as it was made, in lists too, whatever the case of the names that ask', async () => {
  const ID = await create({ Name: 'mine', LockDelay: 1e9, TTL: '10s', Node: node.toUpperCase() })
  const shown = await read(ID.toUpperCase())
  assert.deepEqual(
    { ...shown, CreateIndex: 0, ModifyIndex: 0 },
    Session.of({
      ID,
      Name: 'mine',
      Node: node,
      Behavior: 'release',
      LockDelay: 1e9,
      TTL: '10s',
      NodeChecks: ['serfHealth'],
    }),
  )
  const args = session.nodeSessions.args.of({ Node: node.toUpperCase() })
  assert.deepEqual((await dc1.endpoints.call(session.nodeSessions, args)).Sessions, [shown])
  assert.equal((await read(await create({ LockDelay: 90e9 })))?.LockDelay, 60e9, 'longest delay')
  assert.equal((await read(await create({ TTL: '0s' })))?.TTL, '', 'no TTL')
})

test('a renewal shows the session, moves no index and wakes nobody who waits for it', async () => {
  const SessionID = await create({ TTL: '10s' })
  const before = await dc1.endpoints.call(session.get, SessionSpecificRequest.of({ SessionID }))
  const watched = dc1.state.read((tx) => tx.sessions.all())
  const renewed = await dc1.endpoints.call(session.renew, SessionSpecificRequest.of({ SessionID }))
  assert.deepEqual(renewed.Sessions, before.Sessions)
  assert.equal(watched.watch.fired, false)
  const gone = await dc1.endpoints.call(session.renew, SessionSpecificRequest.of({ SessionID: 'gone' }))
  assert.equal(gone.Sessions, null)
})

test('one holder at a time: acquired again by the holder, refused to others, released by the holder only', async () => {
  const [one, two] = [await create(), await create()]
  assert.equal(await kv('lock', 'k', one, 'first'), true)
  assert.equal(await kv('lock', 'k', one, 'again'), true)
  assert.equal(await kv('lock', 'k', two), false)
  assert.deepEqual(shownLock(await entry('k')), { value: 'again', session: one, lockIndex: 1 })
  assert.equal(await kv('unlock', 'k', two), false)
  assert.equal(await kv('unlock', 'k', one, 'bye'), true)
  assert.deepEqual(shownLock(await entry('k')), { value: 'bye', session: '', lockIndex: 1 })
  assert.equal(await kv('unlock', 'k', one), false, 'held by nobody')
  assert.equal(await kv('unlock', 'none', one), false, 'not there')
  assert.equal(await kv('lock', 'k', two), true, 'a lock that was given back has no delay')
  assert.equal((await entry('k'))?.LockIndex, 2)
})

function shownLock(found: DirEntry | undefined) {
  return { value: found?.Value?.toString(), session: found?.Session, lockIndex: found?.LockIndex }
}

test('locks are advisory: anyone may set, cas or delete a locked key; it stays locked but where it is deleted', async () => {
  const id = await create()
  await kv('lock', 'k', id)
  await kv('set', 'k', 'a session that is ignored', 'set')
  assert.deepEqual(shownLock(await entry('k')), { value: 'set', session: id, lockIndex: 1 })
  const known = await entry('k')
  const DirEnt = DirEntry.of({ Key: `${node}/k`, Value: Buffer.from('cas'), ModifyIndex: known?.ModifyIndex ?? 0 })
  assert.equal(await dc1.endpoints.call(kvs.apply, kvs.apply.args.of({ Op: 'cas', DirEnt })), true)
  assert.deepEqual(shownLock(await entry('k')), { value: 'cas', session: id, lockIndex: 1 })
  await kv('delete', 'k', '')
  assert.equal(await entry('k'), undefined)
  assert.equal(await kv('lock', 'k', id), true)
  assert.equal((await entry('k'))?.LockIndex, 1)
})

/** What ends a session with these checks, and what does not. */
const ENDS: readonly (readonly [string, Partial<Session>, () => Promise<unknown>, boolean])[] = [
  ['its check turns critical', {}, () => check('serfHealth', 'critical'), true],
  ['its check warns', {}, () => check('serfHealth', 'warning'), false],
  ['another check turns critical', {}, () => check('web-check', 'critical', 'web'), false],
  ['its check is deregistered', {}, () => deregister({ CheckID: 'serfHealth' }), true],
  ['its node is deregistered', { NodeChecks: null }, () => deregister({}), true],
  [
    'its service check turns critical',
    { ServiceChecks: [{ ID: 'web-check', Namespace: '' }] },
    () => check('web-check', 'critical', 'web'),
    true,
  ],
  ['the service of its check is deregistered', { Checks: ['web-check'] }, () => deregister({ ServiceID: 'web' }), true],
  ['another service is deregistered', {}, () => deregister({ ServiceID: 'web' }), false],
]
for (const [what, given, happen, ends] of ENDS) {
  test(`when ${what}, a session ${ends ? 'ends and lets its locks go' : 'lives on'}`, async () => {
    const id = await create({ LockDelay: 0, ...given })
    await kv('lock', 'k', id)
    const waiting = dc1.state.read((tx) => tx.kv.get(`${node}/k`))
    await happen()
    assert.equal((await read(id)) === undefined, ends)
    assert.equal((await entry('k'))?.Session, ends ? '' : id)
    assert.equal(waiting.watch.fired, ends)
  })
}

test('with behavior "delete" the keys of an ended session go', async () => {
  const id = await create({ Behavior: 'delete' })
  await kv('lock', 'k', id)
  await kv('set', 'other', '')
  await apply('destroy', { ID: id })
  assert.equal(await entry('k'), undefined)
  assert.ok(await entry('other'))
  await apply('destroy', { ID: id })
})

test('a lock that an ended session held cannot be taken until its delay is over; one it had given back can', async () => {
  const [id, next] = [await create({ LockDelay: 15e9 }), await create()]
  await kv('lock', 'held', id)
  await kv('lock', 'back', id)
  await kv('unlock', 'back', id)
  await apply('destroy', { ID: id })
  assert.equal(await kv('lock', 'back', next), true)
  assert.equal(await kv('lock', 'held', next), false)
  assert.equal(await kv('set', 'held', ''), false, 'writing it is not locking it')
  await dc1.state.write((tx) => tx.deleteLockDelay(`${node}/held`))
  assert.equal(await kv('lock', 'held', next), true)
})

test('a session with more locks than a transaction holds ends with all of them', async () => {
  for (const Behavior of ['release', 'delete']) {
    const id = await create({ Behavior })
    const names = Array.from({ length: 200 }, (_, i) => `${Behavior}/${i}`)
    await Promise.all(names.map((name) => kv('lock', name, id)))
    await check('serfHealth', 'critical')
    await check('serfHealth', 'passing')
    assert.equal(await read(id), undefined)
    const left = dc1.state.read((tx) => tx.kv.list(`${node}/${Behavior}/`)).value
    assert.equal(left.length, Behavior === 'release' ? names.length : 0)
    assert.ok(left.every(({ Session }) => Session === ''))
    assert.equal(
      dc1.state.read((tx) => tx.lockDelays.get(`${node}/${Behavior}/7`)).value,
      undefined,
      'no delay was asked for',
    )
  }
})

test('a node with more sessions than a transaction holds is deregistered with all of them', async () => {
  await Promise.all(Array.from({ length: 150 }, () => create({ TTL: '10s' })))
  await deregister({})
  const args = session.nodeSessions.args.of({ Node: node })
  assert.equal((await dc1.endpoints.call(session.nodeSessions, args)).Sessions, null)
  assert.deepEqual(dc1.state.read((tx) => tx.nodes.get(node)).value, undefined)
})

test('a session is made, renewed and destroyed with session:write on its node, and seen with session:read', async (t) => {
  const guarded = await federation(['dc1'], { acl: { enabled: true, defaultPolicy: 'deny' } })
  t.after(() => guarded.close())
  const { endpoints, state } = guarded.of('dc1')
  await seedAcls(state, { clock: systemClock, random: systemRandom }, { primary: true, initialManagement: '' })
  const [writer, reader] = ['aaaaaaaa-0000-4000-8000-00000000000a', 'bbbbbbbb-0000-4000-8000-00000000000b']
  await state.write((tx) => {
    for (const [id, policy] of [
      [writer, 'write'],
      [reader, 'read'],
    ] as const) {
      tx.putAclPolicy(ACLPolicy.of({ ID: id, Name: policy, Rules: `session "n1" { policy = "${policy}" }` }))
      tx.putAclToken(ACLToken.of({ AccessorID: id, SecretID: id, Policies: [{ ID: id, Name: '' }] }))
    }
    for (const name of ['n1', 'n2']) tx.putNode(Node.of({ Node: name, Address: '10.0.0.1' }))
    tx.putSession(Session.of({ ID: 'theirs', Node: 'n2' }))
  })
  const ask = (Op: string, given: Partial<Session>, Token: string) =>
    endpoints.call(session.apply, SessionRequest.of({ Op, Session: Session.of(given), Token }))
  const SessionID = await ask('create', { Node: 'n1' }, writer)
  const renew = (id: string, Token: string) =>
    endpoints.call(session.renew, SessionSpecificRequest.of({ SessionID: id, Token }))
  const denied = { code: 'PERMISSION_DENIED', message: /'session:write' on "n[12]"/ }
  await assert.rejects(ask('create', { Node: 'n2' }, writer), denied)
  await assert.rejects(ask('destroy', { ID: 'theirs' }, writer), denied)
  await assert.rejects(renew('theirs', writer), denied)
  for (const token of [reader, '']) {
    await assert.rejects(ask('create', { Node: 'n1' }, token), denied)
    await assert.rejects(ask('destroy', { ID: SessionID }, token), denied)
    await assert.rejects(renew(SessionID, token), denied)
  }
  for (const [token, seen] of [
    [writer, 1],
    [reader, 1],
    ['', 0],
  ] as const) {
    for (const operation of [session.list, session.get]) {
      const reply = await endpoints.call(operation, SessionSpecificRequest.of({ SessionID, Token: token }))
      assert.equal(reply.Sessions?.length ?? 0, seen)
    }
    const of = session.nodeSessions.args.of({ Node: 'n2', Token: token })
    assert.equal((await endpoints.call(session.nodeSessions, of)).Sessions, null)
  }
  await assert.rejects(renew(SessionID, 'cccccccc-0000-4000-8000-00000000000c'), { message: /ACL not found/ })
  assert.equal((await renew(SessionID, writer)).Sessions?.length, 1)
  await ask('destroy', { ID: SessionID }, writer)
  assert.deepEqual(
    state.read((tx) => tx.sessions.all()).value.map(({ ID }) => ID),
    ['theirs'],
  )
})
