/**
 * Operators look at and change the servers of a datacenter: any server answers, and what it says is true.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../support/eventually.ts'
import { HANSE } from '../support/programs.ts'
import { type TestServer, testServers } from '../support/servers.ts'

interface Peer {
  readonly ID: string
  readonly Node: string
  readonly Address: string
  readonly Leader: boolean
  readonly Voter: boolean
  readonly LastIndex: number
}

async function ask(server: TestServer, method: string, path: string, body?: unknown) {
  const answer = await server.client.request(method, path, body === undefined ? {} : { body })
  return { status: answer.status, text: String(answer.body), headers: answer.headers }
}

async function peers(server: TestServer): Promise<readonly Peer[]> {
  const { status, text } = await ask(server, 'GET', '/v1/operator/raft/configuration')
  assert.equal(status, 200, text)
  return (JSON.parse(text) as { Servers: Peer[] }).Servers
}

const leaderOf = (found: readonly Peer[]) => found.find(({ Leader }) => Leader)?.Node

async function three(context: Parameters<typeof testServers>[0], shared = {}) {
  const datacenter = await testServers(context, shared)
  const servers = [await datacenter.start('s1'), await datacenter.start('s2'), await datacenter.start('s3')] as const
  await eventually('all know each other', async () => {
    for (const server of servers) assert.equal((await peers(server)).length, 3)
  })
  return { datacenter, servers }
}

test('one server: its lead cannot be handed over, and it cannot be removed', async (context) => {
  const s1 = await (await testServers(context, { bootstrap_expect: 1 })).start('s1')
  const [peer] = await peers(s1)
  assert.deepEqual([peer?.Node, peer?.Leader, peer?.Voter], ['s1', true, true])
  const transfer = await ask(s1, 'POST', '/v1/operator/raft/transfer-leader')
  assert.deepEqual([transfer.status, transfer.text], [500, 'cannot find peer'])
  const remove = await ask(s1, 'DELETE', `/v1/operator/raft/peer?id=${peer?.ID}`)
  assert.deepEqual([remove.status, remove.text], [500, 'Cannot remove server "s1": it is alive'])
  const refusals: readonly [path: string, status: number, text: RegExp][] = [
    ['', 400, /^Must specify either \?id/],
    ['?id=a&address=b', 400, /^Must specify only one/],
    ['?id=a', 500, /^id "a" was not found in the Raft configuration$/],
    ['?address=127.0.0.1:1', 500, /^address "127.0.0.1:1" was not found in the Raft configuration$/],
  ]
  for (const [path, status, text] of refusals) {
    const answer = await ask(s1, 'DELETE', `/v1/operator/raft/peer${path}`)
    assert.equal(answer.status, status)
    assert.match(answer.text, text)
  }
})

test('three servers: each says the same of all, and how each is', async (context) => {
  const { servers } = await three(context)
  const address = (server: TestServer) => server.agent.core.rpcAddress
  for (const server of servers) {
    const found = await peers(server)
    assert.deepEqual(
      found.map(({ Node, Address, Leader, Voter }) => [Node, Address, Leader, Voter]),
      servers.map((each) => [each.name, address(each), each.name === 's1', true]),
    )
    assert.ok(
      found.every(({ LastIndex }) => LastIndex > 0),
      'each was asked',
    )
    const { text } = await ask(server, 'GET', '/v1/status/peers')
    assert.deepEqual(JSON.parse(text), servers.map(address))
    const health = await ask(server, 'GET', '/v1/operator/autopilot/health')
    assert.equal(health.status, 200)
    const { Healthy, FailureTolerance } = JSON.parse(health.text) as { Healthy: boolean; FailureTolerance: number }
    assert.deepEqual([Healthy, FailureTolerance], [true, 1])
    const info = await ask(server, 'GET', '/v1/agent/self')
    const { Stats } = JSON.parse(info.text) as { Stats: Record<string, Record<string, string>> }
    assert.equal(Stats.consul?.leader, String(server.name === 's1'))
    assert.equal(Stats.consul?.leader_addr, address(servers[0]))
    assert.equal(Stats.raft?.num_peers, '2')
    assert.equal(Stats.raft?.state, server.name === 's1' ? 'Leader' : 'Follower')
  }
})

test('the lead goes to the server that is named, asked of any server', async (context) => {
  const { servers } = await three(context)
  const [s1, s2, s3] = servers
  const id = (await peers(s1)).find(({ Node }) => Node === 's3')?.ID
  const named = await ask(s2, 'POST', `/v1/operator/raft/transfer-leader?id=${id}`)
  assert.deepEqual([named.status, named.text.trim()], [200, '{"Success":true}'])
  for (const server of servers) assert.equal(leaderOf(await peers(server)), 's3')
  assert.equal((await ask(s3, 'POST', '/v1/operator/raft/transfer-leader')).status, 200)
  assert.notEqual(leaderOf(await peers(s1)), 's3')
  const nobody = await ask(s1, 'POST', '/v1/operator/raft/transfer-leader?id=nobody')
  assert.deepEqual([nobody.status, nobody.text], [500, 'cannot find peer'])
})

test('a server that died is unhealthy, and can be removed by any other; then it is in no pool and no catalog', async (context) => {
  const { servers } = await three(context)
  const [s1, s2, s3] = servers
  await s3.agent.shutdown()
  await eventually('it is seen', async () => {
    const health = await ask(s1, 'GET', '/v1/operator/autopilot/health')
    assert.equal(health.status, 429)
    const { FailureTolerance, Servers } = JSON.parse(health.text) as {
      FailureTolerance: number
      Servers: { Name: string; Healthy: boolean; SerfStatus: string }[]
    }
    assert.equal(FailureTolerance, 0)
    const dead = Servers.filter(({ Healthy }) => !Healthy)
    assert.deepEqual(
      dead.map(({ Name, SerfStatus }) => [Name, SerfStatus]),
      [['s3', 'failed']],
    )
  })
  const gone = (await peers(s2)).find(({ Node }) => Node === 's3')
  assert.equal((await ask(s2, 'DELETE', `/v1/operator/raft/peer?address=${gone?.Address}`)).status, 200)
  await eventually('nobody has it', async () => {
    for (const server of [s1, s2]) {
      assert.equal((await peers(server)).length, 2)
      assert.equal((JSON.parse((await ask(server, 'GET', '/v1/catalog/nodes')).text) as unknown[]).length, 2)
    }
  })
})

test('a dead server is removed by itself once another one stands in for it', async (context) => {
  const { datacenter, servers } = await three(context)
  const [s1, s2, s3] = servers
  const config = JSON.parse((await ask(s2, 'GET', '/v1/operator/autopilot/configuration')).text) as object
  const set = await ask(s2, 'PUT', '/v1/operator/autopilot/configuration', { ...config, ServerStabilizationTime: '1s' })
  assert.equal(set.status, 200)
  await s3.agent.shutdown()
  await eventually('it has failed', async () => {
    assert.equal((await ask(s1, 'GET', '/v1/operator/autopilot/health')).status, 429)
  })
  const s4 = await datacenter.start('s4')
  await eventually('it is gone, all others are well', async () => {
    for (const server of [s1, s4]) {
      const names = (await peers(server)).map(({ Node }) => Node)
      assert.deepEqual(names, ['s1', 's2', 's4'])
    }
    assert.equal((await ask(s4, 'GET', '/v1/operator/autopilot/health')).status, 200)
  })
  assert.equal(s1.log.filter((line) => line.includes('removing a dead server')).length, 1)
})

test('the configuration of autopilot: defaults, changes by any server, and by version', async (context) => {
  const { servers } = await three(context)
  const [s1, s2] = servers
  const path = '/v1/operator/autopilot/configuration'
  const read = async (server: TestServer) =>
    JSON.parse((await ask(server, 'GET', path)).text) as Record<string, unknown> & { ModifyIndex: number }
  const { CreateIndex, ModifyIndex, ...defaults } = await read(s1)
  assert.deepEqual(defaults, {
    CleanupDeadServers: true,
    LastContactThreshold: '200ms',
    MaxTrailingLogs: 250,
    MinQuorum: 0,
    ServerStabilizationTime: '10s',
    RedundancyZoneTag: '',
    DisableUpgradeMigration: false,
    UpgradeVersionTag: '',
  })
  assert.deepEqual([CreateIndex, ModifyIndex], [0, 0])
  assert.equal((await ask(s2, 'PUT', path, { ...defaults, MinQuorum: 3 })).status, 200)
  await eventually('the other one knows', async () => assert.equal((await read(s1)).MinQuorum, 3))
  const now = await read(s1)
  assert.equal((await ask(s1, 'PUT', `${path}?cas=1`, { ...defaults, MinQuorum: 4 })).text.trim(), 'false')
  assert.equal(
    (await ask(s1, 'PUT', `${path}?cas=${now.ModifyIndex}`, { ...defaults, MinQuorum: 5 })).text.trim(),
    'true',
  )
  assert.equal((await read(s1)).MinQuorum, 5)
  for (const body of ['{bad', '{"LastContactThreshold":"soon"}', '{"Nonsense":1}', '{"MinQuorum":-1}']) {
    assert.equal((await ask(s1, 'PUT', path, body)).status, 400, body)
  }
  assert.equal((await ask(s1, 'PUT', `${path}?cas=x`, defaults)).status, 400)
})

test('who may: operator:read to look, operator:write to change', async (context) => {
  const secret = '11111111-2222-4333-8444-555555555555'
  const acl = { enabled: true, default_policy: 'deny', tokens: { initial_management: secret } }
  const datacenter = await testServers(context, { primary_datacenter: 'dc1', acl })
  const s1 = await datacenter.start('s1')
  const s2 = await datacenter.start('s2')
  const as = (token: string, server: TestServer, method: string, path: string, body?: unknown) =>
    ask(server, method, `${path}?token=${token}`, body)
  const made = async (Name: string, Rules: string) => {
    await as(secret, s1, 'PUT', '/v1/acl/policy', { Name, Rules })
    const { text } = await as(secret, s1, 'PUT', '/v1/acl/token', { Policies: [{ Name }] })
    return (JSON.parse(text) as { SecretID: string }).SecretID
  }
  const reader = await made('reader', 'operator = "read"')
  const writer = await made('writer', 'operator = "write"')
  await eventually('both know each other', async () => {
    const { text } = await as(reader, s2, 'GET', '/v1/operator/raft/configuration')
    assert.equal((JSON.parse(text) as { Servers: Peer[] }).Servers.length, 2)
  })
  const shown = ['raft/configuration', 'autopilot/configuration', 'autopilot/health', 'autopilot/state']
  for (const path of shown) {
    assert.equal((await as('', s2, 'GET', `/v1/operator/${path}`)).status, 403, path)
    assert.equal((await as(reader, s2, 'GET', `/v1/operator/${path}`)).status, 200, path)
  }
  assert.equal((await as(reader, s2, 'PUT', '/v1/operator/autopilot/configuration', {})).status, 403)
  assert.equal((await as(reader, s2, 'POST', '/v1/operator/raft/transfer-leader')).status, 403)
  assert.equal((await as(writer, s2, 'POST', '/v1/operator/raft/transfer-leader')).status, 200)
  assert.equal(s2.agent.core.leadership.leading, true)
})

test('while nobody leads, reads say so and are answered, and what needs a leader waits for one', async (context) => {
  const { servers } = await three(context)
  const [s1, s2, s3] = servers
  for (const server of [s3, s2, s1]) await server.agent.core.leadership.standDown(2_000)
  const nodes = await ask(s1, 'GET', '/v1/catalog/nodes')
  assert.equal(nodes.status, 200)
  assert.equal(nodes.headers['x-consul-knownleader'], 'false')
  assert.equal((await ask(s1, 'GET', '/v1/status/leader')).text.trim(), '""')
  const write = await ask(s1, 'PUT', '/v1/kv/a', 'one')
  assert.equal(write.text.trim(), 'true', 'the store needs no leader of ours')
  const held = await ask(s1, 'POST', '/v1/operator/raft/transfer-leader')
  assert.equal(held.status, 200, 'it waited, and the new leader answered')
  await eventually('all know the new one', async () => {
    for (const server of servers) {
      assert.equal((await ask(server, 'GET', '/v1/catalog/nodes')).headers['x-consul-knownleader'], 'true')
    }
  })
})

test('the commands show what the API says', async (context) => {
  const { servers } = await three(context)
  const [s1] = servers
  const run = async (words: string) => {
    const args = [...words.split(' '), `-http-addr=${s1.agent.ports.http[0]}`]
    return promisify(execFile)(HANSE, args)
  }
  const list = await run('operator raft list-peers')
  assert.match(
    list.stdout,
    /^Node +ID +Address +State +Voter +RaftProtocol +Commit Index +Trails Leader By\ns1 .* leader +true +3 +\d+ +-\ns2 .* follower +true +3 +\d+ +\d+ commits\ns3 /,
  )
  const state = await run('operator autopilot state')
  assert.match(state.stdout, /^Healthy: +true\nFailure Tolerance: +1\n/)
  const set = await run('operator autopilot set-config -min-quorum=3 -cas')
  assert.equal(set.stdout, 'Configuration updated!\n')
  assert.match((await run('operator autopilot get-config')).stdout, /^MinQuorum = 3$/m)
})

test('autopilot begins as the configuration says, and goes on as an operator says', async (context) => {
  const datacenter = await testServers(context, { autopilot: { cleanup_dead_servers: false, min_quorum: 3 } })
  const { client } = await datacenter.start('s1')
  const config = async () => {
    const { CleanupDeadServers, MinQuorum } = Object(await client.json('GET', '/v1/operator/autopilot/configuration'))
    return { CleanupDeadServers, MinQuorum }
  }
  assert.deepEqual(await config(), { CleanupDeadServers: false, MinQuorum: 3 })
  await client.expect('PUT', '/v1/operator/autopilot/configuration', { body: { CleanupDeadServers: true } })
  assert.deepEqual(await config(), { CleanupDeadServers: true, MinQuorum: 0 })
})
