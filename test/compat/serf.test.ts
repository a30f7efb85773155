/**
 * The real serf agent of Debian in a Hanse LAN pool, with encryption, both ways round.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Gossip, type GossipEvent, startGossip } from '#gossip'
import { SerfAgent, until } from './serf-agent.ts'

const FIRST_KEY = 'cg8StVXbQJ0gPvMd9o7yrg=='
const SECOND_KEY = 'HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8='

function agentTags(id: string): Record<string, string> {
  return { dc: 'dc1', role: 'node', segment: '', id, vsn: '2', vsn_min: '2', vsn_max: '3', build: '1.21.0:' }
}

function hanse(name: string, keys?: readonly string[]): Promise<Gossip> {
  const tags = { ...agentTags(`id-of-${name}`), role: 'consul', port: '8300' }
  return startGossip({
    nodeName: name,
    datacenter: 'dc1',
    nodeId: `id-of-${name}`,
    lan: { bindAddress: '127.0.0.1', bindPort: 0, tags, profile: 'local' },
    keyrings: keys ? { lan: keys } : {},
  })
}

function collect(gossip: Gossip): GossipEvent[] {
  const events: GossipEvent[] = []
  gossip.lan.on((event) => events.push(event))
  return events
}

const status = (gossip: Gossip, name: string) => gossip.lan.members().find((member) => member.name === name)?.status

let server: Gossip
let alpha: SerfAgent
let beta: SerfAgent
let events: GossipEvent[]

before(async () => {
  server = await hanse('s1', [FIRST_KEY])
  events = collect(server)
  alpha = await SerfAgent.start('alpha', { tags: agentTags('id-of-alpha'), key: FIRST_KEY })
  beta = await SerfAgent.start('beta', { tags: agentTags('id-of-beta'), key: FIRST_KEY })
})

after(async () => {
  await alpha?.stop()
  await beta?.stop()
  await server?.shutdown()
})

test('serf joins us, we join serf: all see all, with addresses and tags', async () => {
  await alpha.run('join', `127.0.0.1:${server.lan.port}`)
  const joined = await server.lan.join([`127.0.0.1:${beta.port}`])
  assert.deepEqual(joined, { joined: 1, errors: [] })
  await until('everyone alive everywhere', async () => {
    const ours = ['alpha', 'beta'].every((name) => status(server, name) === 'alive')
    const theirs = await Promise.all([alpha, beta].map((agent) => agent.members()))
    return ours && theirs.every((all) => ['s1', 'alpha', 'beta'].every((name) => all[name]?.status === 'alive'))
  })
  const seen = (await beta.members())['s1']
  assert.equal(seen?.addr, `127.0.0.1:${server.lan.port}`)
  assert.deepEqual(seen?.tags, server.lan.members().find((member) => member.name === 's1')?.tags)
  const member = server.lan.members().find(({ name }) => name === 'alpha')
  assert.deepEqual(member?.tags, agentTags('id-of-alpha'))
  assert.equal(member?.port, alpha.port)
})

test('user events arrive once, both ways', async () => {
  await alpha.run('event', 'deploy', 'v2')
  await until('the event of alpha', () => events.some((event) => event.type === 'user' && event.name === 'deploy'))
  const got = events.filter((event) => event.type === 'user' && event.name === 'deploy')
  assert.equal(got.length, 1)
  assert.equal(got[0]?.type === 'user' ? got[0].payload.toString() : '', 'v2')
  await server.lan.userEvent('from-hanse', Buffer.from('hello'), false)
  await until('our event at both agents', () =>
    [alpha, beta].every((agent) => agent.output.includes('Received event: user-event: from-hanse')),
  )
})

test('tags that change are seen by the other side', async () => {
  await alpha.run('tags', '-set', 'color=blue')
  await until('the tag of alpha', () =>
    server.lan.members().some((member) => member.name === 'alpha' && member.tags['color'] === 'blue'),
  )
  const tags = server.lan.members().find((member) => member.name === 's1')?.tags
  await server.lan.setTags({ ...tags, bootstrap: '1' })
  await until('our tag at beta', async () => (await beta.members())['s1']?.tags['bootstrap'] === '1')
})

test('queries are acknowledged and answered, both ways, also relayed', async () => {
  const off = server.lan.on((event) => {
    if (event.type === 'query' && event.name === 'uptime') event.respond(Buffer.from('up 5 days'))
  })
  const answer = JSON.parse(
    await alpha.run('query', '-format=json', '-node=s1', '-relay-factor=1', '-timeout=2s', 'uptime', 'now'),
  ) as { Acks: string[]; Responses: Record<string, string> }
  off()
  assert.deepEqual(answer.Acks, ['s1'])
  assert.deepEqual(answer.Responses, { s1: 'up 5 days' })
  const ours = await server.lan.query('who', Buffer.alloc(0), {
    wantAck: true,
    timeoutMs: 1500,
    relayFactor: 1,
    filterTags: { role: '^no.e$' },
  })
  assert.deepEqual([...ours.acks].sort(), ['alpha', 'beta'])
  // Serf agents answer the library's own query with nothing but an acknowledgement.
  const ping = await server.lan.query('_serf_ping', Buffer.alloc(0), { wantAck: true, timeoutMs: 1500 })
  assert.deepEqual([...ping.acks].sort(), ['alpha', 'beta', 's1'])
})

test('a key rotation begun by serf reaches us', async () => {
  const list = await alpha.run('keys', '-list')
  assert.match(list, /\[3\/3\]/)
  await alpha.run('keys', '-install', SECOND_KEY)
  await alpha.run('keys', '-use', SECOND_KEY)
  await alpha.run('keys', '-remove', FIRST_KEY)
  const ours = await server.lan.keys.list()
  assert.deepEqual(ours.keys, { [SECOND_KEY]: 3 })
  assert.deepEqual(ours.primaryKeys, { [SECOND_KEY]: 3 })
  assert.equal(ours.error, undefined)
})

test('a key rotation begun by us reaches serf', async () => {
  assert.equal((await server.lan.keys.install(FIRST_KEY)).error, undefined)
  assert.equal((await server.lan.keys.use(FIRST_KEY)).error, undefined)
  const removed = await server.lan.keys.remove(SECOND_KEY)
  assert.deepEqual([removed.numResponses, removed.error], [3, undefined])
  const list = await beta.run('keys', '-list')
  assert.ok(list.includes(`${FIRST_KEY}  [3/3]`), list)
  assert.ok(!list.includes(SECOND_KEY))
  const again = await server.lan.keys.remove(FIRST_KEY)
  assert.equal(again.error, '0/3 nodes reported success')
  assert.match(again.messages['alpha'] ?? '', /primary key is not allowed/)
})

test('a killed serf agent is found failed by us and by serf; pruned, it is forgotten by both', async () => {
  const gamma = await SerfAgent.start('gamma', { tags: agentTags('id-of-gamma'), key: FIRST_KEY })
  try {
    await gamma.run('join', `127.0.0.1:${server.lan.port}`)
    await until('gamma at alpha', async () => (await alpha.statusOf('gamma')) === 'alive')
  } finally {
    await gamma.stop()
  }
  await until('gamma failed here and there', async () => {
    return status(server, 'gamma') === 'failed' && (await alpha.statusOf('gamma')) === 'failed'
  })
  await server.lan.forceLeave('gamma', { prune: true })
  await until('gamma pruned everywhere', async () => {
    return status(server, 'gamma') === undefined && (await alpha.statusOf('gamma')) === undefined
  })
})

test('a serf agent that leaves is left, not failed', async () => {
  const delta = await SerfAgent.start('delta', { tags: agentTags('id-of-delta'), key: FIRST_KEY })
  try {
    await server.lan.join([`127.0.0.1:${delta.port}`])
    await until('delta alive', () => status(server, 'delta') === 'alive')
    await delta.run('leave')
    await until('delta left', () => status(server, 'delta') === 'left')
  } finally {
    await delta.stop()
  }
  assert.ok(!events.some((e) => e.type === 'member-failed' && e.members.some((member) => member.name === 'delta')))
})

test('our own death is found by serf, our leaving is understood', async () => {
  const second = await hanse('s2', [FIRST_KEY])
  await second.lan.join([`127.0.0.1:${alpha.port}`])
  await until('s2 at beta', async () => (await beta.statusOf('s2')) === 'alive')
  await second.shutdown()
  await until('s2 failed at beta', async () => (await beta.statusOf('s2')) === 'failed')
  const third = await hanse('s3', [FIRST_KEY])
  await third.lan.join([`127.0.0.1:${alpha.port}`])
  await until('s3 at beta', async () => (await beta.statusOf('s3')) === 'alive')
  await third.lan.leave()
  assert.equal(await beta.statusOf('s3'), 'left')
  assert.ok(!beta.output.includes('EventMemberFailed: s3'), 'never taken for a failure')
  await third.shutdown()
})

test('encryption on one side only, or with another key, is named', async () => {
  const plain = await hanse('plain')
  const other = await hanse('other', [SECOND_KEY])
  const [plainEvents, otherEvents] = [collect(plain), collect(other)]
  const toPlain = await plain.lan.join([`127.0.0.1:${alpha.port}`])
  assert.equal(toPlain.joined, 0)
  const toOther = await other.lan.join([`127.0.0.1:${alpha.port}`])
  assert.equal(toOther.joined, 0)
  const kinds = (all: GossipEvent[]) => all.flatMap((event) => (event.type === 'mismatch' ? [event.kind] : []))
  await until('mismatches', () => kinds(plainEvents).length > 0 && kinds(otherEvents).length > 0)
  assert.deepEqual(kinds(plainEvents), ['encryption-missing-here'])
  assert.deepEqual(kinds(otherEvents), ['encryption-key'])
  await plain.shutdown()
  await other.shutdown()
})

test('a serf agent of another datacenter is refused by name', async () => {
  const stranger = await SerfAgent.start('stranger', { tags: { dc: 'dc9', role: 'node' }, key: FIRST_KEY })
  try {
    const joined = await server.lan.join([`127.0.0.1:${stranger.port}`])
    const text = `Failed to join 127.0.0.1:${stranger.port}: Member 'stranger' part of wrong datacenter 'dc9'`
    assert.deepEqual(joined, { joined: 0, errors: [text] })
    assert.equal(status(server, 'stranger'), undefined)
  } finally {
    await stranger.stop()
  }
})

test('without encryption it is the same pool: members and events both ways', async () => {
  const open = await hanse('open')
  const seen = collect(open)
  const plain = await SerfAgent.start('plain', { tags: agentTags('id-of-plain') })
  try {
    assert.deepEqual(await open.lan.join([`127.0.0.1:${plain.port}`]), { joined: 1, errors: [] })
    await until('both alive at the agent', async () => (await plain.statusOf('open')) === 'alive')
    await plain.run('event', '-coalesce=false', 'hello', 'there')
    await until('the event here', () => seen.some((event) => event.type === 'user' && event.name === 'hello'))
    const keys = await open.lan.keys.list()
    assert.equal(keys.error, '0/2 nodes reported success')
    assert.equal(keys.messages['plain'], keys.messages['open'])
  } finally {
    await plain.stop()
    await open.shutdown()
  }
})
