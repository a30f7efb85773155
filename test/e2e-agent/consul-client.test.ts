/**
 * The npm package `consul`, a client that users have, against a running server: its catalog, health, kv, agent, status
 * and watch calls do what its own documentation says.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import Consul from 'consul'
import { type Gossip, startGossip } from '#gossip'
import { ServerProcess } from './server-process.ts'

const WAIT_MS = 15_000

let server: ServerProcess
let consul: Consul

before(async () => {
  server = await ServerProcess.start()
  consul = new Consul({ host: '127.0.0.1', port: server.httpPort })
})

after(() => server.stop())

/** Asks until it is true; the time is a limit for failures only. */
async function eventually(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not seen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function portOf(listening: Server): Promise<number> {
  await once(listening.listen(0, '127.0.0.1'), 'listening')
  const address = listening.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const isNotFound = { statusCode: 404 }

test('status: leader() and peers() name the server port', async () => {
  const address = `127.0.0.1:${server.rpcPort}`
  assert.equal(await consul.status.leader(), address)
  assert.deepEqual(await consul.status.peers(), [address])
})

test('kv: set(), get(), keys() and del() keep what was written, flags and binary values included', async () => {
  assert.equal(await consul.kv.set('a/text', 'wörld'), true)
  assert.equal(await consul.kv.set({ key: 'a/flagged', value: 'x', flags: 42 }), true)
  assert.equal((await consul.kv.get('a/text'))?.Value, 'wörld')
  assert.equal((await consul.kv.get('a/flagged'))?.Flags, 42)
  const bytes = Buffer.from([0, 255, 1, 254])
  await consul.kv.set('a/bytes', bytes)
  assert.deepEqual(await consul.kv.get({ key: 'a/bytes', raw: true }), bytes)
  assert.deepEqual(await consul.kv.keys('a/'), ['a/bytes', 'a/flagged', 'a/text'])
  const all = await consul.kv.get({ key: 'a/', recurse: true })
  assert.equal(Array.isArray(all) && all.length, 3)
  await consul.kv.set('a/b/c', '')
  assert.deepEqual(await consul.kv.keys({ key: 'a/', separator: '/' }), ['a/b/', 'a/bytes', 'a/flagged', 'a/text'])
  assert.equal(await consul.kv.del('a/text'), true)
  assert.equal(await consul.kv.get('a/text'), undefined)
  assert.equal(await consul.kv.del({ key: 'a/', recurse: true }), true)
  await assert.rejects(consul.kv.keys('a/'), isNotFound)
})

test('kv: set() and del() with `cas` change nothing when the index is not the last one', async () => {
  assert.equal(await consul.kv.set({ key: 'cas', value: 'one', cas: 0 }), true)
  assert.ok(!(await consul.kv.set({ key: 'cas', value: 'two', cas: 0 }))) // the package makes undefined of false
  const index = (await consul.kv.get('cas'))?.ModifyIndex ?? 0
  assert.ok(!(await consul.kv.del({ key: 'cas', cas: index + 1 })))
  assert.equal((await consul.kv.get('cas'))?.Value, 'one')
  assert.equal(await consul.kv.del({ key: 'cas', cas: index }), true)
})

test('catalog: register(), the lists and deregister()', async () => {
  await consul.catalog.register({
    node: 'elsewhere',
    address: '192.0.2.7',
    service: { id: 'db1', service: 'db', tags: ['main'], port: 5432, meta: { v: '1' }, address: '' },
    check: { node: 'elsewhere', name: 'up', checkid: 'db-up', serviceid: 'db1', status: 'passing', notes: '' },
  })
  assert.deepEqual(await consul.catalog.datacenters(), ['dc1'])
  const nodes: { Node: string }[] = await consul.catalog.node.list()
  assert.deepEqual(nodes.map((node) => node.Node).sort(), ['elsewhere', 's1'])
  const { Services } = await consul.catalog.node.services('elsewhere')
  assert.deepEqual(Object.keys(Services), ['db1'])
  assert.deepEqual((await consul.catalog.service.list())['db'], ['main'])
  const [instance] = await consul.catalog.service.nodes('db')
  assert.equal(instance?.ServicePort, 5432)
  assert.deepEqual(await consul.catalog.service.nodes({ service: 'db', tag: 'other' }), [])
  assert.deepEqual(await consul.catalog.connect.nodes('db'), [])
  assert.equal((await consul.health.service({ service: 'db', passing: true })).length, 1)
  await consul.catalog.deregister({ node: 'elsewhere', serviceid: 'db1' })
  assert.deepEqual(await consul.catalog.service.nodes('db'), [])
  await consul.catalog.deregister('elsewhere')
  assert.equal((await consul.catalog.node.list()).length, 1)
})

test('agent: self() and members() describe the server', async () => {
  const self = await consul.agent.self()
  assert.equal(self['Config']?.['Datacenter'], 'dc1')
  assert.equal(self['Config']?.['NodeName'], 's1')
  const [member] = await consul.agent.members()
  assert.equal(member?.['Name'], 's1')
  assert.equal(member?.['Status'], 1)
})

test('agent.service: register() with checks, list(), maintenance() and deregister() are seen by the catalog', async () => {
  await consul.agent.service.register({
    name: 'web',
    id: 'web1',
    tags: ['v1', 'blue'],
    port: 8080,
    address: '192.0.2.10',
    meta: { version: '1' },
    check: { name: 'told by the service', ttl: '60s', timeout: '5s', status: 'passing' },
  })
  const services = await consul.agent.service.list()
  assert.deepEqual(services['web1']?.Tags, ['v1', 'blue'])
  const passing = async () => (await consul.health.service({ service: 'web', passing: true })).length
  await eventually('web passing in the catalog', async () => (await passing()) === 1)
  await consul.agent.service.maintenance({ id: 'web1', enable: true, reason: 'upgrade' })
  await eventually('web in maintenance', async () => (await passing()) === 0)
  await consul.agent.service.maintenance({ id: 'web1', enable: false })
  await eventually('web out of maintenance', async () => (await passing()) === 1)
  await consul.agent.service.deregister('web1')
  await eventually('web gone', async () => (await consul.catalog.service.nodes('web')).length === 0)
  await assert.rejects(consul.agent.service.deregister('web1'), isNotFound)
})

test('agent.check: a TTL check follows pass(), warn() and fail()', async () => {
  await consul.agent.check.register({ name: 'heart', checkid: 'heart', ttl: '60s', timeout: '5s', notes: 'n' })
  const status = async () => (await consul.agent.check.list())['heart']?.Status
  const inCatalog = async () => {
    const checks: { CheckID: string; Status: string }[] = await consul.health.node('s1')
    return checks.find((check) => check.CheckID === 'heart')?.Status
  }
  assert.equal(await status(), 'critical')
  await consul.agent.check.pass({ id: 'heart', note: 'beats' })
  assert.equal(await status(), 'passing')
  await eventually('passing in the catalog', async () => (await inCatalog()) === 'passing')
  await consul.agent.check.warn('heart')
  assert.equal(await status(), 'warning')
  await consul.agent.check.fail({ id: 'heart', note: 'stopped' })
  assert.equal(await status(), 'critical')
  await eventually('critical in the catalog', async () => (await inCatalog()) === 'critical')
  const critical: { CheckID: string; Output: string }[] = await consul.health.state('critical')
  assert.equal(critical.find((check) => check.CheckID === 'heart')?.Output, 'stopped')
  await consul.agent.check.deregister('heart')
  assert.equal(await status(), undefined)
  await assert.rejects(consul.agent.check.pass('heart'), isNotFound)
})

test('agent.check: HTTP and TCP checks probe what they name', async () => {
  const target = createServer((request, response) => {
    response.writeHead(request.url === '/ok' ? 200 : 503)
    response.end()
  })
  const port = await portOf(target)
  try {
    const url = `http://127.0.0.1:${port}`
    await consul.agent.check.register({ name: 'http-ok', http: `${url}/ok`, interval: '100ms', timeout: '5s' })
    await consul.agent.check.register({
      name: 'http-bad',
      http: `${url}/bad`,
      interval: '100ms',
      timeout: '5s',
      status: 'passing',
    })
    await consul.agent.check.register({ name: 'tcp', tcp: `127.0.0.1:${port}`, interval: '100ms', timeout: '5s' })
    await eventually('all three probed', async () => {
      const { 'http-ok': ok, 'http-bad': bad, tcp } = await consul.agent.check.list()
      return ok?.Status === 'passing' && bad?.Status === 'critical' && tcp?.Status === 'passing'
    })
  } finally {
    for (const id of ['http-ok', 'http-bad', 'tcp']) await consul.agent.check.deregister(id)
    target.close()
  }
})

test('agent: maintenance() marks the node and unmarks it', async () => {
  const maintained = async () => '_node_maintenance' in (await consul.agent.check.list())
  await consul.agent.maintenance({ enable: true, reason: 'disk' })
  assert.equal(await maintained(), true)
  await consul.agent.maintenance(false)
  assert.equal(await maintained(), false)
})

test('agent: reload() reads the configuration again', async () => {
  await consul.agent.reload()
  assert.match(server.output, /configuration reloaded/)
})

async function lanMember(name: string): Promise<Gossip> {
  const id = '33333333-3333-4333-8333-333333333333'
  const tags = { role: 'node', dc: 'dc1', id, vsn: '2', vsn_min: '2', vsn_max: '3', build: '1.21.0:', segment: '' }
  return startGossip({
    nodeName: name,
    datacenter: 'dc1',
    nodeId: id,
    lan: { bindAddress: '127.0.0.1', bindPort: 0, tags },
  })
}

test('agent: join() brings a member into the pool, forceLeave() ends it; both say when they cannot', async () => {
  const other = await lanMember('other')
  try {
    await consul.agent.join(`127.0.0.1:${other.lan.port}`)
    const statusOf = async (name: string) => {
      const members: readonly Record<string, unknown>[] = await consul.agent.members()
      return members.find((member) => member['Name'] === name)?.['Status']
    }
    await eventually('the joined member', async () => (await statusOf('other')) === 1)
    await eventually('the member in the catalog', async () => (await consul.catalog.node.list()).length === 2)
    await other.shutdown()
    await eventually('the member failed', async () => (await statusOf('other')) === 4)
    await consul.agent.forceLeave('other')
    await eventually('the member left', async () => (await statusOf('other')) === 3)
    await eventually('the catalog without it', async () => (await consul.catalog.node.list()).length === 1)
  } finally {
    await other.shutdown()
  }
  await assert.rejects(consul.agent.forceLeave('ghost'), /No node found with name 'ghost'/)
  await assert.rejects(consul.agent.join('127.0.0.1:1'), { statusCode: 500 })
})

test('watch: a change of a key and of a service reaches the watcher', async () => {
  await consul.kv.set('watched', 'one')
  const seen: (string | null | undefined)[] = []
  const key = consul.watch({ method: consul.kv.get, options: { key: 'watched' } })
  key.on('change', (item: { Value: string | null } | undefined) => seen.push(item?.Value))
  const counts: number[] = []
  const service = consul.watch({ method: consul.health.service, options: { service: 'watched', passing: 'true' } })
  service.on('change', (list: readonly unknown[]) => counts.push(list.length))
  try {
    await eventually('the first value and the empty list', async () => seen.length === 1 && counts.length === 1)
    await consul.kv.set('watched', 'two')
    await eventually('the second value', async () => seen.length === 2)
    await consul.agent.service.register({ name: 'watched', port: 1 })
    await eventually('the new instance', async () => counts.at(-1) === 1)
    await consul.kv.del('watched')
    await eventually('the key gone', async () => seen.at(-1) === undefined && seen.length === 3)
    assert.deepEqual(seen, ['one', 'two', undefined])
  } finally {
    key.end()
    service.end()
    await consul.agent.service.deregister('watched')
  }
})

test('an unknown datacenter is refused in the words that clients match', async () => {
  await assert.rejects(consul.catalog.node.list({ dc: 'dc9' }), /No path to datacenter/)
})
