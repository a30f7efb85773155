/** Which user events an agent keeps: those for its node, services and tags, the newest 256, whatever else arrives. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics, silentLogger } from '#base'
import { encodeUserEvent, NodeService, UserEvent } from '#codec'
import type { GossipEvent } from '#gossip'
import { EVENT_PREFIX, MAX_KEPT_EVENTS, UserEvents } from './user-events.ts'

function setting(services: readonly NodeService[] = []) {
  let listener: (event: GossipEvent) => void = () => {}
  const lan = {
    on: (given: (event: GossipEvent) => void) => {
      listener = given
      return () => {
        listener = () => {}
      }
    },
  }
  const metrics = new Metrics()
  const events = new UserEvents('s1', { lan, services: () => services, log: silentLogger, metrics })
  let ltime = 0
  const arrive = (name: string, payload: Buffer) =>
    listener({ type: 'user', name, payload, ltime: ++ltime, coalesce: false })
  const fire = (more: Partial<UserEvent> = {}) =>
    arrive(`${EVENT_PREFIX}deploy`, encodeUserEvent(UserEvent.of({ ID: 'x', Name: 'deploy', Version: 1, ...more })))
  return { events, metrics, arrive, fire }
}

const web = NodeService.of({ ID: 'web1', Service: 'web', Tags: ['v1', 'blue'] })

test('events for this node, its services and their tags are kept, others not', () => {
  const cases: [Partial<UserEvent>, boolean][] = [
    [{}, true],
    [{ NodeFilter: 's' }, true],
    [{ NodeFilter: '^s1$' }, true],
    [{ NodeFilter: '^s2' }, false],
    [{ ServiceFilter: 'web' }, true],
    [{ ServiceFilter: '^w.b$', TagFilter: '^bl' }, true],
    [{ ServiceFilter: 'web', TagFilter: 'v2' }, false],
    [{ ServiceFilter: 'db' }, false],
    [{ NodeFilter: 's1', ServiceFilter: 'db' }, false],
    [{ Version: 2 }, false],
  ]
  for (const [filters, kept] of cases) {
    const { events, fire } = setting([web])
    fire(filters)
    assert.equal(events.list().length, kept ? 1 : 0, JSON.stringify(filters))
  }
})

test('the newest events are kept with their Lamport time, and listeners hear of each', () => {
  const { events, fire } = setting()
  let heard = 0
  const cancel = events.onEvent(() => heard++)
  for (let number = 0; number < MAX_KEPT_EVENTS + 10; number++) fire({ ID: String(number) })
  assert.equal(heard, MAX_KEPT_EVENTS + 10)
  assert.equal(events.list().length, MAX_KEPT_EVENTS)
  assert.deepEqual([events.list()[0]?.ID, events.list().at(-1)?.ID], ['10', String(MAX_KEPT_EVENTS + 9)])
  assert.equal(events.list().at(-1)?.LTime, MAX_KEPT_EVENTS + 10)
  cancel()
  fire()
  assert.equal(heard, MAX_KEPT_EVENTS + 10)
  events.stop()
  fire({ ID: 'late' })
  assert.notEqual(events.list().at(-1)?.ID, 'late')
})

test('what cannot be read is counted and left out, and messages of other sorts are none of ours', () => {
  const { events, metrics, arrive, fire } = setting()
  arrive('consul:new-leader', Buffer.from('s2'))
  assert.equal(metrics.counters.get('hanse.agent.events_unreadable'), undefined)
  arrive(`${EVENT_PREFIX}x`, Buffer.from([0xc1]))
  fire({ NodeFilter: '[' })
  assert.equal(metrics.counters.get('hanse.agent.events_unreadable')?.sum, 2)
  assert.equal(events.list().length, 0)
})
