/**
 * Three datacenters that deny by default: what is written in any of them is in force in all, tokens are good at once,
 * local ones stay where they are, and what is known goes on without the primary.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freePorts } from '#local'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

/** Longer than a change may need on a slow machine; what it took is printed. */
const IN_FORCE = { timeoutMs: 10_000 }
const STARTED = { timeoutMs: 30_000 }
const MANAGEMENT = 'aaaaaaaa-1111-4000-8000-00000000000a'
const REPLICATION = 'bbbbbbbb-2222-4000-8000-00000000000b'
const GATEWAY = 'dddddddd-4444-4000-8000-00000000000d'
const REPLICATION_RULES = `
  acl = "write"
  operator = "write"
  agent_prefix "" { policy = "read" }
  node_prefix "" { policy = "write" }
  service_prefix "" { policy = "read" intentions = "read" }`

/** No more than a gateway needs, as docs/operating.md says. */
const GATEWAY_RULES = `
  service "mesh-gateway" { policy = "write" }
  node_prefix "" { policy = "read" }
  service_prefix "" { policy = "read" }
  agent_prefix "" { policy = "read" }`

/** Passing from the start: the default is a look every ten seconds. */
const ALIVE = { Name: 'alive', TTL: '1h', Status: 'passing' }

const bed = new TestBed()
let all: readonly [Datacenter, Datacenter, Datacenter]

const acl = { enabled: true, default_policy: 'deny', down_policy: 'extend-cache', enable_token_persistence: true }

before(async () => {
  const primaryGateway = await bed.address()
  const dc1 = await bed.make({
    name: 'dc1',
    token: MANAGEMENT,
    programToken: GATEWAY,
    settings: { acl: { ...acl, tokens: { initial_management: MANAGEMENT } } },
  })
  const secondary = {
    token: MANAGEMENT,
    programToken: GATEWAY,
    primaryGateways: [primaryGateway],
    settings: { acl: { ...acl, enable_token_replication: true } },
  }
  const dc2 = await bed.make({ name: 'dc2', ...secondary })
  const dc3 = await bed.make({ name: 'dc3', ...secondary })
  all = [dc1, dc2, dc3]
  dc1.startServer()
  await dc1.ready()
  for (const [Name, Rules, SecretID] of [
    ['replication', REPLICATION_RULES, REPLICATION],
    ['gateway', GATEWAY_RULES, GATEWAY],
  ]) {
    await dc1.client.json('PUT', '/v1/acl/policy', { body: { Name, Rules } })
    await makeToken(dc1, { SecretID, Policies: [{ Name }] })
  }
  dc1.startGateway(primaryGateway)
  for (const each of [dc2, dc3]) {
    each.startServer()
    await each.ready()
    // Known by nobody here yet: the primary is asked, through its gateway.
    await eventually(
      `${each.name} takes its replication token`,
      () => each.client.expect('PUT', '/v1/agent/token/replication', { body: { Token: REPLICATION } }),
      STARTED,
    )
    each.startGateway(await bed.address())
  }
  await readEachOther(all, STARTED)
})
after(() => bed.stop())

interface Token {
  readonly AccessorID: string
  readonly SecretID: string
}

async function status(where: Datacenter, token: string, method: string, path: string): Promise<number> {
  const client = where.as(token)
  try {
    return (await client.request(method, path, method === 'PUT' ? { body: 'x' } : {})).status
  } finally {
    client.close()
  }
}

async function dialable(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
}

async function makeToken(where: Datacenter, body: object): Promise<Token> {
  return (await where.client.json('PUT', '/v1/acl/token', { body })) as Token
}

test('without a token nothing is shown and nothing is written, anywhere', async () => {
  for (const where of all) {
    const nobody = where.as('')
    assert.deepEqual(await nobody.json('GET', '/v1/catalog/nodes'), [])
    nobody.close()
    assert.equal(await status(where, '', 'PUT', '/v1/kv/k'), 403)
    assert.equal(await status(where, '', 'GET', '/v1/internal/federation-status'), 403)
    assert.equal(await status(where, 'cccccccc-3333-4000-8000-00000000000c', 'GET', '/v1/catalog/nodes'), 403)
  }
})

test('policy, role and token written in any of three datacenters: the token is good at once in all', async () => {
  for (const [at, where] of all.entries()) {
    const name = `from-${where.name}`
    await where.client.json('PUT', '/v1/acl/policy', {
      body: { Name: name, Rules: `key_prefix "${name}/" { policy = "write" }` },
    })
    // Links by name are looked up where the object is written, in the primary.
    const next = all[(at + 1) % all.length] ?? where
    await next.client.json('PUT', '/v1/acl/role', { body: { Name: name, Policies: [{ Name: name }] } })
    const { SecretID } = await makeToken(all[(at + 2) % all.length] ?? where, { Roles: [{ Name: name }] })
    for (const each of all) {
      assert.equal(await status(each, SecretID, 'PUT', `/v1/kv/${name}/x`), 200, `${name} in ${each.name}`)
      assert.equal(await status(each, SecretID, 'PUT', '/v1/kv/other'), 403)
    }
  }
})

test('a changed policy is in force in all datacenters, and a deleted token is refused in all', async (t) => {
  const [dc1, dc2] = all
  const policy = { Name: 'changes', Rules: 'key_prefix "c/" { policy = "write" }' }
  const { ID } = (await dc2.client.json('PUT', '/v1/acl/policy', { body: policy })) as { ID: string }
  const token = await makeToken(dc1, { Policies: [{ ID }] })
  for (const each of all) assert.equal(await status(each, token.SecretID, 'PUT', '/v1/kv/c/x'), 200)
  await dc2.client.json('PUT', `/v1/acl/policy/${ID}`, { body: { ...policy, ID, Rules: '' } })
  const changedMs = await eventually(
    'nobody may write any more',
    async () => {
      for (const each of all) assert.equal(await status(each, token.SecretID, 'PUT', '/v1/kv/c/x'), 403)
    },
    IN_FORCE,
  )
  await dc2.client.json('DELETE', `/v1/acl/token/${token.AccessorID}`)
  const deletedMs = await eventually(
    'nobody knows the token any more',
    async () => {
      for (const each of all) {
        const { body } = await each.client.request('GET', `/v1/acl/token/${token.AccessorID}`)
        assert.match(body.toString(), /token does not exist/)
        assert.equal(await status(each, token.SecretID, 'GET', '/v1/acl/token/self'), 403)
      }
    },
    IN_FORCE,
  )
  t.diagnostic(`changed everywhere after ${seconds(changedMs)}, deleted after ${seconds(deletedMs)}`)
})

test('a local token is good in its datacenter and is not sent to others', async () => {
  const [dc1, dc2] = all
  const body = { Local: true, Policies: [{ Name: 'global-management' }] }
  const { SecretID } = await makeToken(dc2, body)
  assert.equal(await status(dc2, SecretID, 'PUT', '/v1/kv/local'), 200)
  assert.equal(await status(dc1, SecretID, 'GET', '/v1/catalog/nodes'), 403)
  const client = dc2.as(SecretID)
  assert.deepEqual(await client.json('GET', '/v1/catalog/nodes', { query: { dc: 'dc1' } }), [])
  client.close()
})

test('services call each other with no more than a token for themselves, once an intention allows it', async (t) => {
  const [dc1, dc2] = all
  const app = createServer((_, response) => response.end('api in dc2'))
  app.listen(0, '127.0.0.1')
  await once(app, 'listening')
  t.after(() => app.close())
  const [upstream = 0, webSidecar = 0, apiSidecar = 0] = await freePorts(3)
  const proxyDefaults = { Kind: 'proxy-defaults', Name: 'global', MeshGateway: { Mode: 'local' } }
  await dc1.client.json('PUT', '/v1/config', { body: proxyDefaults })
  const upstreams = [{ DestinationName: 'api', Datacenter: 'dc2', LocalBindPort: upstream }]
  const sides = [
    { where: dc2, Name: 'api', Port: (app.address() as AddressInfo).port, Sidecar: { Port: apiSidecar } },
    { where: dc1, Name: 'web', Port: 9, Sidecar: { Port: webSidecar, Proxy: { Upstreams: upstreams } } },
  ]
  for (const { where, Name, Port, Sidecar } of sides) {
    const { SecretID } = await makeToken(dc1, { ServiceIdentities: [{ ServiceName: Name }] })
    const own = where.as(SecretID)
    const service = { Name, Port, Address: '127.0.0.1', Connect: { SidecarService: { ...Sidecar, Checks: [ALIVE] } } }
    await own.expect('PUT', '/v1/agent/service/register', { body: service })
    own.close()
    where.startSidecar(Name, SecretID)
  }
  const call = async () => (await fetch(`http://127.0.0.1:${upstream}`, { headers: { connection: 'close' } })).text()
  await eventually('the sidecar of web listens', () => dialable(upstream), STARTED)
  await assert.rejects(call())
  const query = { source: 'web', destination: 'api' }
  await dc2.client.json('PUT', '/v1/connect/intentions/exact', { query, body: { Action: 'allow' } })
  await eventually('the call is answered', async () => assert.equal(await call(), 'api in dc2'), STARTED)
  await dc1.client.expect('DELETE', '/v1/connect/intentions/exact', { query })
  await eventually('the call is refused', () => assert.rejects(call()), IN_FORCE)
})

test('/v1/acl/replication says that copying goes on', async () => {
  const [dc1, dc2] = all
  const primary = (await dc1.client.json('GET', '/v1/acl/replication')) as { Enabled: boolean }
  assert.equal(primary.Enabled, false)
  const copies = (await dc2.client.json('GET', '/v1/acl/replication')) as Record<string, unknown>
  assert.equal(copies['Running'], true)
  assert.equal(copies['SourceDatacenter'], 'dc1')
  assert.equal(copies['ReplicationType'], 'tokens')
  for (const field of ['ReplicatedIndex', 'ReplicatedRoleIndex', 'ReplicatedTokenIndex']) {
    assert.ok(Number(copies[field]) > 0, field)
  }
})

test('a replication token that was set while running is remembered over a restart', async () => {
  const [dc1, , dc3] = all
  await dc3.server?.stop()
  await dc1.client.json('PUT', '/v1/acl/policy', { body: { Name: 'meanwhile', Rules: '' } })
  dc3.startServer()
  await dc3.ready()
  await eventually(
    'dc3 has what was written meanwhile',
    () => dc3.client.json('GET', '/v1/acl/policy/name/meanwhile'),
    STARTED,
  )
})

test('without the primary, known tokens go on, and global writes fail by name', async () => {
  const [dc1, dc2] = all
  const local = await makeToken(dc2, { Local: true, Policies: [{ Name: 'from-dc1' }] })
  const global = await makeToken(dc1, { Policies: [{ Name: 'from-dc1' }] })
  await eventually('dc2 has the token', () => dc2.client.json('GET', `/v1/acl/token/${global.AccessorID}`), IN_FORCE)
  await dc1.server?.stop('SIGKILL')
  await dc1.gateway?.stop('SIGKILL')
  for (const { SecretID } of [local, global]) {
    assert.equal(await status(dc2, SecretID, 'PUT', '/v1/kv/from-dc1/y'), 200)
    assert.equal(await status(dc2, SecretID, 'PUT', '/v1/kv/other'), 403)
  }
  const { status: code, body } = await dc2.client.request('PUT', '/v1/acl/token', { body: {} })
  assert.equal(code, 500)
  assert.match(body.toString(), /Remote DC has no server currently reachable/)
  await makeToken(dc2, { Local: true })
})

test('no token is in any output, nor in a file that others may read', () => {
  const secrets = [MANAGEMENT, REPLICATION, GATEWAY]
  for (const program of bed.programs.started) {
    for (const secret of secrets) assert.ok(!program.output.includes(secret), `${program.name} tells a token`)
  }
  for (const entry of readdirSync(bed.root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if ((statSync(path).mode & 0o077) === 0) continue
    const text = readFileSync(path, 'latin1')
    for (const secret of secrets) assert.ok(!text.includes(secret), `${path} holds a token and others may read it`)
  }
})
