/**
 * Transactions: every verb and how it fails, all or nothing, who may do what, and bytes that are none.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { globalManagementPolicy } from '#acl'
import { HanseError, seededRandom, systemClock, systemRandom } from '#base'
import {
  ACLPolicy,
  ACLToken,
  DirEntry,
  encode,
  HealthCheck,
  Node,
  NodeService,
  Session,
  type TxnError,
  TxnOp,
  TxnReadRequest,
  TxnRequest,
  type TxnResult,
} from '#codec'
import { seedAcls } from './acl-bootstrap.ts'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { txn } from './index.ts'

const ROOT = 'aaaaaaaa-0000-4000-8000-00000000000a'
const SOME = 'bbbbbbbb-0000-4000-8000-00000000000b'
const SESSION = 'cccccccc-0000-4000-8000-00000000000c'
/** What the lesser token may do. */
const RULES = `
  key_prefix "mine/" { policy = "write" }
  key "seen" { policy = "read" }
  node "n1" { policy = "read" }
  service "api" { policy = "write" }
`

let all: Federation
let dc1: Datacenter

before(async () => {
  all = await federation(['dc1'], { acl: { enabled: true, defaultPolicy: 'deny' } })
  dc1 = all.of('dc1')
  await seedAcls(dc1.state, { clock: systemClock, random: systemRandom }, { primary: true, initialManagement: '' })
  await dc1.state.write((tx) => {
    tx.putAclPolicy(ACLPolicy.of({ ID: SOME, Name: 'some', Rules: RULES }))
    tx.putAclToken(ACLToken.of({ AccessorID: SOME, SecretID: SOME, Policies: [{ ID: SOME, Name: '' }] }))
    tx.putAclToken(
      ACLToken.of({ AccessorID: ROOT, SecretID: ROOT, Policies: [{ ID: globalManagementPolicy.ID, Name: '' }] }),
    )
  })
})
after(() => all.close())

/** A node with a service and its check, a session on it, and three keys, one locked. */
beforeEach(async () => {
  await dc1.state.write((tx) => tx.deleteNode('n1'))
  await dc1.state.write((tx) => tx.deleteKvTree(''))
  await dc1.state.write((tx) => {
    tx.putNode(Node.of({ Node: 'n1', Address: '10.0.0.1' }))
    tx.putService('n1', NodeService.of({ ID: 'web', Service: 'web' }))
    tx.putCheck(HealthCheck.of({ Node: 'n1', CheckID: 'c1', Name: 'c', Status: 'passing', ServiceID: 'web' }))
    tx.putSession(Session.of({ ID: SESSION, Node: 'n1', NodeChecks: ['c1'] }))
    tx.putKv(DirEntry.of({ Key: 'k', Value: Buffer.from('v'), Flags: 7 }))
    tx.putKv(DirEntry.of({ Key: 'tree/1', Value: Buffer.from('1') }))
  })
  await dc1.state.write((tx) => tx.lockKv(DirEntry.of({ Key: 'locked', Session: SESSION })))
})

interface Outcome {
  readonly results: readonly TxnResult[] | null
  readonly errors: readonly TxnError[] | null
}

async function apply(Ops: readonly TxnOp[], Token = ROOT): Promise<Outcome> {
  const { Results, Errors } = await dc1.endpoints.call(txn.apply, TxnRequest.of({ Ops, Token }))
  return { results: Results, errors: Errors }
}
async function read(Ops: readonly TxnOp[], Token = ROOT): Promise<Outcome> {
  const { Results, Errors } = await dc1.endpoints.call(txn.read, TxnReadRequest.of({ Ops, Token }))
  return { results: Results, errors: Errors }
}

const kv = (Verb: string, Key: string, more: Partial<DirEntry> = {}): TxnOp =>
  TxnOp.of({ KV: { Verb, DirEnt: DirEntry.of({ Key, ...more }) } })
const onNode = (Verb: string, Name: string, more: Partial<Node> = {}): TxnOp =>
  TxnOp.of({ Node: { Verb, Node: Node.of({ Node: Name, ...more }) } })
const onService = (Verb: string, Service: string, more: Partial<NodeService> = {}, NodeName = 'n1'): TxnOp =>
  TxnOp.of({ Service: { Verb, Node: NodeName, Service: NodeService.of({ Service, ...more }) } })
const onCheck = (Verb: string, CheckID: string, more: Partial<HealthCheck> = {}): TxnOp =>
  TxnOp.of({ Check: { Verb, Check: HealthCheck.of({ Node: 'n1', CheckID, ...more }) } })
const onSession = (Verb: string, ID: string): TxnOp => TxnOp.of({ Session: { Verb, Session: Session.of({ ID }) } })
const value = (text: string) => ({ Value: Buffer.from(text) })

const entry = (key: string) => dc1.state.read((tx) => tx.kv.get(key)).value

/** Operations on what beforeEach() made, and why each is refused. */
const REFUSED: readonly (readonly [string, TxnOp, string | RegExp])[] = [
  ['get', kv('get', 'none'), 'key "none" doesn\'t exist'],
  [
    'check-index',
    kv('check-index', 'k', { ModifyIndex: 1 }),
    /^failed index check for key "k", current modify index \d+ != 1$/,
  ],
  [
    'check-index of nothing',
    kv('check-index', 'none', { ModifyIndex: 1 }),
    'failed index check for key "none", key doesn\'t exist',
  ],
  [
    'check-session',
    kv('check-session', 'locked', { Session: 'x' }),
    `failed session check for key "locked", current session "${SESSION}" != "x"`,
  ],
  [
    'check-session of nothing',
    kv('check-session', 'none', { Session: 'x' }),
    'failed session check for key "none", key doesn\'t exist',
  ],
  ['check-not-exists', kv('check-not-exists', 'k'), 'key "k" exists'],
  ['cas', kv('cas', 'k', { ModifyIndex: 1 }), 'failed to set key "k", index is stale'],
  ['delete-cas', kv('delete-cas', 'k', { ModifyIndex: 1 }), 'failed to delete key "k", index is stale'],
  ['lock', kv('lock', 'k', { Session: 'x' }), 'invalid session "x"'],
  [
    'unlock',
    kv('unlock', 'k', { Session: SESSION }),
    'failed to unlock key "k", lock isn\'t held, or is held by another session',
  ],
  ['set without a key', kv('set', ''), 'Must provide key'],
  [
    'set of too much',
    kv('set', 'k', { Value: Buffer.alloc(524_289) }),
    'Value exceeds 524288 byte limit: it has 524289',
  ],
  ['unknown', kv('zzz', 'k'), 'unknown KV operation: zzz'],
  ['node get', onNode('get', 'n9'), 'node "n9" doesn\'t exist'],
  ['node cas', onNode('cas', 'n1', { Address: 'a', ModifyIndex: 1 }), 'failed to set node "n1", index is stale'],
  ['node delete-cas', onNode('delete-cas', 'n1', { ModifyIndex: 1 }), 'failed to delete node "n1", index is stale'],
  ['node without a name', onNode('set', ''), 'Must provide node'],
  ['node unknown', onNode('zzz', 'n1'), 'unknown Node operation: zzz'],
  ['service get', onService('get', 'db'), 'service "db" on node "n1" doesn\'t exist'],
  [
    'service cas',
    onService('cas', 'web', { ModifyIndex: 1 }),
    'failed to set service "web" on node "n1", index is stale',
  ],
  [
    'service delete-cas',
    onService('delete-cas', 'web', { ModifyIndex: 1 }),
    'failed to delete service "web" on node "n1", index is stale',
  ],
  ['service on no node', onService('set', 'web', {}, 'n9'), 'Missing node registration'],
  ['service unknown', onService('zzz', 'web'), 'unknown Service operation: zzz'],
  ['check get', onCheck('get', 'c9'), 'check "c9" on node "n1" doesn\'t exist'],
  ['check cas', onCheck('cas', 'c1', { ModifyIndex: 1 }), 'failed to set check "c1" on node "n1", index is stale'],
  [
    'check delete-cas',
    onCheck('delete-cas', 'c1', { ModifyIndex: 1 }),
    'failed to delete check "c1" on node "n1", index is stale',
  ],
  ['check of no service', onCheck('set', 'c9', { ServiceID: 'db' }), 'Missing service registration'],
  ['check unknown', onCheck('zzz', 'c1'), 'unknown Check operation: zzz'],
  ['session unknown', onSession('create', SESSION), 'unknown Session operation: create'],
  ['intention', TxnOp.of({ Intention: {} }), 'intentions are not written by transactions'],
]
const exactly = (text: string) => new RegExp(`^${text.replaceAll(/[^\w ]/g, (each) => `\\${each}`)}$`)

for (const [what, op, why] of REFUSED) {
  test(`a transaction with an operation that cannot be done (${what}) changes nothing and says why`, async () => {
    const before = dc1.state.index
    const { results, errors } = await apply([kv('set', 'other', value('x')), op, kv('set', 'third', value('y'))])
    assert.equal(results, null)
    assert.equal(errors?.length, 1)
    assert.equal(errors?.[0]?.OpIndex, 1)
    assert.match(errors?.[0]?.What ?? '', typeof why === 'string' ? exactly(why) : why)
    assert.equal(dc1.state.index, before)
    if (txn.isTxnWrite(op)) return
    assert.deepEqual((await read([kv('get', 'k'), op])).errors, errors)
  })
}

test('reads see what the transaction wrote before, and everything written has the index it was committed at', async () => {
  const { results } = await apply([
    kv('set', 'new', value('1')),
    kv('get', 'new'),
    kv('get-tree', 'tree/'),
    kv('set', 'tree/2', value('2')),
    kv('get-tree', 'tree/'),
    kv('delete', 'tree/1'),
    kv('get-or-empty', 'tree/1'),
    onNode('set', 'n2', { Address: '10.0.0.2' }),
    onService('set', 'db', { Port: 5432 }, 'n2'),
    onService('get', 'db', {}, 'n2'),
    onCheck('set', 'c2', { Node: 'n2', Name: 'c2', Status: 'passing', ServiceID: 'db' }),
  ])
  const index = dc1.state.index
  const keys = results?.map(({ KV }) => KV && [KV.Key, KV.Value?.toString() ?? null])
  assert.deepEqual(keys, [
    ['new', null],
    ['new', '1'],
    ['tree/1', '1'],
    ['tree/2', null],
    ['tree/1', '1'],
    ['tree/2', '2'],
    ['tree/1', null],
    null,
    null,
    null,
    null,
  ])
  assert.deepEqual([results?.[0]?.KV?.CreateIndex, results?.[0]?.KV?.ModifyIndex], [index, index])
  assert.deepEqual(results?.[7]?.Node, dc1.state.read((tx) => tx.nodes.get('n2')).value)
  assert.deepEqual(results?.[8]?.Service, dc1.state.read((tx) => tx.services.get('n2', 'db')).value)
  assert.deepEqual(results?.[9]?.Service, results?.[8]?.Service)
  assert.deepEqual(results?.[10]?.Check, dc1.state.read((tx) => tx.checks.get('n2', 'c2')).value)
  assert.equal(results?.[10]?.Check?.ModifyIndex, index)
  assert.ok((results?.[2]?.KV?.ModifyIndex ?? index) < index)
})

test('conditions that are met let it pass: indexes, sessions, locks', async () => {
  const [k, node, service, check] = dc1.state.read(
    (tx) => [tx.kv.get('k'), tx.nodes.get('n1'), tx.services.get('n1', 'web'), tx.checks.get('n1', 'c1')] as const,
  ).value
  const at = (known: { readonly ModifyIndex: number } | undefined) => ({ ModifyIndex: known?.ModifyIndex ?? 0 })
  const { errors, results } = await apply([
    kv('check-index', 'k', at(k)),
    kv('check-session', 'locked', { Session: SESSION }),
    kv('check-not-exists', 'none'),
    kv('cas', 'k', { ...at(k), ...value('cas') }),
    kv('cas', 'none', value('made')),
    kv('unlock', 'locked', { Session: SESSION, ...value('free') }),
    kv('lock', 'k', { Session: SESSION, ...value('mine') }),
    onNode('cas', 'n1', { ...at(node), Address: '10.9.9.9' }),
    onService('cas', 'web', { ...at(service), Port: 1 }),
    onCheck('cas', 'c1', { ...at(check), Name: 'c', Status: 'warning', ServiceID: 'web' }),
    onService('cas', 'api'),
  ])
  assert.equal(errors, null)
  assert.equal(results?.length, 10)
  assert.deepEqual([entry('k')?.Session, entry('k')?.LockIndex, entry('k')?.Value?.toString()], [SESSION, 1, 'mine'])
  assert.deepEqual([entry('locked')?.Session, entry('locked')?.Value?.toString()], ['', 'free'])
  assert.equal(dc1.state.read((tx) => tx.nodes.get('n1')).value?.Address, '10.9.9.9')
})

test('a check that turns critical, or a session that is deleted, lets locks go in the same transaction', async () => {
  await apply([onCheck('set', 'c1', { Name: 'c', Status: 'critical', ServiceID: 'web' })])
  assert.equal(entry('locked')?.Session, '')
  await dc1.state.write((tx) => {
    tx.putCheck(HealthCheck.of({ Node: 'n1', CheckID: 'c1', Status: 'passing' }))
    tx.putSession(Session.of({ ID: SESSION, Node: 'n1', NodeChecks: ['c1'] }))
    tx.lockKv(DirEntry.of({ Key: 'k', Session: SESSION }))
  })
  const { errors } = await apply([onSession('delete', SESSION), onSession('delete', 'gone')])
  assert.equal(errors, null)
  assert.equal(entry('k')?.Session, '')
  assert.equal(dc1.state.read((tx) => tx.sessions.get(SESSION)).value, undefined)
})

test('deletions show nothing, also of what is not there', async () => {
  const { errors, results } = await apply([
    kv('delete', 'none'),
    kv('delete-cas', 'none', { ModifyIndex: 9 }),
    kv('delete-tree', 'tree/'),
    onCheck('delete', 'c1'),
    onService('delete', 'web'),
    onService('delete-cas', 'none', { ModifyIndex: 9 }),
    onNode('delete', 'n1'),
    onNode('delete', 'none'),
  ])
  assert.deepEqual([errors, results], [null, []])
  assert.equal(dc1.state.read((tx) => tx.nodes.get('n1')).value, undefined)
})

test('a node is found by its ID before its name', async () => {
  const ID = '0d4f1c9e-1111-4111-8111-111111111111'
  await apply([onNode('set', 'n2', { ID, Address: '10.0.0.2' })])
  assert.equal((await read([onNode('get', 'n1', { ID })])).results?.[0]?.Node?.Node, 'n2')
  await apply([onNode('delete', '', { ID })])
  assert.equal(dc1.state.read((tx) => tx.nodes.get('n2')).value, undefined)
})

test('128 operations of each sort fit, and large trees; what does not is refused whole, in rounds it is never done', async () => {
  const names = Array.from({ length: 128 }, (_, i) => `many/${i}/x/y`)
  assert.equal((await apply(names.map((name) => kv('set', name, value('x'))))).errors, null)
  for (const verb of ['lock', 'unlock']) {
    const done = await apply(names.map((name) => kv(verb, name, { Session: SESSION })))
    assert.deepEqual([done.errors, done.results?.length], [null, 128])
  }
  const locked = dc1.state.read((tx) => tx.kv.list('many/')).value
  assert.ok(locked.every(({ LockIndex, Session }) => LockIndex === 1 && Session === ''))
  await assert.rejects(apply([...names, 'more'].map((name) => kv('get', name))), {
    code: 'TXN_TOO_LARGE',
    message: 'Transaction contains too many operations (129 > 128)',
  })
  for (const part of [0, 1]) {
    await dc1.state.write((tx) => {
      for (let i = 0; i < 600; i++) tx.putKv(DirEntry.of({ Key: `large/${part}/${i}` }))
    })
  }
  await assert.rejects(apply([kv('set', 'beside', value('x')), kv('delete-tree', 'large/')]), { status: 413 })
  assert.equal(dc1.state.read((tx) => tx.kv.keys('large/')).value.length, 1_200)
  assert.equal((await apply([kv('delete-tree', 'large/0/')])).errors, null)
  assert.equal(dc1.state.read((tx) => tx.kv.keys('large/')).value.length, 600)
  const waiting = dc1.state.read((tx) => tx.kv.get(names[0] ?? ''))
  assert.equal((await apply(names.slice(1).map((name) => kv('delete', name)))).errors, null)
  assert.equal(waiting.watch.fired, false, 'nobody else is woken')
  const gone = dc1.state.read((tx) => tx.kv.get(names[1] ?? ''))
  assert.deepEqual([gone.value, gone.index], [undefined, dc1.state.index])
})

/** What the lesser token is refused. */
const DENIED: readonly (readonly [TxnOp, string])[] = [
  [kv('set', 'k', value('x')), `'key:write' on "k"`],
  [kv('delete-tree', 'mine'), `'key:write' on "mine"`],
  [kv('lock', 'k', { Session: SESSION }), `'key:write' on "k"`],
  [kv('get', 'k'), `'key:read' on "k"`],
  [kv('get-or-empty', 'k'), `'key:read' on "k"`],
  [kv('check-not-exists', 'none'), `'key:read' on "none"`],
  [kv('check-session', 'locked', { Session: 'x' }), `'key:read' on "locked"`],
  [kv('cas', 'seen', value('x')), `'key:write' on "seen"`],
  [onNode('set', 'n1', { Address: 'a' }), `'node:write' on "n1"`],
  [onNode('delete', 'n1'), `'node:write' on "n1"`],
  [onNode('get', 'n2'), `'node:read' on "n2"`],
  [onService('set', 'web'), `'service:write' on "web"`],
  [onService('set', 'api', { ID: 'web' }), `'service:write' on "web"`],
  [onService('delete', 'api', { ID: 'web' }), `'service:write' on "web"`],
  [onService('get', 'web'), `'service:read' on "web"`],
  [onCheck('set', 'c1', { Name: 'c', ServiceID: 'web' }), `'service:write' on "web"`],
  [onCheck('set', 'c1', { Name: 'c' }), `'service:write' on "web"`],
  [onCheck('set', 'c2', { Name: 'c' }), `'node:write' on "n1"`],
  [onCheck('delete', 'c1'), `'service:write' on "web"`],
  [onCheck('get', 'c1'), `'service:read' on "web"`],
  [onSession('delete', SESSION), `'session:write' on "n1"`],
]
test('what a token may not do is refused by operation, and a refusal says nothing of the rest', async () => {
  const before = dc1.state.index
  for (const [op, permission] of DENIED) {
    const { errors } = await apply([kv('set', 'mine/x', value('x')), op, kv('get', 'mine/none')], SOME)
    const What = `Permission denied: token with AccessorID '${SOME}' lacks permission ${permission}`
    assert.deepEqual(errors, [{ OpIndex: 1, What }])
    if (!txn.isTxnWrite(op)) assert.deepEqual((await read([op], SOME)).errors, [{ OpIndex: 0, What }])
    assert.match((await apply([op], '')).errors?.[0]?.What ?? '', /^Permission denied: anonymous token/)
  }
  assert.equal(dc1.state.index, before)
  await assert.rejects(apply([kv('get', 'mine/x')], 'ffffffff-0000-4000-8000-00000000000f'), {
    message: /ACL not found/,
  })
})

test('what a token may do is done, and trees show it what it may see', async () => {
  await dc1.state.write((tx) => tx.putKv(DirEntry.of({ Key: 'seen' })))
  const { errors, results } = await apply(
    [
      kv('set', 'mine/x', value('x')),
      onService('set', 'api'),
      onCheck('set', 'c3', { Name: 'c', ServiceID: 'api' }),
      kv('get-tree', ''),
    ],
    SOME,
  )
  assert.equal(errors, null)
  assert.deepEqual(
    results?.slice(3).map(({ KV }) => KV?.Key),
    ['mine/x', 'seen'],
  )
  assert.equal((await read([onNode('get', 'n1'), kv('get', 'seen')], SOME)).results?.length, 2)
})

test('transactions that move money between keys, many at a time, never lose any', async () => {
  const accounts = ['a', 'b', 'c', 'd']
  await apply(accounts.map((name) => kv('set', `bank/${name}`, value('100'))))
  const random = seededRandom(5)
  let moved = 0
  const move = async () => {
    const [from, to] = [random.int(4), random.int(3)]
    const names = [`bank/${accounts[from]}`, `bank/${accounts[(from + 1 + to) % 4]}`]
    const before = await read(names.map((name) => kv('get', name)))
    const [one, two] = before.results?.map(({ KV }) => KV) ?? []
    if (!one || !two) throw new Error('an account is gone')
    const amount = random.int(10)
    const { errors } = await apply([
      kv('cas', one.Key, { ModifyIndex: one.ModifyIndex, ...value(String(Number(one.Value) - amount)) }),
      kv('cas', two.Key, { ModifyIndex: two.ModifyIndex, ...value(String(Number(two.Value) + amount)) }),
    ])
    if (errors === null) moved++
  }
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 6 }, move))
  const sum = dc1.state.read((tx) => tx.kv.list('bank/').reduce((total, { Value }) => total + Number(Value), 0)).value
  assert.equal(sum, 400)
  assert.ok(moved > 0)
})

test('bytes that are no transaction are refused, or answered, and nothing else breaks (fuzz)', async () => {
  const random = seededRandom(11)
  const whole = encode(TxnRequest, TxnRequest.of({ Token: ROOT, Ops: REFUSED.slice(0, 20).map(([, op]) => op) }))
  let refused = 0
  for (let round = 0; round < 600; round++) {
    const bytes = Buffer.from(whole)
    for (let flips = 1 + random.int(4); flips > 0; flips--) bytes[random.int(bytes.length)] = random.int(256)
    const cut = random.int(3) === 0 ? bytes.subarray(0, random.int(bytes.length)) : bytes
    try {
      await dc1.endpoints.handle(round % 2 === 0 ? 'Txn.Apply' : 'Txn.Read', cut, { remote: 'test' })
    } catch (error) {
      assert.ok(error instanceof HanseError, String(error))
      refused++
    }
  }
  assert.ok(refused > 100, `only ${refused} were refused`)
})
