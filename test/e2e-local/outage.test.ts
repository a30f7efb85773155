/**
 * What goes on and what comes back by itself when parts of a federation are gone: servers, gateways, a datacenter.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { askDns } from '../support/dns.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

/** Longer than anything here may need on a slow machine; what it took is printed. */
const HEALS = { timeoutMs: 30_000 }

const bed = new TestBed()
let dc1: Datacenter
let dc2: Datacenter
let gateway1 = ''

before(async () => {
  gateway1 = await bed.address()
  dc1 = await bed.make({ name: 'dc1' })
  dc2 = await bed.make({ name: 'dc2', primaryGateways: [gateway1] })
  dc1.startServer()
  dc1.startGateway(gateway1)
  await dc1.ready()
})
after(() => bed.stop())

test('a secondary that starts reads its primary, and is read, without waiting for a tick', async (t) => {
  await eventually('the primary has a gateway', () => dc1.reads('dc1'))
  const startedMs = performance.now()
  dc2.startServer()
  dc2.startGateway(await bed.address())
  await readEachOther([dc1, dc2], { timeoutMs: 10_000 })
  t.diagnostic(`start of the secondary until both read each other: ${seconds(performance.now() - startedMs)}`)
  await dc1.put('from', 'dc1')
  await dc2.put('from', 'dc2')
  assert.equal(await dc1.get('from', { dc: 'dc2' }), 'dc2')
  assert.equal(await dc2.get('from', { dc: 'dc1' }), 'dc1')
})

test('a gateway of the primary that is killed and replaced at another address is found by itself', async (t) => {
  await dc1.gateway?.stop('SIGKILL')
  gateway1 = await bed.address()
  dc1.startGateway(gateway1)
  const tookMs = await readEachOther([dc1, dc2], HEALS)
  t.diagnostic(`healed after ${seconds(tookMs)}`)
  await eventually('the secondary knows the new address', async () => {
    const { Gateways } = await dc2.statusOf('dc1')
    assert.ok(
      Gateways.some(({ Address, Source }) => Address === gateway1 && Source !== 'configured'),
      JSON.stringify(Gateways),
    )
  })
})

test('a gateway of the secondary that is killed and replaced by another at another address is found by itself', async (t) => {
  await dc2.gateway?.stop('SIGKILL')
  dc2.startGateway(await bed.address(), { id: 'mesh-gateway-2' })
  const tookMs = await readEachOther([dc1, dc2], HEALS)
  t.diagnostic(`healed after ${seconds(tookMs)}`)
  await eventually('the dead one is out of use', async () => {
    const { Gateways } = await dc1.statusOf('dc2')
    assert.deepEqual(Gateways.length, 1, JSON.stringify(Gateways))
  })
})

test('both gateways killed at once and replaced at other addresses are found by themselves', async (t) => {
  await Promise.all([dc1.gateway?.stop('SIGKILL'), dc2.gateway?.stop('SIGKILL')])
  const gateway2 = await bed.address()
  // At the address of `primary_gateways`, which is what an operator has left to heal this with.
  dc1.startGateway(gateway1)
  dc2.startGateway(gateway2, { id: 'mesh-gateway-2' })
  t.diagnostic(`healed after ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
})

test('one of two gateways killed costs no read', async () => {
  dc1.startGateway(await bed.address(), { id: 'second' })
  await eventually('both gateways are known', async () => {
    const { Gateways } = await dc2.statusOf('dc1')
    assert.equal(Gateways.filter(({ Source, Healthy }) => Source !== 'configured' && Healthy).length, 2)
  })
  const killed = dc1.gateway
  const until = performance.now() + 1_500
  const reading = Promise.all(
    [dc1, dc2].map(async (each) => {
      while (performance.now() < until) await each.reads(each === dc1 ? 'dc2' : 'dc1')
    }),
  )
  await killed?.stop('SIGKILL')
  await reading
  await eventually('the dead one is known as such', async () => {
    const { Gateways } = await dc2.statusOf('dc1')
    assert.equal(Gateways.filter(({ Source }) => Source !== 'configured').length, 1)
  })
})

test('a secondary whose server is killed and started again is read again', async (t) => {
  await dc2.server?.stop('SIGKILL')
  await eventually('the primary notices', async () => assert.equal((await dc1.statusOf('dc2')).State, 'unreachable'))
  assert.match(
    await dc1.readError('dc2'),
    /Remote DC has no server currently reachable: datacenter "dc2", mesh gateways/,
  )
  dc2.startServer()
  t.diagnostic(`start of the server until healed: ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
})

test('a secondary without its primary serves its own, fails at once for the primary, and says so', async () => {
  await dc1.server?.stop('SIGKILL')
  await eventually('the status says unreachable', async () => {
    const status = await dc2.statusOf('dc1')
    assert.equal(status.State, 'unreachable')
    assert.equal(status.RPC.OK, false)
    assert.notEqual(status.Since, '')
  })
  await dc2.put('alone', 'yes')
  assert.equal(await dc2.get('alone'), 'yes')
  await dc2.reads('dc2')
  const answers = await askDns(dc2.ports.dns, 'mesh-gateway.service.consul', 'A')
  assert.deepEqual(answers, ['127.0.0.1'])

  const startedMs = performance.now()
  const text = await dc2.readError('dc1')
  assert.ok(performance.now() - startedMs < 2_500, 'it waited for a time-out')
  assert.match(text, /Remote DC has no server currently reachable: primary datacenter "dc1"/)
  assert.match(text, new RegExp(`mesh gateways tried: .*${gateway1}`))
  assert.match(text, /silent for \d+\.\d s/)
  assert.deepEqual(await dc2.client.json('GET', '/v1/catalog/datacenters'), ['dc2', 'dc1'])
  assert.match(dc2.server?.output ?? '', /degraded: primary unreachable/)
  const { headers } = await dc2.client.request('GET', '/v1/kv/alone')
  const since = /^primary "dc1" unreachable since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/
  assert.match(String(headers['x-hanse-degraded']), since)
  await eventually('the metrics say it, and how far the copies are behind', async () => {
    assert.equal(await gauge('hanse.federation.degraded'), 1)
    assert.ok(Number(await gauge('hanse.replication.lag_seconds')) > 0)
  })
})

/** The value of a gauge of dc2's server. */
async function gauge(name: string): Promise<number | undefined> {
  const metrics = (await dc2.client.json('GET', '/v1/agent/metrics')) as { Gauges: { Name: string; Value: number }[] }
  return metrics.Gauges.find(({ Name }) => Name === name)?.Value
}

test('a primary that comes back is read again by itself', async (t) => {
  dc1.startServer()
  t.diagnostic(`start of the server until healed: ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
  await eventually('the status is ok', async () => assert.equal((await dc2.statusOf('dc1')).State, 'ok'), HEALS)
  await eventually('the status is ok', async () => assert.equal((await dc1.statusOf('dc2')).State, 'ok'), HEALS)
  assert.equal(await dc2.get('from', { dc: 'dc1' }), 'dc1')
})

test('a secondary that reaches its primary again is not degraded any more', async () => {
  const { headers } = await dc2.client.request('GET', '/v1/kv/alone')
  assert.equal(headers['x-hanse-degraded'], undefined)
  await eventually('the metrics say it', async () => assert.equal(await gauge('hanse.federation.degraded'), 0))
})

test('a datacenter that leaves is no path any more', async () => {
  await dc2.client.expect('PUT', '/v1/agent/leave')
  await dc2.server?.ended
  await eventually('the primary lists itself alone', async () =>
    assert.deepEqual(await dc1.client.json('GET', '/v1/catalog/datacenters'), ['dc1']),
  )
  assert.match(await dc1.readError('dc2'), /^No path to datacenter$/)
  assert.equal((await dc1.wanMembers()).get('server-dc2.dc2'), 3)
})

test('a datacenter that left and starts again is read again, with what it had', async (t) => {
  dc2.startServer()
  t.diagnostic(`start of the server until healed: ${seconds(await readEachOther([dc1, dc2], HEALS))}`)
  assert.equal(await dc1.get('from', { dc: 'dc2' }), 'dc2')
})
