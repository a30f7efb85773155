/**
 * Registering again, replacing, deregistering: what changes and what must not.
 */
import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock } from '#base'
import { checkOf, fixture, held, keep, pumped, replaceAll, serviceOf, until } from './local-fixture.ts'

const ids = (records: readonly { readonly CheckID: string }[]) => records.map(({ CheckID }) => CheckID).sort()

const WEB = {
  Name: 'web',
  ID: 'web1',
  Tags: ['v1', 'Blue'],
  Port: 8080,
  Address: '127.0.0.9',
  Meta: { version: '1' },
  Connect: {
    SidecarService: { Proxy: { Config: { a: { b: [1, 2.5, 'c', null] } }, Upstreams: [{ DestinationName: 'db' }] } },
  },
  Checks: [{ CheckID: 'ttl', TTL: '60s', Status: 'passing' }],
}

test('registering the same again changes nothing: no index, no state, no file, no object', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerService(serviceOf(WEB), keep)
  await agent.updateTtl('ttl', 'warning', 'hm')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const before = { index: at.state.index, calls: at.calls.length, services: agent.services(), ttl: agent.check('ttl') }
  for (const options of [keep, replaceAll]) await agent.registerService(serviceOf(WEB), options)
  assert.deepEqual([at.state.index, at.calls.length], [before.index, before.calls])
  for (const [position, service] of agent.services().entries()) assert.equal(service, before.services[position])
  assert.equal(agent.check('ttl'), before.ttl)
})

test('a check that is registered again keeps its state; what it says of itself is new', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerService(serviceOf(WEB), keep)
  await agent.updateTtl('ttl', 'warning', 'hm')
  await agent.registerService(
    serviceOf({ ...WEB, Name: 'renamed', Checks: [{ CheckID: 'ttl', TTL: '1h', Status: 'critical', Notes: 'new' }] }),
    keep,
  )
  const record = held(at).checks.find(({ CheckID }) => CheckID === 'ttl')
  const { Status, Output, Notes, ServiceName } = record ?? {}
  assert.deepEqual([Status, Output, Notes, ServiceName], ['warning', 'hm', 'new', 'renamed'])
})

test('replace-existing-checks decides about checks that a registration does not name; maintenance stays', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerService(serviceOf({ Name: 'web', Check: { CheckID: 'a', TTL: '1h' } }), keep)
  await agent.registerCheck(checkOf({ Name: 'b', ServiceID: 'web', TTL: '1h' }))
  await agent.serviceMaintenance('web', true, 'why')
  const without = serviceOf({ Name: 'web', Check: { CheckID: 'c', TTL: '1h' } })
  await agent.registerService(without, keep)
  const all = ['_service_maintenance:web', 'a', 'b', 'c']
  assert.deepEqual([ids(agent.checks()), ids(held(at).checks)], [all, all])
  await agent.stop()
  const second = await at.start()
  assert.deepEqual(ids(second.checks()), all, 'over a restart too')
  await second.registerService(without, replaceAll)
  const left = ['_service_maintenance:web', 'c']
  assert.deepEqual([ids(second.checks()), ids(held(at).checks)], [left, left])
  await second.stop()
  assert.deepEqual(ids((await at.start()).checks()), left)
})

test('deregistering takes checks, sidecar and files along, and a sidecar can go alone for good', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerService(serviceOf(WEB), keep)
  await agent.registerCheck(checkOf({ Name: 'more', ServiceID: 'web1', TTL: '1h' }))
  await agent.updateTtl('ttl', 'passing', '')
  await agent.deregisterService('web1-sidecar-proxy')
  await agent.stop()
  const second = await at.start()
  assert.deepEqual(
    second.services().map(({ ID }) => ID),
    ['web1'],
  )
  await second.deregisterService('web1')
  assert.deepEqual(held(at), { services: [], checks: [] })
  for (const kind of ['services', 'checks', 'check-state']) assert.deepEqual(readdirSync(join(at.dataDir, kind)), [])
})

test('a definition that asks for no sidecar any more has none', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerService(serviceOf(WEB), keep)
  await agent.registerService(serviceOf({ ...WEB, Connect: null }), keep)
  assert.deepEqual(
    held(at).services.map(({ ID }) => ID),
    ['web1'],
  )
})

test('a check moves to the service that registers its ID next', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const body = (Name: string) => serviceOf({ Name, Check: { CheckID: 'shared', TTL: '1h' } })
  for (const name of ['a', 'b']) await agent.registerService(body(name), keep)
  assert.equal(held(at).checks[0]?.ServiceName, 'b')
  await agent.deregisterService('a')
  assert.deepEqual(ids(held(at).checks), ['shared'])
})

test('a sidecar of a sidecar, and more sidecars than ports, are refused and change nothing', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  const nested = { Name: 'web', Port: 1, Connect: { SidecarService: { Connect: { SidecarService: {} } } } }
  await assert.rejects(agent.registerService(serviceOf(nested), keep), { code: 'NESTED_SIDECAR', status: 400 })
  const services = Array.from({ length: 256 }, (_, i) => ({ Name: `s${i}`, Port: 21_000 + i }))
  await agent.loadDefinitions(services, [])
  const body = serviceOf({ Name: 'web', Port: 1, Connect: { SidecarService: {} } })
  await assert.rejects(agent.registerService(body, keep), { code: 'SIDECAR_PORTS_USED_UP' })
  assert.equal(agent.service('web'), undefined)
  await assert.rejects(
    agent.loadDefinitions([{ Name: 'x' }, { Name: 'y', Check: { GRPC: 'z', Interval: '1s' } }], []),
    { code: 'CHECK_KIND_UNSUPPORTED' },
  )
  await assert.rejects(agent.loadDefinitions([], [{ Name: 'x', ServiceID: 's1', TTL: '1s' }]), {
    code: 'SERVICE_OF_CHECK',
  })
  assert.equal(agent.services().length, 256)
})

test('a data directory that takes no files refuses registrations whole; heartbeats still count', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await agent.registerCheck(checkOf({ Name: 'ttl', TTL: '1h' }))
  // Permissions do not bind root: a file in the place of the directory binds everybody.
  for (const kind of ['services', 'checks', 'check-state']) {
    rmSync(join(at.dataDir, kind), { recursive: true })
    writeFileSync(join(at.dataDir, kind), '')
  }
  const { index } = at.state
  await assert.rejects(agent.registerService(serviceOf(WEB), keep), { code: 'LOCAL_FILE_UNWRITABLE' })
  await assert.rejects(agent.registerCheck(checkOf({ Name: 'c', TTL: '1h' })), { code: 'LOCAL_FILE_UNWRITABLE' })
  await assert.rejects(agent.nodeMaintenance(true, ''), { code: 'LOCAL_FILE_UNWRITABLE' })
  await assert.rejects(agent.deregisterCheck('ttl'), { code: 'LOCAL_FILE_UNWRITABLE' })
  assert.deepEqual([agent.services(), ids(agent.checks()), at.state.index], [[], ['ttl'], index])
  await agent.updateTtl('ttl', 'passing', 'alive')
  assert.equal(held(at).checks[0]?.Status, 'passing')
  await assert.rejects(at.start(), { code: 'LOCAL_FILE_UNWRITABLE' })
})

test('listeners hear once of each change, after it, and may change things themselves', async (context) => {
  const agent = await (await fixture(context)).start()
  const seen: number[] = []
  let nested: Promise<void> | undefined
  const cancel = agent.onServiceChange(() => {
    seen.push(agent.services().length)
    if (seen.length === 1) nested = agent.registerService(serviceOf({ Name: 'second' }), keep)
  })
  await agent.registerService(serviceOf(WEB), keep)
  await nested
  assert.deepEqual(seen, [2, 3])
  cancel()
  await agent.deregisterService('second')
  assert.equal(seen.length, 2)
})

test('a service whose check is critical for too long is deregistered, a minute at the soonest', async (context) => {
  const clock = new ManualClock()
  const at = await fixture(context, { clock })
  const agent = await at.start()
  const register = (more: object = {}) => {
    const check = { TTL: '24h', DeregisterCriticalServiceAfter: '10s' }
    return pumped(agent.registerService(serviceOf({ Name: 'web', Check: check, ...more }), keep), clock)
  }
  await register()
  clock.advance(59_000)
  await register({ Port: 1 })
  assert.equal(agent.services().length, 1)
  clock.advance(31_000)
  assert.deepEqual(agent.services(), [], 'registering again is no sign of life')
  await register()
  await pumped(agent.updateTtl('service:web', 'passing', ''), clock)
  clock.advance(3_600_000)
  await pumped(agent.updateTtl('service:web', 'critical', ''), clock)
  clock.advance(59_000)
  assert.equal(agent.services().length, 1)
  clock.advance(60_000)
  assert.deepEqual(agent.services(), [])
  await until('the catalog has none either', () => held(at).services.length === 0, clock)
})

test('an output alone reaches the catalog only now and then', async (context) => {
  const clock = new ManualClock()
  const at = await fixture(context, { clock })
  const agent = await at.start({ checkUpdateIntervalMs: 300_000 })
  await pumped(agent.registerCheck(checkOf({ Name: 'ttl', TTL: '24h', Status: 'passing' })), clock)
  const beat = async (output: string) => {
    await pumped(agent.updateTtl('ttl', 'passing', output), clock)
    await pumped(new Promise((resolve) => setTimeout(resolve, 5)), clock)
    return held(at).checks[0]?.Output
  }
  assert.deepEqual([await beat('1'), await beat('2')], ['', ''])
  clock.advance(299_000)
  assert.equal(await beat('3'), '')
  clock.advance(1_000)
  await until('the last output is in the catalog', () => held(at).checks[0]?.Output === '3', clock)
})
