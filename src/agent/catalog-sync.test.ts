/**
 * Records of an agent that come to be in the catalog, whatever happens to it on the way.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Clock, ManualClock, silentLogger } from '#base'
import { DeregisterRequest, HealthCheck, NodeService, RegisterRequest, Weights } from '#codec'
import { catalog } from '#endpoints'
import { CatalogSync } from './catalog-sync.ts'
import { countedCatalog, type Fixture, fixture, held, NODE, pumped, until } from './local-fixture.ts'

/** An agent's records, a catalog whose calls are counted and can be made to fail. */
async function setting(context: TestContext) {
  const at: Fixture = await fixture(context)
  const clock = new ManualClock()
  const services = new Map<string, NodeService>()
  const checks = new Map<string, HealthCheck>()
  const deferred = new Set<string>()
  const { endpoints, calls, broken } = countedCatalog(at.endpoints)
  const sync = new CatalogSync(NODE, {
    endpoints,
    state: at.state,
    clock: clock as Clock,
    log: silentLogger,
    records: {
      services: () => [...services.values()],
      service: (id) => services.get(id),
      check: (id) => checks.get(id),
      checksOf: (id) => [...checks.values()].filter((check) => check.ServiceID === id),
      isOutputDeferred: (id) => deferred.has(id),
    },
    onTags: () => {},
  })
  context.after(() => pumped(sync.stop(), clock))
  return {
    at,
    clock,
    calls,
    broken,
    deferred,
    sync,
    service: (ID: string) =>
      void services.set(
        ID,
        NodeService.of({ ID, Service: ID, Tags: [], Weights: Weights.of({ Passing: 1, Warning: 1 }) }),
      ),
    forget: (ID: string) => services.delete(ID),
    check: (CheckID: string, more: Partial<HealthCheck> = {}) =>
      void checks.set(CheckID, HealthCheck.of({ Node: NODE, CheckID, Name: CheckID, Status: 'passing', ...more })),
    /** What the catalog has now. */
    ids: () => [...held(at).services.map(({ ID }) => ID), ...held(at).checks.map(({ CheckID }) => CheckID)],
    passed: (ms: number, work: Promise<unknown> = Promise.resolve()) => {
      clock.advance(ms)
      return pumped(Promise.all([work, new Promise((resolve) => setTimeout(resolve, 20))]), clock)
    },
  }
}

test('what is equal already is not written again, by no pass', async (context) => {
  const { at, clock, calls, sync, service, check, passed } = await setting(context)
  service('web')
  check('a', { ServiceID: 'web', Output: 'o' })
  check('of-node')
  await pumped(sync.start(), clock)
  assert.equal(calls.length, 2)
  const { index } = at.state
  check('a', { ServiceID: 'web', Output: 'o' })
  await pumped(sync.changed('web', 'service'), clock)
  await passed(60_000)
  assert.deepEqual([calls.length, at.state.index], [2, index])
})

test('a pause in which the catalog takes nothing is survived, with ever longer pauses and no loss', async (context) => {
  const { clock, calls, broken, sync, service, ids, passed } = await setting(context)
  broken.on = true
  service('web')
  await pumped(sync.start(), clock)
  for (const ms of [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000]) {
    const before = calls.length
    await passed(ms - 1)
    assert.equal(calls.length, before)
    clock.advance(1)
    await until('it is tried again', () => calls.length > before, clock)
  }
  broken.on = false
  await pumped(sync.changed('web'), clock)
  assert.deepEqual(ids(), ['web'], 'a change does not wait for the end of the pause')
})

test('services of a node that was taken out of the catalog wait until it is back', async (context) => {
  const { at, clock, sync, service, ids, passed } = await setting(context)
  service('web')
  await pumped(sync.start(), clock)
  await at.endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: NODE }))
  await passed(60_000)
  assert.equal(at.state.read((tx) => tx.nodes.get(NODE)).value, undefined, 'no node without an address is made')
  await at.endpoints.call(catalog.register, RegisterRequest.of({ Node: NODE, Address: '127.0.0.1' }))
  clock.advance(15_000)
  await until('the service is back too', () => ids().join() === 'web', clock)
})

test('an output that waits is not written by a full pass, a status takes it along', async (context) => {
  const { at, clock, sync, check, deferred, passed } = await setting(context)
  check('a', { Output: 'one' })
  await pumped(sync.start(), clock)
  check('a', { Output: 'two' })
  deferred.add('a')
  await passed(60_000)
  assert.equal(held(at).checks[0]?.Output, 'one')
  check('a', { Output: 'two', Status: 'critical' })
  await pumped(sync.changed(''), clock)
  assert.equal(held(at).checks[0]?.Output, 'two')
})

test('what is gone is taken out at once, and strangers once a minute', async (context) => {
  const { at, clock, sync, service, forget, ids } = await setting(context)
  service('web')
  await pumped(sync.start(), clock)
  const request = { Node: NODE, SkipNodeUpdate: true, Service: NodeService.of({ Service: 'stranger' }) }
  await at.endpoints.call(catalog.register, RegisterRequest.of(request))
  forget('web')
  await pumped(sync.changed('web', 'service'), clock)
  assert.deepEqual(ids(), ['stranger'])
  clock.advance(60_000)
  await until('nothing is left', () => ids().length === 0, clock)
})

test('stop() ends what waits, and nothing is written afterwards', async (context) => {
  const { clock, calls, sync, service, passed } = await setting(context)
  await pumped(sync.start(), clock)
  service('late')
  const waiting = sync.changed('late')
  await sync.stop()
  await waiting
  await passed(120_000, sync.changed('late'))
  assert.deepEqual(calls, [])
})
