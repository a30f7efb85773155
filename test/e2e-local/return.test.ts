/**
 * Three datacenters in unhappy orders: secondaries before their primary, gateways that move, a primary that comes back
 * with its gateway elsewhere.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Datacenter, readEachOther } from '../support/datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

/** Longer than anything here may need on a slow machine; what it took is printed. */
const HEALS = { timeoutMs: 30_000 }

const bed = new TestBed()
let all: readonly Datacenter[] = []
let dc1: Datacenter
let dc2: Datacenter
let dc3: Datacenter
let gateway1 = ''

before(async () => {
  gateway1 = await bed.address()
  dc1 = await bed.make({ name: 'dc1' })
  dc2 = await bed.make({ name: 'dc2', primaryGateways: [gateway1] })
  dc3 = await bed.make({ name: 'dc3', primaryGateways: [gateway1] })
  all = [dc1, dc2, dc3]
})
after(() => bed.stop())

test('secondaries that were started before their primary find it, and each other, when it starts', async (t) => {
  for (const each of [dc2, dc3]) {
    each.startServer()
    each.startGateway(await bed.address())
  }
  await eventually('a secondary serves its own', () => dc2.reads('dc2'))
  assert.match(
    await dc2.readError('dc1'),
    /Remote DC has no server currently reachable: primary datacenter "dc1".*never reached/,
  )
  assert.match(await dc2.readError('dc3'), /^No path to datacenter$/)
  await delay(1_000)
  dc1.startServer()
  dc1.startGateway(gateway1)
  t.diagnostic(`start of the primary until all read each other: ${seconds(await readEachOther(all, HEALS))}`)
})

test("a secondary's gateway that moves is found by the other secondary", async (t) => {
  await dc2.gateway?.stop('SIGKILL')
  dc2.startGateway(await bed.address())
  t.diagnostic(`healed after ${seconds(await readEachOther(all, HEALS))}`)
})

test('a primary whose server and gateway are gone, the gateway to come back elsewhere, is read again', async (t) => {
  await Promise.all([dc1.server?.stop('SIGKILL'), dc1.gateway?.stop('SIGKILL')])
  await eventually('a secondary notices', async () => assert.equal((await dc3.statusOf('dc1')).State, 'unreachable'))
  await Promise.all([dc2.reads('dc3'), dc3.reads('dc2')])
  dc1.startServer()
  dc1.startGateway(await bed.address())
  t.diagnostic(`start of the primary until all read each other: ${seconds(await readEachOther(all, HEALS))}`)
})

test('all servers killed at once and started again read each other', async (t) => {
  await Promise.all(all.map((each) => each.server?.stop('SIGKILL')))
  for (const each of all) each.startServer()
  t.diagnostic(`healed after ${seconds(await readEachOther(all, HEALS))}`)
})
