/**
 * When other datacenters are pinged: soon after a call has failed, and at once when other gateways lead there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#base'
import { Probe } from './probe.ts'
import { Reachability } from './reachability.ts'

/** A probe of one datacenter, whose answers the test chooses. */
function probed() {
  const clock = new ManualClock()
  const reachability = new Reachability(clock)
  const state = { answers: true, pings: 0 }
  const router = {
    datacenter: 'dc1',
    servers: () => [{ datacenter: 'dc2' }],
    forward: async () => {
      state.pings++
      if (state.answers) reachability.succeeded('dc2')
      else reachability.failed('dc2', new Error('connection refused'))
      return Buffer.alloc(0)
    },
  }
  const probe = new Probe({ router, reachability, clock })
  probe.start()
  /** Moves the clock in small steps, so that what each ping starts has happened before the next is due. */
  const advance = async (ms: number) => {
    for (let at = 0; at < ms; at += 10) {
      clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { clock, reachability, state, probe, advance }
}

test('Probe pings a datacenter that answers every five seconds', async () => {
  const { state, probe, advance } = probed()
  await advance(15_600)
  assert.ok(state.pings >= 3 && state.pings <= 4, `${state.pings} pings`)
  probe.stop()
})

test('Probe pings soon after a call has found a datacenter silent, not when one that answers would be due', async () => {
  const { reachability, state, probe, advance } = probed()
  await advance(1_000)
  reachability.failed('dc2', new Error('connection reset'))
  await advance(400)
  assert.equal(reachability.way('dc2')?.reachable, true)
  assert.equal(state.pings, 2)
  probe.stop()
})

test('Probe pauses longer after each failure, at most a second, and begins anew when told that something changed', async () => {
  const { reachability, state, probe, advance } = probed()
  await advance(10)
  state.answers = false
  reachability.failed('dc2', new Error('connection reset'))
  await advance(10_000)
  assert.ok(state.pings >= 11 && state.pings <= 17, `${state.pings} pings`)
  state.answers = true
  probe.now('dc2')
  await advance(10)
  assert.equal(reachability.way('dc2')?.reachable, true)
  probe.stop()
})

test('reopen() lets calls try again at once, and leaves the datacenter unreachable until one has worked', () => {
  const clock = new ManualClock()
  const reachability = new Reachability(clock)
  reachability.failed('dc2', new Error('connection refused'))
  assert.equal(reachability.shut('dc2'), true)
  reachability.reopen('dc2')
  assert.equal(reachability.shut('dc2'), false)
  assert.equal(reachability.way('dc2')?.reachable, false)
})
