/**
 * When checks run and when a result counts, on a clock that stands still; targets are real.
 */
import assert from 'node:assert/strict'
import net, { type AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ManualClock, seededRandom } from '#base'
import { AgentCheckType } from '#codec'
import { MAX_TIMER_MS, type ProbeResult } from './check-results.ts'
import { CheckRunner, MAX_PROBES_AT_ONCE } from './check-runner.ts'
import type { CheckKind, CheckSpec } from './local-definitions.ts'

const MS = 1e6
const spec = (id: string, kind: CheckKind, type: Partial<AgentCheckType>): CheckSpec => ({
  id,
  kind,
  serviceId: '',
  type: AgentCheckType.of(type),
})

function runner(context: TestContext) {
  const clock = new ManualClock()
  const results: (ProbeResult & { id: string })[] = []
  const onResult = (id: string, result: ProbeResult) => void results.push({ id, ...result })
  const checks = new CheckRunner({ clock, random: seededRandom(1), onResult })
  context.after(() => checks.stopAll())
  return { clock, checks, results }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  for (; !holds(); await turn()) assert.ok(performance.now() < end)
}

/** A port that can be closed and opened again. */
async function door(context: TestContext) {
  let server = net.createServer((socket) => socket.destroy())
  const open = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await open(0)
  const { port } = server.address() as AddressInfo
  const close = () => new Promise<void>((resolve) => void server.close(() => resolve()))
  context.after(close)
  return {
    TCP: `127.0.0.1:${port}`,
    close,
    reopen: () => {
      server = net.createServer((socket) => socket.destroy())
      return open(port)
    },
  }
}

test('a TTL check expires once its time is over, and touch() gives it all of it again', (context) => {
  const { clock, checks, results } = runner(context)
  checks.start(spec('a', 'ttl', { TTL: 1_000 * MS }))
  clock.advance(900)
  checks.touch('a')
  clock.advance(999)
  assert.deepEqual(results, [])
  clock.advance(1)
  assert.deepEqual(results, [{ id: 'a', status: 'critical', output: 'TTL expired' }])
  clock.advance(10_000)
  assert.equal(results.length, 1)
  checks.touch('a', 50_000)
  clock.advance(1_000)
  assert.equal(results.length, 2, 'a restart gives no check more time than its TTL')
})

test('a TTL longer than timers reach expires at its time', (context) => {
  const { clock, checks, results } = runner(context)
  const ttlMs = MAX_TIMER_MS * 2 + 5
  checks.start(spec('a', 'ttl', { TTL: ttlMs * MS }))
  clock.advance(ttlMs - 1)
  assert.deepEqual(results, [])
  clock.advance(1)
  assert.equal(results.length, 1)
})

test('probes begin soon, then run at their interval, a second at least', async (context) => {
  const { TCP } = await door(context)
  const { clock, checks, results } = runner(context)
  checks.start(spec('a', 'tcp', { TCP, Interval: 1 }))
  clock.advance(100)
  await until(() => results.length === 1)
  clock.advance(999)
  await turn()
  assert.equal(checks.probes, 0)
  clock.advance(1)
  await until(() => results.length === 2)
  checks.stop('a')
  clock.advance(10_000)
  assert.equal(checks.probes, 0)
})

test('statuses count after as many results in a row as asked for', async (context) => {
  const target = await door(context)
  const { clock, checks, results } = runner(context)
  const type = { TCP: target.TCP, Interval: 1_000 * MS }
  const limits = { SuccessBeforePassing: 2, FailuresBeforeWarning: 2, FailuresBeforeCritical: 3 }
  checks.start(spec('a', 'tcp', { ...type, ...limits }))
  const round = async () => {
    results.length = 0
    clock.advance(1_000)
    await until(() => checks.probes === 0)
    await turn()
    return results[0]?.status
  }
  assert.deepEqual([await round(), await round(), await round()], [undefined, 'passing', 'passing'])
  await target.close()
  assert.deepEqual([await round(), await round(), await round()], [undefined, 'warning', 'critical'])
  await target.reopen()
  assert.deepEqual([await round(), await round()], [undefined, 'passing'])
})

test('a bounded number of probes runs at a time; the others wait for a place, and those removed never run', async (context) => {
  const { clock, checks, results } = runner(context)
  const more = 40
  for (let i = 0; i < MAX_PROBES_AT_ONCE + more; i++) {
    checks.start(spec(`c${i}`, 'tcp', { TCP: '127.0.0.1:1', Interval: 60_000 * MS }))
  }
  clock.advance(100)
  assert.equal(checks.probes, MAX_PROBES_AT_ONCE)
  await until(() => results.length === MAX_PROBES_AT_ONCE + more)
  assert.equal(checks.probes, 0)
  results.length = 0
  clock.advance(60_000)
  checks.stopAll()
  await until(() => checks.probes === 0)
  assert.deepEqual(results, [])
})
