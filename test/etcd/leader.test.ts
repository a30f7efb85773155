/**
 * Three servers as processes over an etcd that they run themselves: the leader is killed, another one leads within
 * seconds, and what is said of the servers is true.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { HttpClient } from '#client'
import { freePorts } from '#local'
import { etcdBinary } from '../support/etcd.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { HANSE, type Program, Programs } from '../support/programs.ts'

interface Server {
  readonly name: string
  readonly file: string
  readonly client: HttpClient
  program: Program
}

const root = mkdtempSync(join(tmpdir(), 'hanse-leader-'))
const programs = new Programs()
const servers: Server[] = []

async function peers(server: Server): Promise<readonly { Node: string; Leader: boolean; Voter: boolean }[]> {
  const answer = await server.client.json('GET', '/v1/operator/raft/configuration')
  return (answer as { Servers: { Node: string; Leader: boolean; Voter: boolean }[] }).Servers
}

const start = ({ name, file }: Pick<Server, 'name' | 'file'>) =>
  programs.start(name, [HANSE, 'agent', '-config-file', file])

before(async () => {
  const names = ['s1', 's2', 's3']
  const ports = new Map<string, readonly number[]>()
  for (const name of names) ports.set(name, await freePorts(6))
  const retryJoin = names.map((name) => `127.0.0.1:${ports.get(name)?.[2]}`)
  for (const name of names) {
    const [http = 0, server = 0, serf_lan = 0, serf_wan = 0, client_port = 0, peer_port = 0] = ports.get(name) ?? []
    const file = join(root, `${name}.json`)
    const config = {
      ...{ datacenter: 'dc1', node_name: name, server: true, bootstrap_expect: 3, data_dir: join(root, name) },
      ...{ bind_addr: '127.0.0.1', client_addr: '127.0.0.1', retry_join: retryJoin, retry_interval: '1s' },
      ports: { http, server, serf_lan, serf_wan, dns: -1 },
      connect: { enabled: true },
      store: { etcd: { binary: etcdBinary(), client_port, peer_port } },
    }
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
    const made = { name, file, client: new HttpClient({ address: `127.0.0.1:${http}` }) }
    servers.push({ ...made, program: start(made) })
  }
  await eventually(
    'all are healthy voters',
    async () => {
      for (const server of servers) {
        const found = await peers(server)
        assert.deepEqual(
          found.map(({ Node, Voter }) => [Node, Voter]),
          names.map((name) => [name, true]),
        )
        assert.equal((await server.client.request('GET', '/v1/operator/autopilot/health')).status, 200)
      }
    },
    { timeoutMs: 60_000 },
  )
})

after(async () => {
  for (const { client } of servers) client.close()
  await programs.stop()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

test('a leader that is killed is replaced, and every server says the same of it', async () => {
  const [first] = servers
  assert.ok(first)
  const before = (await peers(first)).find(({ Leader }) => Leader)?.Node
  const leader = servers.find(({ name }) => name === before)
  assert.ok(leader)
  const rest = servers.filter((server) => server !== leader)
  await leader.program.stop('SIGKILL')
  const took = await eventually('another one leads', async () => {
    for (const server of rest) {
      const address = await server.client.json('GET', '/v1/status/leader')
      assert.notEqual(address, '')
      const next = (await peers(server)).find(({ Leader }) => Leader)?.Node
      assert.ok(next !== undefined && next !== before, `${server.name} says ${next}`)
    }
  })
  process.stdout.write(`another server led ${seconds(took)} after the leader was killed\n`)
  for (const server of rest) {
    assert.equal(await server.client.json('PUT', `/v1/kv/${server.name}`, { body: 'after' }), true)
    assert.match(JSON.stringify(await server.client.json('GET', '/v1/agent/connect/ca/leaf/web')), /BEGIN CERTIFICATE/)
  }
  leader.program = start(leader)
  await eventually('it is back, and all are well', async () => {
    for (const server of servers) {
      assert.equal((await server.client.request('GET', '/v1/operator/autopilot/health')).status, 200)
    }
  })
})

test('the lead is handed to the server that is named', async () => {
  for (const target of ['s2', 's3']) {
    const [any] = servers
    assert.ok(any)
    const answer = (await any.client.json('GET', '/v1/operator/raft/configuration')) as {
      Servers: { ID: string; Node: string; Leader: boolean }[]
    }
    const peer = answer.Servers.find(({ Node }) => Node === target)
    if (peer?.Leader) continue
    await any.client.json('POST', '/v1/operator/raft/transfer-leader', { query: { id: peer?.ID } })
    for (const server of servers) assert.equal((await peers(server)).find(({ Leader }) => Leader)?.Node, target)
  }
})
