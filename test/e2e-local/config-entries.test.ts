/**
 * Config entries and intentions in three datacenters: written in any of them they are in force in all, through the
 * primary; and what happens to them while the primary is gone.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

/** Longer than a change may need on a slow machine; what it took is printed. */
const IN_FORCE = { timeoutMs: 10_000 }

const bed = new TestBed()
let all: readonly [Datacenter, Datacenter, Datacenter]
let primaryGateway = ''

before(async () => {
  primaryGateway = await bed.address()
  const dc1 = await bed.make({ name: 'dc1' })
  const dc2 = await bed.make({ name: 'dc2', primaryGateways: [primaryGateway] })
  const dc3 = await bed.make({ name: 'dc3', primaryGateways: [primaryGateway] })
  all = [dc1, dc2, dc3]
  dc1.startServer()
  await dc1.ready()
  dc1.startGateway(primaryGateway)
  for (const secondary of [dc2, dc3]) {
    secondary.startServer()
    await secondary.ready()
    secondary.startGateway(await bed.address())
  }
  await readEachOther(all, { timeoutMs: 30_000 })
})
after(() => bed.stop())

interface Shown {
  readonly Protocol?: string
  readonly ModifyIndex: number
}

async function write(where: Datacenter, entry: object, query: Record<string, string> = {}): Promise<unknown> {
  return where.client.json('PUT', '/v1/config', { body: entry, query })
}

async function read(where: Datacenter, path: string): Promise<Shown> {
  return (await where.client.json('GET', `/v1/config/${path}`)) as Shown
}

/** Waits until all three show it; gives the milliseconds. */
function everywhere(what: string, check: (where: Datacenter) => Promise<void>): Promise<number> {
  return eventually(
    what,
    async () => {
      for (const each of all) await check(each)
    },
    IN_FORCE,
  )
}

test('an entry written in any of three datacenters is in force in all, and comes from the primary', async (t) => {
  for (const where of all) {
    const name = `from-${where.name}`
    assert.equal(await write(where, { Kind: 'service-defaults', Name: name, Protocol: 'http' }), true)
    const tookMs = await everywhere(`${name} is everywhere`, async (each) => {
      assert.equal((await read(each, `service-defaults/${name}`)).Protocol, 'http')
    })
    t.diagnostic(`written in ${where.name}, in force in all after ${seconds(tookMs)}`)
  }
  for (const where of all) {
    const entries = (await where.client.json('GET', '/v1/config/service-defaults')) as readonly { Name: string }[]
    assert.deepEqual(
      entries.map(({ Name }) => Name),
      ['from-dc1', 'from-dc2', 'from-dc3'],
    )
  }
})

test('cas compares with what the primary has, wherever it is asked', async () => {
  const [dc1, dc2] = all
  const entry = { Kind: 'service-defaults', Name: 'from-dc1', Protocol: 'grpc' }
  const { ModifyIndex } = await read(dc1, 'service-defaults/from-dc1')
  assert.equal(await write(dc2, entry, { cas: String(ModifyIndex + 1) }), false)
  assert.equal(await write(dc2, entry, { cas: '0' }), false)
  assert.equal(await write(dc2, entry, { cas: String(ModifyIndex) }), true)
  await everywhere('the change is everywhere', async (each) => {
    assert.equal((await read(each, 'service-defaults/from-dc1')).Protocol, 'grpc')
  })
})

test('an entry that is invalid is refused in a secondary as in the primary, and nothing is written', async () => {
  const entry = { Kind: 'service-splitter', Name: 'web', Splits: [{ Weight: 90 }] }
  for (const where of all) {
    const { status, body } = await where.client.request('PUT', '/v1/config', { body: entry })
    assert.equal(status, 500)
    assert.match(body.toString(), /the sum of all split weights must be 100, not 90/)
  }
  assert.deepEqual(await all[0].client.json('GET', '/v1/config/service-splitter'), [])
})

const check = { source: 'front', destination: 'web' }
const exact = '/v1/connect/intentions/exact'

async function allowed(where: Datacenter): Promise<boolean> {
  const answer = await where.client.json('GET', '/v1/connect/intentions/check', { query: check })
  return (answer as { Allowed: boolean }).Allowed
}

test('an intention set in one datacenter decides in all, until it is removed in another', async (t) => {
  const [, dc2, dc3] = all
  assert.equal(await dc2.client.json('PUT', exact, { query: check, body: { Action: 'deny' } }), true)
  const deniedMs = await everywhere('front may not call web', async (each) => assert.equal(await allowed(each), false))
  assert.equal(await dc3.client.json('DELETE', exact, { query: check }), true)
  const removedMs = await everywhere('nobody says so', async (each) => {
    assert.equal((await each.client.request('GET', exact, { query: check })).status, 404)
    assert.equal(await allowed(each), true)
  })
  t.diagnostic(`denied everywhere after ${seconds(deniedMs)}, removed after ${seconds(removedMs)}`)
})

test('a redirect is followed by the chains of all datacenters, each evaluated for the one that is asked', async () => {
  const [, , dc3] = all
  const Redirect = { Service: 'web', Datacenter: 'dc2' }
  assert.equal(await write(dc3, { Kind: 'service-resolver', Name: 'web-elsewhere', Redirect }), true)
  await everywhere('the chain leads to dc2', async (each) => {
    const answer = await each.client.json('GET', '/v1/discovery-chain/web-elsewhere')
    const { Chain } = answer as { Chain: { Datacenter: string; Targets: object } }
    assert.equal(Chain.Datacenter, each.name)
    assert.deepEqual(Object.keys(Chain.Targets), ['web.default.default.dc2'])
  })
})

test('an entry deleted in a secondary is gone everywhere', async () => {
  const [, dc2] = all
  assert.deepEqual(await dc2.client.json('DELETE', '/v1/config/service-defaults/from-dc3'), {})
  await everywhere('it is gone', async (each) => {
    assert.equal((await each.client.request('GET', '/v1/config/service-defaults/from-dc3')).status, 404)
  })
})

test('without the primary entries are read and waited for, writes fail by name, and all comes back alone', async (t) => {
  const [dc1, dc2, dc3] = all
  await dc1.server?.stop('SIGKILL')
  const write2 = () => dc2.client.request('PUT', '/v1/config', { body: { Kind: 'service-defaults', Name: 'late' } })
  await eventually('a write fails by name', async () => {
    const { status, body } = await write2()
    assert.equal(status, 500)
    assert.match(body.toString(), /Remote DC has no server currently reachable|No path to datacenter/)
  })
  for (const secondary of [dc2, dc3]) {
    assert.equal((await read(secondary, 'service-defaults/from-dc1')).Protocol, 'grpc')
    await eventually('the status says that nothing is copied', async () => {
      const { Replication } = await secondary.statusOf('dc1')
      const copied = Replication?.['config-entries']
      assert.ok(copied !== undefined && copied.LagSeconds > 0, JSON.stringify(Replication))
    })
  }
  const startedMs = performance.now()
  assert.equal((await write2()).status, 500)
  t.diagnostic(`a write without the primary failed after ${seconds(performance.now() - startedMs)}`)
  dc1.startServer()
  await dc1.ready()
  await eventually('a write is taken again', async () => assert.equal((await write2()).status, 200), {
    timeoutMs: 30_000,
  })
  await eventually(
    'it is everywhere',
    async () => {
      for (const each of all) await read(each, 'service-defaults/late')
    },
    { timeoutMs: 30_000 },
  )
})
