/**
 * Who leads, over real leases in memory: handed over on leave, given up on request, duties that begin and end with it.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { LogSink, Metrics, systemClock } from '#base'
import type { Engine, Lease } from '#store'
import { openMemory } from '#store'
import { holderText, type LeaderServer, Leadership, parseHolder } from './leadership.ts'
import { until } from './local-fixture.ts'

const server = (name: string): LeaderServer => ({
  name,
  nodeId: 'aaaaaaaa-0000-4000-8000-000000000001',
  address: '127.0.0.1:8300',
})

function contender(context: TestContext, engine: Pick<Engine, 'lease'>, name: string) {
  const told: string[] = []
  const log: string[] = []
  const metrics = new Metrics()
  const sink = new LogSink({ level: 'debug', json: false, write: (line) => void log.push(line) })
  const leadership = new Leadership(server(name), {
    engine,
    clock: systemClock,
    log: sink.logger('agent.server'),
    metrics,
    announce: () => void told.push(name),
  })
  const events: string[] = []
  const duty = (what: string) =>
    leadership.duty(what, async () => {
      events.push(`${what} begins`)
      return async () => void events.push(`${what} ends`)
    })
  context.after(() => leadership.stop())
  const isLeader = () => metrics.gauges.get('consul.server.isLeader')?.value
  return { leadership, told, log, events, duty, isLeader }
}

async function store(context: TestContext): Promise<Engine> {
  const engine = await openMemory()
  context.after(() => engine.close())
  return engine
}

test('the holder of the lease says name, id and address, whatever the name is', () => {
  for (const each of [server('s1'), server('a name'), { ...server('s1'), address: '[::1]:8300' }]) {
    assert.deepEqual(parseHolder(holderText(each)), each)
  }
  for (const text of ['', 's1', '127.0.0.1 id s1', '127.0.0.1:8300 id ']) assert.equal(parseHolder(text), undefined)
})

test('one server leads from its start, with its duties begun in order', async (context) => {
  const s1 = contender(context, await store(context), 's1')
  await s1.duty('one')
  await s1.duty('two')
  await s1.leadership.start()
  assert.equal(s1.leadership.leading, true)
  assert.deepEqual(s1.events, ['one begins', 'two begins'])
  await s1.duty('three')
  assert.deepEqual(s1.events.slice(2), ['three begins'])
  assert.deepEqual(s1.told, ['s1'])
  assert.equal(s1.isLeader(), 1)
  await s1.leadership.stop()
  assert.deepEqual(s1.events.slice(3), ['three ends', 'two ends', 'one ends'])
  assert.equal(s1.isLeader(), 0)
  assert.ok(s1.log.some((line) => line.includes('cluster leadership acquired')))
})

test('a second server follows, knows who leads, and takes over when the first one stops', async (context) => {
  const engine = await store(context)
  const s1 = contender(context, engine, 's1')
  const s2 = contender(context, engine, 's2')
  await s1.duty('work')
  await s2.duty('work')
  await s1.leadership.start()
  await s2.leadership.start()
  assert.equal(s2.leadership.leading, false)
  assert.deepEqual(s2.leadership.leader, server('s1'))
  assert.deepEqual(s2.events, [])
  assert.equal(s2.isLeader(), 0)
  await s1.leadership.stop()
  assert.deepEqual(s1.events, ['work begins', 'work ends'])
  await until('the second one leads', () => s2.events.length > 0)
  assert.deepEqual(s2.events, ['work begins'])
  assert.deepEqual(s2.leadership.leader, server('s2'))
  assert.ok(s2.log.some((line) => line.includes('new leader elected') && line.includes('s1')))
})

test('standing down hands the lead to another server, and takes it again after a while where there is none', async (context) => {
  const engine = await store(context)
  const s1 = contender(context, engine, 's1')
  const s2 = contender(context, engine, 's2')
  await s1.leadership.start()
  await s2.leadership.start()
  await s1.leadership.standDown(60_000)
  await until('the other one leads', () => s2.leadership.leading)
  assert.equal(s1.leadership.leading, false)
  await until('it is known here', () => s1.leadership.leader?.name === 's2')
  await s2.leadership.standDown(100)
  await until('it leads again', () => s2.leadership.leading && s2.told.length === 2)
})

test('a follower that stands down lets the third one win', async (context) => {
  const engine = await store(context)
  const [s1, s2, s3] = ['s1', 's2', 's3'].map((name) => contender(context, engine, name))
  assert.ok(s1 && s2 && s3)
  for (const each of [s1, s2, s3]) await each.leadership.start()
  await s2.leadership.standDown(60_000)
  await s1.leadership.standDown(60_000)
  await until('the third leads', () => s3.leadership.leading)
})

test('a lease that is lost ends the duties, and they begin again when it is gained anew', async (context) => {
  const granted: AbortController[] = []
  const waiting: (() => void)[] = []
  const lease: Lease = {
    name: 'leader',
    acquire: async (signal) => {
      if (granted.length > 0) {
        await new Promise<void>((resolve, reject) => {
          waiting.push(resolve)
          signal?.addEventListener('abort', () => reject(signal.reason))
        })
      }
      const duty = new AbortController()
      granted.push(duty)
      return duty.signal
    },
    release: async () => granted.at(-1)?.abort(),
    holder: async () => undefined,
  }
  const s1 = contender(context, { lease: () => lease }, 's1')
  await s1.duty('work')
  await s1.leadership.start()
  granted[0]?.abort(new Error('the store is gone'))
  await until('the duty has ended', () => s1.events.length === 2)
  assert.deepEqual(s1.events, ['work begins', 'work ends'])
  assert.equal(s1.leadership.leading, false)
  assert.equal(s1.leadership.leader, undefined)
  assert.ok(s1.log.some((line) => line.includes('cluster leadership lost')))
  await until('it asks again', () => waiting.length === 1)
  waiting[0]?.()
  await until('it begins again', () => s1.events.length === 3)
})

test('a duty that fails is said once and tried again, and keeps no other from beginning', async (context) => {
  const s1 = contender(context, await store(context), 's1')
  let attempts = 0
  await s1.leadership.duty('stubborn', () => {
    attempts++
    if (attempts < 2) throw new Error('not yet')
    return () => {}
  })
  await s1.duty('other')
  await s1.leadership.start()
  assert.deepEqual(s1.events, ['other begins'])
  await until('it was tried again', () => attempts === 2)
  assert.equal(s1.log.filter((line) => line.includes('not yet')).length, 1)
})
