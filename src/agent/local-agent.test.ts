/**
 * Local services and checks against a real catalog and real files.
 */
import assert from 'node:assert/strict'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededRandom } from '#base'
import { HealthCheck, NodeService, RegisterRequest } from '#codec'
import { catalog } from '#endpoints'
import type { LocalAgent } from './local-agent.ts'
import { checkOf, fixture, held, keep, NODE, serviceOf, until } from './local-fixture.ts'

test('registerService() is in the catalog, with its checks and sidecar, when it resolves', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerService(
    serviceOf({
      Name: 'web',
      ID: 'web1',
      Port: 8080,
      Connect: { SidecarService: {} },
      Check: { Name: 'alive', TTL: '60s' },
    }),
    keep,
  )
  const { services, checks } = held(at)
  assert.deepEqual(
    services.map(({ ID, Service, Kind, Port }) => [ID, Service, Kind, Port]),
    [
      ['web1', 'web', '', 8080],
      ['web1-sidecar-proxy', 'web-sidecar-proxy', 'connect-proxy', 21_000],
    ],
  )
  assert.deepEqual(
    checks.map(({ CheckID, Name, Type, Output }) => [CheckID, Name, Type, Output]),
    [
      ['service:web1', 'alive', 'ttl', ''],
      ['service:web1-sidecar-proxy:1', 'Connect Sidecar Listening', 'tcp', ''],
      ['service:web1-sidecar-proxy:2', 'Connect Sidecar Aliasing web1', 'alias', 'Aliased check "alive" failing: '],
    ],
  )
  await agent.updateTtl('service:web1', 'passing', '')
  await until('the alias follows', () => agent.check('service:web1-sidecar-proxy:2')?.Status === 'passing')
})

test('a sidecar keeps its port when it is registered again and after a restart', async (context) => {
  const at = await fixture(context)
  const first = await at.start()
  const sidecar = (Name: string) => serviceOf({ Name, Port: 80, Connect: { SidecarService: {} } })
  for (const name of ['a', 'b', 'c']) await first.registerService(sidecar(name), keep)
  await first.deregisterService('a')
  await first.registerService(sidecar('c'), keep)
  const ports = (agent: LocalAgent) => ['b', 'c'].map((name) => agent.service(`${name}-sidecar-proxy`)?.Port)
  assert.deepEqual(ports(first), [21_001, 21_002])
  await first.stop()
  assert.deepEqual(ports(await at.start()), [21_001, 21_002])
})

test('a sidecar that cannot be leaves nothing behind', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const body = { Name: 'web', Port: 80, Connect: { SidecarService: { Check: { HTTP: 'http://127.0.0.1' } } } }
  await assert.rejects(agent.registerService(serviceOf(body), keep), { status: 400 })
  const unknown = { Name: 'web', Port: 80, Connect: { SidecarService: { nope: 1 } } }
  await assert.rejects(agent.registerService(serviceOf(unknown), keep), /nope/)
  assert.deepEqual(agent.services(), [])
  assert.deepEqual(readdirSync(join(at.dataDir, 'services')), [])
})

test('services, checks, TTL states and maintenance outlive a restart; files are 0600', async (context) => {
  const at = await fixture(context)
  const services = [{ Name: 'from-file', Port: 1 }]
  const first = await at.start({ services })
  await first.registerService(serviceOf({ Name: 'web', Port: 80, Check: { TTL: '1h' } }), keep)
  await first.registerCheck(checkOf({ Name: 'extra', TTL: '1h', ServiceID: 'from-file' }))
  await first.updateTtl('service:web', 'warning', 'hm')
  await first.serviceMaintenance('web', true, 'upgrade')
  await first.stop()
  const files = ['services', 'checks', 'check-state'].flatMap((kind) =>
    readdirSync(join(at.dataDir, kind)).map((name) => join(at.dataDir, kind, name)),
  )
  for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600)
  const second = await at.start({ services })
  const [web, extra, maintenance] = ['service:web', 'extra', '_service_maintenance:web'].map((id) => second.check(id))
  assert.deepEqual([web?.Status, web?.Output], ['warning', 'hm'])
  assert.equal(extra?.ServiceName, 'from-file')
  assert.equal(maintenance?.Notes, 'upgrade')
  await second.serviceMaintenance('web', false, '')
  await second.stop()
  assert.equal((await at.start()).check('_service_maintenance:web'), undefined)
})

test('start() puts a corrupt file aside and goes on', async (context) => {
  const at = await fixture(context)
  await (await at.start()).stop()
  writeFileSync(join(at.dataDir, 'services', 'bad.json'), '{"Name":')
  const agent = await at.start()
  assert.deepEqual(agent.services(), [])
  assert.deepEqual(readdirSync(join(at.dataDir, 'services')), ['bad.json.corrupt'])
})

test('start() survives files with any content, and runs nothing that it could not register', async (context) => {
  const at = await fixture(context)
  await (await at.start()).stop()
  const random = seededRandom(7)
  const good =
    '{"Name":"web","Port":80,"TTL":3600000000000,"Connect":{"SidecarService":{}},"id":"web","expiresWallMs":1}'
  const fixed = [
    'null',
    '[]',
    '{}',
    '1',
    '{"Name":"x","GRPC":"y","Interval":1}',
    '{"Name":"x","Check":{"GRPC":"y","Interval":1}}',
  ]
  const mutated = Array.from({ length: 60 }, () => {
    const bytes = Buffer.from(good)
    for (let count = 1 + random.int(4); count > 0; count--) bytes[random.int(bytes.length)] = random.int(256)
    return bytes
  })
  for (const kind of ['services', 'checks', 'check-state']) {
    for (const [index, content] of [...fixed, ...mutated].entries()) {
      writeFileSync(join(at.dataDir, kind, `${index}.json`), content)
    }
  }
  const agent = await at.start()
  for (const { ID, Service } of agent.services()) assert.ok(ID !== '' && Service !== '')
  assert.ok(readdirSync(join(at.dataDir, 'services')).includes('0.json.corrupt'))
})

test('loadDefinitions() replaces what the configuration gave and leaves what came by HTTP', async (context) => {
  const at = await fixture(context)
  const agent = await at.start({
    services: [{ Name: 'old' }, { Name: 'both', Check: { TTL: '1h' } }],
  })
  await agent.registerService(serviceOf({ Name: 'http' }), keep)
  await agent.registerCheck(checkOf({ Name: 'mine', TTL: '1h', ServiceID: 'both' }))
  await agent.loadDefinitions([{ Name: 'both', Port: 7 }], [{ Name: 'gone', TTL: '1h', ServiceID: 'http' }])
  assert.deepEqual(
    agent
      .services()
      .map(({ ID, Port }) => [ID, Port])
      .sort(),
    [
      ['both', 7],
      ['http', 0],
    ],
  )
  assert.deepEqual(
    agent
      .checks()
      .map(({ CheckID }) => CheckID)
      .sort(),
    ['gone', 'mine'],
  )
  await agent.loadDefinitions([{ Name: 'both', Port: 7 }], [])
  assert.deepEqual(
    held(at).checks.map(({ CheckID }) => CheckID),
    ['mine'],
  )
})

test('the recorded errors are said word for word', async (context) => {
  const agent = await (await fixture(context)).start()
  const service = 'Unknown service ID "x". Ensure that the service ID is passed, not the service name.'
  const check = 'Unknown check ID "x". Ensure that the check ID is passed, not the check name.'
  await assert.rejects(agent.deregisterService('x'), { status: 404, message: service })
  await assert.rejects(agent.serviceMaintenance('x', true, ''), { status: 404, message: service })
  await assert.rejects(agent.deregisterCheck('x'), { status: 404, message: check })
  await assert.rejects(agent.updateTtl('x', 'passing', ''), { status: 404, message: check })
  const lost = checkOf({ Name: 'x', ServiceID: 'nope', TTL: '3s' })
  await assert.rejects(agent.registerCheck(lost), { status: 404, message: 'ServiceID "nope" does not exist' })
  await agent.registerCheck(checkOf({ Name: 'al', AliasService: 'web1' }))
  const notTtl = 'CheckID "al" does not have associated TTL'
  await assert.rejects(agent.updateTtl('al', 'passing', ''), { status: 500, message: notTtl })
  await agent.registerCheck(checkOf({ Name: 'disk', TTL: '30s' }))
  await agent.updateTtl('disk', 'warning', 'o'.repeat(4200))
  assert.equal(agent.check('disk')?.Output, `${'o'.repeat(4096)} ... (captured 4096 of 4200 bytes)`)
})

test('aliases that stand for each other recover when what they stand for does', async (context) => {
  const agent = await (await fixture(context)).start()
  for (const [name, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const checks = [
      { TTL: '1h', CheckID: `ttl-${name}`, Status: 'passing' },
      { CheckID: `alias-${name}`, AliasService: other },
    ]
    await agent.registerService(serviceOf({ Name: name, Checks: checks }), keep)
  }
  const states = () => ['alias-a', 'alias-b'].map((id) => agent.check(id)?.Status)
  assert.deepEqual(states(), ['passing', 'passing'])
  await agent.updateTtl('ttl-a', 'critical', 'down')
  assert.deepEqual(states(), ['critical', 'critical'])
  await agent.updateTtl('ttl-a', 'passing', '')
  assert.deepEqual(states(), ['passing', 'passing'])
})

test('the catalog loses what this agent does not know, but for the server and its health', async (context) => {
  const at = await fixture(context)
  await at.endpoints.call(
    catalog.register,
    RegisterRequest.of({
      Node: NODE,
      SkipNodeUpdate: true,
      Checks: ['serfHealth', 'foreign'].map((CheckID) => HealthCheck.of({ CheckID, Name: CheckID, Status: 'passing' })),
    }),
  )
  for (const Service of ['consul', 'stranger']) {
    const request = RegisterRequest.of({ Node: NODE, SkipNodeUpdate: true, Service: NodeService.of({ Service }) })
    await at.endpoints.call(catalog.register, request)
  }
  await at.start()
  assert.deepEqual(
    held(at).services.map(({ ID }) => ID),
    ['consul'],
  )
  assert.deepEqual(
    held(at).checks.map(({ CheckID }) => CheckID),
    ['serfHealth'],
  )
})

test('tags that others may override stay overridden until the service is registered anew', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const body = (Tags: readonly string[]) =>
    serviceOf({ Name: 'web', Tags, EnableTagOverride: true, Check: { TTL: '1h', Status: 'passing' } })
  await agent.registerService(body(['ours']), keep)
  const [service = null] = held(at).services
  const theirs = service && { ...service, Tags: ['theirs'] }
  await at.endpoints.call(catalog.register, RegisterRequest.of({ Node: NODE, SkipNodeUpdate: true, Service: theirs }))
  await agent.updateTtl('service:web', 'warning', '')
  assert.deepEqual([held(at).services[0]?.Tags, agent.service('web')?.Tags], [['theirs'], ['theirs']])
  await agent.registerService(body(['new']), keep)
  assert.deepEqual(held(at).services[0]?.Tags, ['new'])
})

test('more checks than one registration may hold all come into the catalog', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const Checks = Array.from({ length: 100 }, () => ({ TTL: '1h' }))
  await agent.registerService(serviceOf({ Name: 'many', Checks }), keep)
  assert.equal(held(at).checks.length, 100)
  await agent.registerService(serviceOf({ Name: 'renamed', ID: 'many', Checks }), keep)
  const more = checkOf({ Name: 'more', ServiceID: 'many', TTL: '1h' })
  await assert.rejects(agent.registerCheck(more), { code: 'TOO_MANY_CHECKS', status: 400 })
  assert.ok(held(at).checks.every(({ ServiceName }) => ServiceName === 'renamed'))
  await agent.deregisterService('many')
  assert.deepEqual(held(at), { services: [], checks: [] })
})

test('a service that the catalog refuses keeps no other out', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const Notes = 'x'.repeat(1_100_000)
  const bad = serviceOf({ Name: 'bad', Check: { TTL: '1h', Notes } })
  await Promise.all([agent.registerService(bad, keep), agent.registerService(serviceOf({ Name: 'good' }), keep)])
  await agent.registerService(serviceOf({ Name: 'later' }), keep)
  const found = held(at).services.map(({ ID }) => ID)
  assert.ok(found.includes('good') && found.includes('later'))
})

test('IDs that cannot be keys are refused', async (context) => {
  const agent = await (await fixture(context)).start()
  for (const ID of ['a\0b', 'x'.repeat(1_025)]) {
    await assert.rejects(agent.registerService(serviceOf({ Name: 'web', ID }), keep), {
      code: 'ID_INVALID',
      status: 400,
    })
    await assert.rejects(agent.registerCheck(checkOf({ Name: 'web', ID, TTL: '1h' })), { code: 'ID_INVALID' })
  }
  assert.deepEqual([agent.services(), agent.checks()], [[], []])
})
