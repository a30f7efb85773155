/**
 * Subscriptions over real tables: snapshot, changes, rights, other datacenters, and requests that are refused.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock, seededRandom, systemClock, systemRandom } from '#base'
import {
  ACLPolicy,
  ACLToken,
  CheckServiceNodeMessage,
  EventBatch,
  HEALTH_OP,
  HealthCheck,
  Node,
  NodeService,
  SubscribeEvent,
  SubscribeRequest,
} from '#codec'
import { GrpcError } from '#net'
import { seedAcls } from './acl-bootstrap.ts'
import { type Datacenter, type FederationOptions, federation } from './fixture.ts'
import { MAX_BATCH_BYTES, SUBSCRIBE_PATH, serveSubscription } from './subscribe.ts'

const NOTHING = SubscribeRequest.decode(new Uint8Array())
const NAMED = { Key: 'web', Namespace: '', Partition: '', PeerName: '' }
const WEB: Partial<SubscribeRequest> = { Topic: 1, NamedSubject: NAMED }

async function datacenter(context: TestContext, options: FederationOptions = {}): Promise<Datacenter> {
  const all = await federation(['dc1', 'dc2'], options)
  context.after(() => all.close())
  return all.of('dc1')
}

/** One subscription: what it says, as short text, message by message. */
function subscribe(context: TestContext, { endpoints }: Datacenter, request: Partial<SubscribeRequest>) {
  const caller = new AbortController()
  context.after(() => caller.abort())
  const message = SubscribeRequest.encode({ ...NOTHING, ...request })
  const remote = { address: 'test', port: 1 }
  const events = serveSubscription(endpoints, { path: SUBSCRIBE_PATH, message, signal: caller.signal, remote })
  const next = async (): Promise<string> => {
    const { value, done } = await events.next()
    return done ? 'end' : told(SubscribeEvent.decode(value))
  }
  const several = async (count: number) => {
    const all: string[] = []
    while (all.length < count) all.push(await next())
    return all
  }
  return { next, several, cancel: () => caller.abort(), events }
}

function told({ EndOfSnapshot, NewSnapshotToFollow, EventBatch: batch, ServiceHealth }: SubscribeEvent): string {
  if (EndOfSnapshot) return 'end of snapshot'
  if (NewSnapshotToFollow) return 'new snapshot'
  if (batch !== null) {
    const events = EventBatch.decode(batch).Events ?? []
    return `[${events.map((event) => told(SubscribeEvent.decode(event))).join(', ')}]`
  }
  const {
    Node: on,
    Service,
    Checks,
  } = CheckServiceNodeMessage.decode(ServiceHealth?.CheckServiceNode ?? Buffer.alloc(0))
  const op = ServiceHealth?.Op === HEALTH_OP.deregister ? '-' : '+'
  return `${op}${on?.Node}/${Service?.ID}${(Checks ?? []).map(({ Status }) => ` ${Status}`).join('')}`
}

const node = (name: string) => Node.of({ Node: name, Address: '10.0.0.1' })
const service = (ID: string, more: Partial<NodeService> = {}) => NodeService.of({ ID, Service: 'web', ...more })
const health = (on: string, Status: string) =>
  HealthCheck.of({ Node: on, CheckID: 'c', Status, ServiceID: 'w1', ServiceName: 'web' })

test('a subscription tells every instance, the end of the snapshot, and then each change', async (context) => {
  const dc = await datacenter(context)
  await dc.state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('w1')), tx.putNode(node('n2'))])
  const { next, several } = subscribe(context, dc, WEB)
  assert.deepEqual(await several(2), ['+n1/w1', 'end of snapshot'])
  const [one] = await Promise.all([next(), dc.state.write((tx) => tx.putService('n2', service('w2')))])
  assert.equal(one, '+n2/w2')
  const [two] = await Promise.all([next(), dc.state.write((tx) => tx.putCheck(health('n1', 'critical')))])
  assert.equal(two, '+n1/w1 critical')
  const [three] = await Promise.all([next(), dc.state.write((tx) => tx.deleteService('n2', 'w2'))])
  assert.equal(three, '-n2/w2')
  const all = dc.state.write((tx) => [tx.putService('n2', service('w3')), tx.deleteService('n1', 'w1')])
  assert.equal((await Promise.all([next(), all]))[0], '[-n1/w1 critical, +n2/w3]')
})

test('each event carries a higher index than the one before, a snapshot one index', async (context) => {
  const dc = await datacenter(context)
  await dc.state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('w1'))])
  await dc.state.write((tx) => tx.putService('n1', service('w2')))
  const { events } = subscribe(context, dc, WEB)
  const index = async () => SubscribeEvent.decode((await events.next()).value ?? Buffer.alloc(0)).Index
  const snapshot = [await index(), await index(), await index()]
  assert.equal(new Set(snapshot).size, 1)
  const [later] = await Promise.all([index(), dc.state.write((tx) => tx.deleteService('n1', 'w1'))])
  assert.ok(later > (snapshot[0] ?? 0))
})

test('topic ServiceHealthConnect tells sidecars by the name of what they stand for', async (context) => {
  const dc = await datacenter(context)
  const sidecar = NodeService.of({
    Kind: 'connect-proxy',
    ID: 'web-proxy',
    Service: 'web-proxy',
    Proxy: { ...NodeService.of({}).Proxy, DestinationServiceName: 'web' },
  })
  await dc.state.write((tx) => [
    tx.putNode(node('n1')),
    tx.putService('n1', service('w1')),
    tx.putService('n1', sidecar),
  ])
  const { several } = subscribe(context, dc, { ...WEB, Topic: 2 })
  assert.deepEqual(await several(2), ['+n1/web-proxy', 'end of snapshot'])
})

test('a service that nobody has is an empty snapshot; one that comes back with an index gets a new one', async (context) => {
  const dc = await datacenter(context)
  assert.equal(await subscribe(context, dc, WEB).next(), 'end of snapshot')
  await dc.state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('w1'))])
  const again = subscribe(context, dc, { ...WEB, Index: 1 })
  assert.deepEqual(await again.several(3), ['new snapshot', '+n1/w1', 'end of snapshot'])
  // As servers of 1.10 name the service.
  assert.equal(await subscribe(context, dc, { Topic: 1, Key: 'web' }).next(), '+n1/w1')
})

test('many changes at once are told in messages that clients take', async (context) => {
  const dc = await datacenter(context)
  const { next, events } = subscribe(context, dc, WEB)
  assert.equal(await next(), 'end of snapshot')
  const Meta = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, 'x'.repeat(500)]))
  const many = Array.from({ length: 300 }, (_, i) => service(`w${i}`, { Meta }))
  let told = 0
  await dc.state.write((tx) => tx.putNode(node('n1')))
  while (many.length > told) {
    const some = many.slice(told, told + 50)
    await dc.state.write((tx) => some.map((each) => tx.putService('n1', each)))
    told += some.length
  }
  told = 0
  const indexes: number[] = []
  while (told < many.length) {
    const { value = Buffer.alloc(0) } = await events.next()
    assert.ok(value.length < MAX_BATCH_BYTES * 1.1)
    const { Index, EventBatch: batch } = SubscribeEvent.decode(value)
    indexes.push(Index)
    told += batch === null ? 1 : (EventBatch.decode(batch).Events ?? []).length
  }
  assert.equal(told, many.length)
  assert.ok(indexes.length > 1)
  // Only the last one has the new index.
  assert.equal(indexes.filter((index) => index === indexes.at(-1)).length, 1)
})

test('a subscription for another datacenter is followed there', async (context) => {
  const all = await federation(['dc1', 'dc2'])
  context.after(() => all.close())
  const { state } = all.of('dc2')
  await state.write((tx) => [tx.putNode(node('n1')), tx.putService('n1', service('w1'))])
  const { next, several } = subscribe(context, all.of('dc1'), { ...WEB, Datacenter: 'dc2' })
  assert.deepEqual(await several(2), ['+n1/w1', 'end of snapshot'])
  assert.equal((await Promise.all([next(), state.write((tx) => tx.deleteService('n1', 'w1'))]))[0], '-n1/w1')
})

test('a subscription that its caller ends waits no longer', async (context) => {
  const dc = await datacenter(context)
  const { next, cancel } = subscribe(context, dc, WEB)
  assert.equal(await next(), 'end of snapshot')
  const waiting = next()
  cancel()
  await assert.rejects(waiting, { status: 1 })
})

const refusals: readonly (readonly [string, Partial<SubscribeRequest>, number, RegExp])[] = [
  ['no topic', { NamedSubject: NAMED }, 3, /^Cannot subscribe to topic 0 \(Unknown\)/],
  ['a topic that is not served', { ...WEB, Topic: 3 }, 12, /^Cannot subscribe to topic 3 \(MeshConfig\): only/],
  ['a topic that nobody knows', { ...WEB, Topic: 99 }, 12, /^Cannot subscribe to topic 99 \(unknown\)/],
  ['no service', { Topic: 1 }, 3, /needs the name of one service$/],
  ['every service', { ...WEB, WildcardSubject: true }, 3, /needs the name of one service$/],
  [
    'a namespace',
    { Topic: 1, NamedSubject: { ...NAMED, Namespace: 'a' } },
    3,
    /namespace "a": there is only "default"$/,
  ],
  ['an unknown datacenter', { ...WEB, Datacenter: 'dc9' }, 5, /^No path to datacenter$/],
]

test('what cannot be subscribed to is refused with a status and a reason', async (context) => {
  const dc = await datacenter(context)
  for (const [what, request, status, text] of refusals) {
    await assert.rejects(subscribe(context, dc, request).next(), { status, message: text }, what)
  }
  const call = {
    path: '/a.B/C',
    message: Buffer.alloc(0),
    signal: AbortSignal.abort(),
    remote: { address: '', port: 0 },
  }
  await assert.rejects(serveSubscription(dc.endpoints, call).next(), { status: 12, message: 'unknown method /a.B/C' })
  const damaged = serveSubscription(dc.endpoints, { ...call, path: SUBSCRIBE_PATH, message: Buffer.from([8]) })
  await assert.rejects(damaged.next(), { status: 3, message: /^Decode protobuf: message ends early/ })
  assert.deepEqual(
    dc.sent.map(({ datacenter: to }) => to),
    ['dc9'],
  )
})

const READER = 'aaaaaaaa-0000-4000-8000-00000000000a'
const NARROW = 'bbbbbbbb-0000-4000-8000-00000000000b'
const READS = 'dddddddd-0000-4000-8000-00000000000d'
const READS_OTHER = 'eeeeeeee-0000-4000-8000-00000000000e'

test('a token sees what it may read, an unknown one is refused, and a change of rights aborts', async (context) => {
  const dc = await datacenter(context, { acl: { enabled: true, defaultPolicy: 'deny' } })
  const { state } = dc
  await seedAcls(state, { clock: systemClock, random: systemRandom }, { primary: true, initialManagement: '' })
  const rules = (name: string) => `service "${name}" { policy = "read" } node_prefix "" { policy = "read" }`
  await state.write((tx) => [
    tx.putNode(node('n1')),
    tx.putService('n1', service('w1')),
    tx.putAclPolicy(ACLPolicy.of({ ID: READS, Name: 'reads', Rules: rules('web') })),
    tx.putAclPolicy(ACLPolicy.of({ ID: READS_OTHER, Name: 'other', Rules: rules('db') })),
  ])
  const token = (secret: string, policy: string) =>
    state.write((tx) =>
      tx.putAclToken(ACLToken.of({ AccessorID: secret, SecretID: secret, Policies: [{ ID: policy, Name: '' }] })),
    )
  await token(READER, READS)
  await token(NARROW, READS_OTHER)

  const reader = subscribe(context, dc, { ...WEB, Token: READER })
  assert.deepEqual(await reader.several(2), ['+n1/w1', 'end of snapshot'])
  for (const Token of [NARROW, '']) {
    assert.equal(await subscribe(context, dc, { ...WEB, Token }).next(), 'end of snapshot')
  }
  const stranger = subscribe(context, dc, { ...WEB, Token: 'cccccccc-0000-4000-8000-00000000000c' })
  await assert.rejects(stranger.next(), { status: 7, message: 'ACL not found' })

  const waiting = reader.next()
  // Written again with the same policy.
  await token(READER, READS)
  await state.write((tx) => tx.putService('n1', service('w2')))
  assert.equal(await waiting, '+n1/w2')

  // Nothing but the rights changes from here on.
  const closed = { status: 10, message: /rights of its token have changed$/ }
  await Promise.all([assert.rejects(reader.next(), closed), token(READER, READS_OTHER)])
  const narrow = subscribe(context, dc, { ...WEB, Token: NARROW })
  assert.equal(await narrow.next(), 'end of snapshot')
  await Promise.all([assert.rejects(narrow.next(), closed), state.write((tx) => tx.deleteAclToken(NARROW))])
  await assert.rejects(subscribe(context, dc, { ...WEB, Token: NARROW }).next(), {
    status: 7,
    message: 'ACL not found',
  })
})

test('a subscription ends when its token does, though nothing else happens', async (context) => {
  const clock = new ManualClock(0, Date.parse('2026-11-30T00:00:00Z'))
  const dc = await datacenter(context, { clock, acl: { enabled: true, defaultPolicy: 'deny' } })
  const { state, endpoints } = dc
  await state.write((tx) => {
    const ExpirationTime = '2026-11-30T00:00:30Z'
    return [tx.putAclToken(ACLToken.of({ AccessorID: READER, SecretID: READER, ExpirationTime }))]
  })
  const reader = subscribe(context, dc, { ...WEB, Token: READER })
  assert.equal(await reader.next(), 'end of snapshot')
  const ended = assert.rejects(reader.next(), { status: 10 })
  await setImmediate()
  clock.advance(30_000)
  await ended
  await assert.rejects(async () => endpoints.rightsOf(READER), { code: 'ACL_NOT_FOUND' })
})

test('damaged requests get a snapshot or a status, nothing else', async (context) => {
  const { endpoints } = await datacenter(context)
  const random = seededRandom(20_261_131)
  const good = SubscribeRequest.encode({ ...NOTHING, ...WEB, Token: READER, Index: 300, Datacenter: 'dc1' })
  for (let round = 0; round < 3_000; round++) {
    let message = round % 5 === 0 ? Buffer.from(random.bytes(random.int(60))) : Buffer.from(good)
    for (let i = 0; i < random.int(4) && message.length > 0; i++) message[random.int(message.length)] = random.int(256)
    if (random.int(4) === 0) message = message.subarray(0, random.int(message.length + 1))
    const signal = new AbortController().signal
    const events = serveSubscription(endpoints, {
      path: SUBSCRIBE_PATH,
      message,
      signal,
      remote: { address: '', port: 0 },
    })
    try {
      SubscribeEvent.decode((await events.next()).value ?? Buffer.alloc(0))
      await events.return(undefined)
    } catch (error) {
      assert.ok(error instanceof GrpcError && error.status !== 13, String(error))
    }
  }
})
