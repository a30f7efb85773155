/**
 * Transcripts of one core: what goes in, what comes out, at which time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipToBytes, seededRandom } from '#base'
import { decode } from '#codec'
import type { Effect } from './effects.ts'
import {
  AckResp,
  Alive,
  Dead,
  encodeMessage,
  IndirectPing,
  MESSAGE,
  NackResp,
  OUR_VERSIONS,
  Ping,
  type PushNodeState,
  Suspect,
} from './messages.ts'
import { eachMessage, openPacket } from './packet.ts'
import { PoolCore } from './pool-core.ts'
import {
  encodeSerf,
  encodeTags,
  MAX_META_BYTES,
  SERF_MESSAGE,
  SerfJoin,
  SerfLeave,
  SerfUserEvent,
} from './serf-messages.ts'
import { SnapshotState } from './snapshot.ts'
import { gossipTiming } from './timing.ts'

const layers = { label: '', keyring: undefined }
const timing = gossipTiming('lan')
const tagsOf = (name: string) => ({ dc: 'dc1', role: 'node', id: `id-${name}` })

function agent(restored?: SnapshotState): PoolCore {
  const core = new PoolCore(
    {
      name: 'me',
      address: '10.0.0.1',
      port: 8301,
      timing,
      layers,
      identity: { pool: 'lan', localName: 'me', datacenter: 'dc1', nodeId: 'id-me' },
      tags: tagsOf('me'),
      streamPingAllowed: () => true,
    },
    { random: seededRandom(1), nowMs: 0, restored },
  )
  // Its own joining is not what the transcripts are about.
  core.step({ kind: 'tick' }, 0)
  return core
}

/** Messages that were sent, as "type to address", in the order of sending; broadcasts on the way included. */
function sent(effects: readonly Effect[]): { type: number; to: string; body: Buffer }[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'send') return []
    const messages: { type: number; to: string; body: Buffer }[] = []
    eachMessage(openPacket(effect.bytes, layers), (type, body) => messages.push({ type, to: effect.to.address, body }))
    return messages
  })
}

const ofType = (effects: readonly Effect[], type: number) => sent(effects).filter((message) => message.type === type)

function aliveMessage(name: string, address: string, incarnation = 1, meta = encodeTags(tagsOf(name))): Buffer {
  const Addr = ipToBytes(address) ?? null
  const message = { Incarnation: incarnation, Node: name, Addr, Port: 8301, Meta: meta, Vsn: OUR_VERSIONS }
  return encodeMessage(MESSAGE.alive, Alive, message)
}

function receive(core: PoolCore, bytes: Buffer, now: number): readonly Effect[] {
  return core.step({ kind: 'datagram', bytes, address: '10.0.0.9', port: 8301 }, now)
}

/** Steps through time as a driver does; all effects until `untilMs`. */
function run(core: PoolCore, untilMs: number): Effect[] {
  const effects: Effect[] = []
  while (core.nextDueMs() <= untilMs) effects.push(...core.step({ kind: 'tick' }, core.nextDueMs()))
  return effects
}

const events = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : []))
const eventTypes = (effects: readonly Effect[]) => events(effects).map((event) => event.type)
const status = (core: PoolCore, name: string) => core.members().find((member) => member.name === name)?.status

test('a node that answers nothing: ping, then helpers and a stream, then suspicion, then death', () => {
  const core = agent()
  receive(core, aliveMessage('you', '10.0.0.2'), 0)
  receive(core, aliveMessage('helper', '10.0.0.3'), 0)
  const log: [number, string][] = []
  let dead = 0
  while (dead === 0 && core.nextDueMs() < 60_000) {
    const now = core.nextDueMs()
    const effects = core.step({ kind: 'tick' }, now)
    for (const { type, to, body } of sent(effects)) {
      // The helper answers everything, so only the other node is in doubt.
      if (type === MESSAGE.ping && to === '10.0.0.3') {
        const ack = { SeqNo: decode(Ping, body).SeqNo, Payload: null }
        receive(core, encodeMessage(MESSAGE.ackResp, AckResp, ack), now)
      } else if (type === MESSAGE.ping) log.push([now, 'ping'])
      else if (type === MESSAGE.indirectPing) {
        log.push([now, 'indirect'])
        receive(core, encodeMessage(MESSAGE.nackResp, NackResp, { SeqNo: decode(IndirectPing, body).SeqNo }), now + 1)
      }
    }
    for (const effect of effects) if (effect.kind === 'exchange') log.push([now, `stream ${effect.to.address}`])
    if (eventTypes(effects).includes('member-failed')) dead = now
  }
  const [ping, indirect, stream] = log
  assert.ok(ping && indirect && stream)
  assert.deepEqual([ping[1], indirect[1], stream[1]], ['ping', 'indirect', 'stream 10.0.0.2'])
  assert.equal(indirect[0] - ping[0], timing.probeTimeoutMs)
  // Nobody else confirms and a pool of three wants no confirmations: 4 × 1 s after the probe has ended.
  assert.equal(dead - ping[0], timing.probeIntervalMs + 4_000)
  assert.equal(status(core, 'you'), 'failed')
  assert.equal(core.stats()['health_score'], '0', 'the helper said that it could not reach the node either')
})

test('an indirect ping is passed on; its answer is, or the nack when there is none', () => {
  const core = agent()
  const source = { SourceAddr: ipToBytes('10.0.0.7') ?? null, SourcePort: 8301, SourceNode: 'asker' }
  const ask = (SeqNo: number) =>
    encodeMessage(MESSAGE.indirectPing, IndirectPing, {
      SeqNo,
      Target: ipToBytes('10.0.0.2') ?? null,
      Port: 8301,
      Node: 'you',
      Nack: true,
      ...source,
    })
  const [ping] = ofType(receive(core, ask(77), 0), MESSAGE.ping)
  assert.equal(ping?.to, '10.0.0.2')
  const SeqNo = decode(Ping, ping?.body ?? Buffer.alloc(0)).SeqNo
  const [ack] = ofType(
    receive(core, encodeMessage(MESSAGE.ackResp, AckResp, { SeqNo, Payload: null }), 5),
    MESSAGE.ackResp,
  )
  assert.deepEqual([ack?.to, decode(AckResp, ack?.body ?? Buffer.alloc(0)).SeqNo], ['10.0.0.7', 77])
  receive(core, ask(78), 10)
  const [nack] = ofType(run(core, 10 + timing.probeTimeoutMs), MESSAGE.nackResp)
  assert.equal(decode(NackResp, nack?.body ?? Buffer.alloc(0)).SeqNo, 78)
})

test('an accusation against us is refuted with a higher incarnation, and costs health', () => {
  const core = agent()
  receive(core, aliveMessage('you', '10.0.0.2'), 0)
  const accuse = { Incarnation: 5, Node: 'me', From: 'you' }
  receive(core, encodeMessage(MESSAGE.suspect, Suspect, accuse), 10)
  const refutation = ofType(run(core, 1_000), MESSAGE.alive)
    .map(({ body }) => decode(Alive, body))
    .find((message) => message.Node === 'me')
  assert.equal(refutation?.Incarnation, 6)
  assert.equal(core.stats()['health_score'], '1')
  receive(core, encodeMessage(MESSAGE.dead, Dead, { ...accuse, Incarnation: 6 }), 1_000)
  assert.equal(status(core, 'me'), 'alive')
})

function pushPull(nodes: readonly PushNodeState[], join: boolean) {
  const state = { join, nodes, userState: Buffer.alloc(0) }
  return { kind: 'request', stream: 1, address: '10.0.0.2:4', message: { kind: 'pushPull', state } } as const
}

function entry(Name: string, address: string, State: number, Incarnation = 1): PushNodeState {
  const Addr = ipToBytes(address) ?? null
  return { Name, Addr, Port: 8301, Meta: encodeTags(tagsOf(Name)), Incarnation, State, Vsn: OUR_VERSIONS }
}

test('a push/pull never kills: what is dead there becomes suspect here; what has left has left', () => {
  const core = agent()
  for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) receive(core, aliveMessage(name, `10.0.1.${index}`), 0)
  const effects = core.step(pushPull([entry('a', '10.0.1.0', 2), entry('b', '10.0.1.1', 3)], false), 10)
  assert.equal(status(core, 'a'), 'alive')
  assert.equal(status(core, 'b'), 'left')
  assert.deepEqual(eventTypes(effects), ['member-leave'])
  assert.ok(effects.some((effect) => effect.kind === 'answer' && effect.bytes !== undefined))
})

test('a push/pull with versions outside what all understand is answered and not merged', () => {
  const core = agent()
  const strange = { ...entry('a', '10.0.1.0', 0), Vsn: Buffer.from([9, 9, 9, 9, 9, 9]) }
  const effects = core.step(pushPull([strange], true), 10)
  assert.ok(effects.some((effect) => effect.kind === 'answer' && effect.bytes !== undefined))
  assert.equal(status(core, 'a'), undefined)
})

test('a name at another address is a conflict while its node lives, and may move once it has left', () => {
  const core = agent()
  receive(core, aliveMessage('a', '10.0.1.1'), 0)
  const other = encodeTags({ ...tagsOf('a'), id: 'another' })
  const clash = receive(core, aliveMessage('a', '10.0.1.2', 9, other), 10)
  assert.deepEqual(
    events(clash).map((event) => event.type === 'mismatch' && event.kind),
    ['node-id'],
  )
  assert.equal(core.members().find(({ name }) => name === 'a')?.address, '10.0.1.1')
  receive(core, encodeMessage(MESSAGE.dead, Dead, { Incarnation: 9, Node: 'a', From: 'a' }), 20)
  receive(core, aliveMessage('a', '10.0.1.2', 1), 30)
  assert.equal(core.members().find(({ name }) => name === 'a')?.address, '10.0.1.2')
})

test('a node that was restarted at another address is taken in at once, by its node ID and a higher incarnation', () => {
  const core = agent()
  const address = () => core.members().find(({ name }) => name === 'a')?.address
  receive(core, aliveMessage('a', '10.0.1.1', 5), 0)
  assert.deepEqual(eventTypes(receive(core, aliveMessage('a', '10.0.1.2', 1), 10)), [])
  assert.equal(address(), '10.0.1.1', 'its first words are older than what is known')
  assert.deepEqual(eventTypes(receive(core, aliveMessage('a', '10.0.1.2', 6), 20)), ['member-update'])
  assert.equal(address(), '10.0.1.2')
})

test('after a restart at another address we refute what is told of the old one; a copy of us is reported', () => {
  const core = agent()
  const kinds: string[] = []
  for (const claim of [1, 2, 3]) {
    const effects = receive(core, aliveMessage('me', '10.0.0.99', claim * 10), claim * 100)
    for (const event of events(effects)) if (event.type === 'mismatch') kinds.push(event.kind)
    const own = ofType(run(core, claim * 100 + 90), MESSAGE.alive).map(({ body }) => decode(Alive, body))
    if (own.length > 0) assert.ok(own.every((alive) => alive.Addr?.at(-1) === 1))
    assert.deepEqual(kinds, claim < 3 ? [] : ['node-id'])
  }
  receive(core, aliveMessage('you', '10.0.0.2'), 400)
  const told = ofType(run(core, 2_000), MESSAGE.alive).map(({ body }) => decode(Alive, body))
  assert.equal(told.find((alive) => alive.Node === 'me')?.Incarnation, 21)
})

test('who claims our name again and again with another node ID is reported; our own past is not', () => {
  const core = agent()
  const foreign = encodeTags({ ...tagsOf('me'), id: 'foreign' })
  const kinds: string[] = []
  for (let claim = 1; claim <= 3; claim++) {
    const effects = receive(core, aliveMessage('me', '10.0.0.1', claim * 10, foreign), claim * 100)
    for (const event of events(effects)) if (event.type === 'mismatch') kinds.push(event.kind)
    if (claim < 3) assert.deepEqual(kinds, [])
  }
  assert.deepEqual(kinds, ['node-id'])
})

const serf = (message: Buffer) => Buffer.concat([Buffer.from([MESSAGE.user]), message])

test('a leave intent that arrives before its node is remembered: the node is leaving from the start', () => {
  const core = agent()
  const intent = encodeSerf(SERF_MESSAGE.leave, SerfLeave, { LTime: 5, Node: 'a', Prune: false })
  receive(core, serf(intent), 0)
  receive(core, aliveMessage('a', '10.0.1.1'), 10)
  assert.equal(status(core, 'a'), 'leaving')
  const join = encodeSerf(SERF_MESSAGE.join, SerfJoin, { LTime: 6, Node: 'a' })
  receive(core, serf(join), 20)
  assert.equal(status(core, 'a'), 'alive')
  receive(core, serf(intent), 30)
  assert.equal(status(core, 'a'), 'alive', 'an older intent changes nothing')
})

test('leave() tells every live member itself, first that it is on purpose and then that it is over', () => {
  const core = agent()
  const names = ['a', 'b', 'c', 'd', 'e', 'gone']
  for (const [index, name] of names.entries()) receive(core, aliveMessage(name, `10.0.1.${index}`), 0)
  const dead = { Incarnation: 1, Node: 'gone', From: 'gone' }
  receive(core, encodeMessage(MESSAGE.dead, Dead, dead), 1)
  const live = ['10.0.1.0', '10.0.1.1', '10.0.1.2', '10.0.1.3', '10.0.1.4']
  run(core, 5_000)
  const effects = core.act(5_000, (acting) => acting.leave(() => {}))
  const intents = sent(effects).filter(({ type, body }) => type === MESSAGE.user && body[0] === SERF_MESSAGE.leave)
  assert.deepEqual(intents.map(({ to }) => to).sort(), live)
  const goodbyes = sent(run(core, 20_000)).filter(
    ({ type, body }) => type === MESSAGE.dead && decode(Dead, body).Node === 'me',
  )
  assert.deepEqual([...new Set(goodbyes.map(({ to }) => to))].sort(), live)
})

test('forceLeave() tells every live member itself: one that does not hear of it keeps the member for good', () => {
  const core = agent()
  for (const [index, name] of ['a', 'b', 'c', 'gone'].entries()) receive(core, aliveMessage(name, `10.0.1.${index}`), 0)
  receive(core, encodeMessage(MESSAGE.dead, Dead, { Incarnation: 1, Node: 'gone', From: 'a' }), 1)
  run(core, 5_000)
  const intents = sent(core.act(5_000, (acting) => acting.forceLeave('gone', true, () => {}))).filter(
    ({ type, body }) => type === MESSAGE.user && body[0] === SERF_MESSAGE.leave,
  )
  assert.deepEqual(intents.map(({ to }) => to).sort(), ['10.0.1.0', '10.0.1.1', '10.0.1.2'])
  assert.equal(status(core, 'gone'), undefined)
})

test('a leave intent about us, while we stay, is answered with a join', () => {
  const core = agent()
  receive(core, aliveMessage('a', '10.0.1.1'), 0)
  receive(core, serf(encodeSerf(SERF_MESSAGE.leave, SerfLeave, { LTime: 9, Node: 'me', Prune: true })), 10)
  assert.equal(status(core, 'me'), 'alive')
  const joins = ofType(run(core, 1_000), MESSAGE.user).filter(({ body }) => body[0] === SERF_MESSAGE.join)
  assert.ok(decode(SerfJoin, joins[0]?.body.subarray(1) ?? Buffer.alloc(0)).LTime > 9)
})

test('user events: each once, none that is 512 Lamport times old, none from before a restart', () => {
  const event = (LTime: number, Name = 'e') =>
    serf(encodeSerf(SERF_MESSAGE.userEvent, SerfUserEvent, { LTime, Name, Payload: Buffer.from('x'), CC: false }))
  const core = agent()
  const got = (bytes: Buffer) => eventTypes(receive(core, bytes, 1)).length
  assert.deepEqual([got(event(3)), got(event(3)), got(event(3, 'f'))], [1, 0, 1])
  assert.deepEqual([got(event(2000)), got(event(1400)), got(event(1600))], [1, 0, 1])
  const restored = new SnapshotState({ rejoinAfterLeave: false })
  restored.replay('event-clock: 50')
  const again = agent(restored)
  assert.equal(eventTypes(receive(again, event(50), 1)).length, 0)
  assert.equal(eventTypes(receive(again, event(51), 1)).length, 1)
})

test('a failed member is reaped after its time, or after the time of its own tag', () => {
  const core = agent()
  const short = encodeTags({ ...tagsOf('b'), rc_tm: '1m' })
  receive(core, aliveMessage('a', '10.0.1.1'), 0)
  receive(core, aliveMessage('b', '10.0.1.2', 1, short), 0)
  for (const Node of ['a', 'b'])
    receive(core, encodeMessage(MESSAGE.dead, Dead, { Incarnation: 1, Node, From: 'c' }), 10)
  const effects = run(core, 120_000)
  assert.deepEqual(
    events(effects).flatMap((event) => (event.type === 'member-reap' ? event.members.map(({ name }) => name) : [])),
    ['b'],
  )
  assert.ok(effects.some((effect) => effect.kind === 'members' && effect.removed.includes('b')))
  assert.equal(status(core, 'a'), 'failed')
})

test('tags that take too much room are refused and nothing changes', () => {
  const core = agent()
  assert.throws(() => core.act(1, (pool) => pool.setTags({ big: 'x'.repeat(MAX_META_BYTES) })), {
    code: 'GOSSIP_TAGS_TOO_LONG',
  })
  assert.deepEqual(core.members()[0]?.tags, tagsOf('me'))
  assert.throws(() => core.act(1, (pool) => pool.userEvent('x', Buffer.alloc(512), false)), {
    code: 'GOSSIP_EVENT_TOO_LARGE',
  })
})

test('a push/pull of 1,000 members is merged and answered', () => {
  const core = agent()
  const nodes = Array.from({ length: 1000 }, (_, i) => entry(`node-${i}`, `10.1.${i >> 8}.${i & 255}`, 0))
  const effects = core.step(pushPull(nodes, true), 10)
  assert.equal(core.members().length, 1001)
  assert.equal(eventTypes(effects).filter((type) => type === 'member-join').length, 1000)
})
