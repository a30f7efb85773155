/**
 * The replication loop: what it asks for, what it writes, and how it goes on after failures.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, Metrics, silentLogger } from '#base'
import { RETRY_MIN_MS, type ReplicatedType, Replicator, ROUND_INTERVAL_MS } from './replication.ts'

/** A primary whose list the test sets, and a copy; each question and each write is a line. */
class Fixture {
  readonly lines: string[] = []
  readonly clock = new ManualClock()
  copy: readonly string[] = []
  answers: (() => { index: number; items: readonly string[] })[] = []
  #waiting: (() => void) | undefined

  readonly type: ReplicatedType<string> = {
    name: 'things',
    list: async (minIndex) => {
      this.lines.push(`list above ${minIndex}`)
      if (this.answers.length === 0) await new Promise<void>((resolve) => (this.#waiting = resolve))
      const answer = this.answers.shift()
      if (!answer) throw new Error('no answer')
      return answer()
    },
    local: () => this.copy,
    compare: (local, remote, lastIndex) => {
      this.lines.push(`compare from ${lastIndex}`)
      return {
        deletions: local.filter((item) => !remote.includes(item)),
        upserts: remote.filter((item) => !local.includes(item)),
      }
    },
    apply: async ({ deletions, upserts }) => {
      this.lines.push(`apply -[${deletions}] +[${upserts}]`)
      this.copy = [...this.copy.filter((item) => !deletions.includes(item)), ...upserts]
    },
  }

  readonly replicator = new Replicator(this.type, {
    clock: this.clock,
    log: silentLogger,
    metrics: new Metrics(),
    onRound: (worked) => this.lines.push(worked ? 'worked' : 'failed'),
  })

  /** The primary answers the question that waits, or the next one. */
  async answer(answer: () => { index: number; items: readonly string[] }): Promise<void> {
    this.answers.push(answer)
    this.#waiting?.()
    await this.settle()
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }

  take(): readonly string[] {
    return this.lines.splice(0)
  }
}

test('a replicator copies, then asks for what is newer than it has', async () => {
  const fixture = new Fixture()
  fixture.replicator.start()
  await fixture.answer(() => ({ index: 7, items: ['a', 'b'] }))
  assert.deepEqual(fixture.take(), ['list above 0', 'compare from 0', 'apply -[] +[a,b]', 'worked'])
  assert.equal(fixture.replicator.status.index, 7)
  fixture.clock.advance(ROUND_INTERVAL_MS)
  await fixture.answer(() => ({ index: 9, items: ['b'] }))
  assert.deepEqual(fixture.take(), ['list above 7', 'compare from 7', 'apply -[a] +[]', 'worked'])
  fixture.replicator.stop()
})

test('a replicator compares everything after a failure, and after an index that went back', async () => {
  const fixture = new Fixture()
  fixture.replicator.start()
  await fixture.answer(() => ({ index: 50, items: ['a'] }))
  fixture.clock.advance(ROUND_INTERVAL_MS)
  await fixture.answer(() => {
    throw new Error('No path to datacenter')
  })
  fixture.take()
  assert.equal(fixture.replicator.status.lastError, 'No path to datacenter')
  fixture.clock.advance(RETRY_MIN_MS)
  await fixture.answer(() => ({ index: 51, items: ['a'] }))
  assert.deepEqual(fixture.take(), ['list above 0', 'compare from 0', 'worked'])
  fixture.clock.advance(ROUND_INTERVAL_MS)
  await fixture.answer(() => ({ index: 3, items: ['a'] }))
  assert.deepEqual(fixture.take(), ['list above 51', 'compare from 0', 'worked'])
  fixture.replicator.stop()
})

test('wake() ends the wait after failures at once', async () => {
  const fixture = new Fixture()
  fixture.replicator.start()
  for (let failure = 0; failure < 6; failure++) {
    await fixture.answer(() => {
      throw new Error('EOF')
    })
    if (failure < 5) {
      fixture.replicator.wake()
      await fixture.settle()
    }
  }
  fixture.take()
  await fixture.settle()
  assert.deepEqual(fixture.take(), [], 'it waits')
  fixture.replicator.wake()
  await fixture.answer(() => ({ index: 1, items: [] }))
  assert.deepEqual(fixture.take(), ['list above 0', 'compare from 0', 'worked'])
  fixture.replicator.stop()
})
