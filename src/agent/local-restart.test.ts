/**
 * Files over restarts, and what the configuration says beside them.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock, seededRandom } from '#base'
import { checkOf, fixture, held, keep, pumped, serviceOf } from './local-fixture.ts'
import { checkFromJson, checkToJson, serviceFromJson, serviceToJson, stateFromJson } from './local-records.ts'

test('TTL checks go on after a restart with what is left of their time, and expire with it', async (context) => {
  const clock = new ManualClock()
  const at = await fixture(context, { clock })
  const first = await at.start()
  for (const Name of ['long', 'short']) {
    await pumped(first.registerCheck(checkOf({ Name, TTL: Name === 'long' ? '100s' : '10s' })), clock)
    await pumped(first.updateTtl(Name, 'passing', 'well'), clock)
  }
  await pumped(first.stop(), clock)
  clock.advance(60_000)
  const second = await at.start()
  const states = () => ['long', 'short'].map((id) => [second.check(id)?.Status, second.check(id)?.Output])
  assert.deepEqual(states(), [
    ['passing', 'well'],
    ['critical', ''],
  ])
  assert.equal(readdirSync(join(at.dataDir, 'check-state')).length, 1)
  clock.advance(39_000)
  assert.equal(second.check('long')?.Status, 'passing')
  clock.advance(1_000)
  assert.deepEqual(states(), [
    ['critical', 'TTL expired'],
    ['critical', 'TTL expired'],
  ])
})

test('a state from the future gives no check more time than its TTL', async (context) => {
  const clock = new ManualClock()
  const at = await fixture(context, { clock })
  const first = await at.start()
  await pumped(first.registerCheck(checkOf({ Name: 'a', TTL: '10s' })), clock)
  await pumped(first.stop(), clock)
  const state = { id: 'a', status: 'passing', output: '', expiresWallMs: Number.MAX_VALUE }
  writeFileSync(join(at.dataDir, 'check-state', 'x.json'), JSON.stringify(state))
  const second = await at.start()
  assert.equal(second.check('a')?.Status, 'passing')
  clock.advance(10_000)
  assert.equal(second.check('a')?.Status, 'critical')
})

test('the configuration wins over what users registered, at a start and at a reload, and forgets it', async (context) => {
  const at = await fixture(context)
  const configured = [{ Name: 'web', Port: 1, Check: { CheckID: 'theirs', TTL: '1h' } }]
  const first = await at.start({ services: configured, checks: [{ Name: 'disk', TTL: '1h', Notes: 'theirs' }] })
  const own = serviceOf({ Name: 'web', Port: 2, Check: { CheckID: 'mine', TTL: '1h' } })
  await first.registerService(own, keep)
  await first.registerCheck(checkOf({ Name: 'disk', TTL: '1h', Notes: 'mine' }))
  assert.deepEqual([first.service('web')?.Port, first.check('disk')?.Notes], [2, 'mine'])
  await first.loadDefinitions(configured, [{ Name: 'disk', TTL: '1h', Notes: 'theirs' }])
  assert.deepEqual(
    [first.service('web')?.Port, first.check('disk')?.Notes, first.check('mine')],
    [1, 'theirs', undefined],
  )
  await first.registerService(own, keep)
  await first.stop()
  const second = await at.start({ services: configured })
  assert.deepEqual([second.service('web')?.Port, held(at).services[0]?.Port], [1, 1])
  assert.deepEqual(readdirSync(join(at.dataDir, 'services')), [])
  await second.loadDefinitions([], [])
  assert.deepEqual(held(at), { services: [], checks: [] })
})

test('a reload keeps the state of what is as before, and the maintenance and checks of users', async (context) => {
  const at = await fixture(context)
  const services = [{ Name: 'web', Check: { TTL: '1h' }, Connect: { SidecarService: { Port: 0 } }, Port: 1 }]
  const checks = [{ Name: 'of-web', ServiceID: 'web', TTL: '1h' }]
  const agent = await at.start({ services, checks })
  await agent.updateTtl('service:web', 'passing', 'a')
  await agent.updateTtl('of-web', 'warning', 'b')
  await agent.registerCheck(checkOf({ Name: 'users', ServiceID: 'web', TTL: '1h' }))
  await agent.serviceMaintenance('web', true, 'why')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const { index } = at.state
  const before = agent.checks()
  await agent.loadDefinitions(services, checks)
  assert.deepEqual([at.state.index, agent.checks()], [index, before])
  await agent.loadDefinitions([{ Name: 'web', Port: 1 }], [])
  assert.deepEqual(
    held(at).checks.map(({ CheckID }) => CheckID),
    ['_service_maintenance:web', 'users'],
  )
  assert.equal(held(at).services.length, 1, 'the sidecar is gone with the request for it')
})

test('what a check or service needs and has lost puts its file aside, and the rest comes back', async (context) => {
  const at = await fixture(context)
  const services = [{ Name: 'web' }]
  const first = await at.start({ services })
  await first.registerCheck(checkOf({ Name: 'lost', ServiceID: 'web', TTL: '1h' }))
  await first.nodeMaintenance(true, '')
  await first.stop()
  writeFileSync(join(at.dataDir, 'services', 'x.json.new'), 'half')
  const second = await at.start()
  assert.deepEqual(
    second.checks().map(({ CheckID }) => CheckID),
    ['_node_maintenance'],
  )
  assert.equal(readdirSync(join(at.dataDir, 'checks')).filter((name) => name.endsWith('.corrupt')).length, 1)
  assert.deepEqual(readdirSync(join(at.dataDir, 'services')), [])
})

test('records read back as they were written; anything else is refused with an error that says why', async () => {
  const definition = serviceOf({
    Name: 'web',
    Port: 1,
    Connect: { SidecarService: { Port: 21_000 } },
    Check: { TTL: '90s' },
  })
  const service = JSON.parse(JSON.stringify(serviceToJson(definition)))
  assert.deepEqual(serviceFromJson(service), definition)
  const type = checkOf({ Name: 'a', ID: 'b', TTL: '1500ms', Header: { a: ['b'] } })
  for (const spec of [
    { id: 'b', kind: 'ttl', serviceId: 's', type, alone: true },
    { id: 'b', kind: 'ttl', serviceId: 's', type },
  ] as const) {
    const read = checkFromJson(JSON.parse(JSON.stringify(checkToJson({ kind: 'check', spec }))))
    assert.ok(read.kind === 'check')
    assert.deepEqual(
      [read.spec.id, read.spec.alone, read.spec.type.TTL],
      ['b', 'alone' in spec ? true : undefined, 1.5e9],
    )
  }
  const random = seededRandom(3)
  const samples = [
    service,
    checkToJson({ kind: 'maintenance', serviceId: 's', reason: 'r' }),
    { id: 'a', status: 'passing', output: '', expiresWallMs: 1 },
  ]
  for (let round = 0; round < 2_000; round++) {
    const text = Buffer.from(JSON.stringify(samples[round % samples.length]))
    text[random.int(text.length)] = 32 + random.int(95)
    let json: unknown
    try {
      json = JSON.parse(text.toString())
    } catch {
      json = [null, 1, 'text', [], {}, { definition: [] }, { maintenance: 1 }][random.int(7)]
    }
    for (const read of [serviceFromJson, checkFromJson, stateFromJson]) {
      try {
        read(json)
      } catch (error) {
        assert.ok(error instanceof Error && !(error instanceof TypeError) && error.message !== '', String(error))
      }
    }
  }
})

test('each of many registrations at once has a file of its own, whole', async (context) => {
  const at = await fixture(context)
  const agent = await at.start()
  await Promise.all(Array.from({ length: 50 }, (_, i) => agent.registerService(serviceOf({ Name: `s${i}` }), keep)))
  const names = readdirSync(join(at.dataDir, 'services'))
  assert.equal(names.length, 50)
  for (const name of names) JSON.parse(readFileSync(join(at.dataDir, 'services', name), 'utf8'))
})
