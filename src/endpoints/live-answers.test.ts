/**
 * Shared answers with a question whose data the test changes itself: who shares, who is woken, what is bounded.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock, Metrics } from '#base'
import { QueryMeta } from '#codec'
import type { Reading } from '#state'
import { LIVE_LIMITS, LiveAnswers, type LiveLimits, type Question } from './live-answers.ts'

/** Data that one question reads. */
class Topic {
  index = 7
  runs = 0
  failing = false
  #listeners = new Set<() => void>()
  #readings = new Set<() => void>()

  question(key: string, volatile = false): Question<QueryMeta> {
    return { key, operation: 'Test.Read', volatile, run: () => this.#read() }
  }

  get watched(): number {
    return this.#listeners.size
  }

  #read(): Reading<QueryMeta> {
    this.runs++
    if (this.failing) throw new Error('cannot read')
    let fired = false
    const watch = {
      get fired() {
        return fired
      },
      onFire: (callback: () => void) => {
        const listener = () => callback()
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
    }
    this.#readings.add(() => {
      fired = true
    })
    return { value: QueryMeta.of(), index: this.index, watch }
  }

  /** Something that was read changes; `by` 0: the answer's index does not. */
  change(by: number): void {
    this.index += by
    for (const fire of this.#readings) fire()
    this.#readings.clear()
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener()
  }
}

function fixture(limits: Partial<LiveLimits> = {}) {
  const clock = new ManualClock()
  const answers = new LiveAnswers({ clock, metrics: new Metrics(), limits: { ...LIVE_LIMITS, ...limits } })
  return { clock, answers, topic: new Topic() }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

const MINUTE = { timeoutMs: 60_000 }

test('get() gives the same answer to all until it changes, then a new one', () => {
  const { answers, topic } = fixture()
  const first = answers.get(topic.question('a'))
  assert.equal(answers.get(topic.question('a')), first)
  assert.equal(first.index, 7)
  assert.equal(first.reply.Index, 7)
  assert.equal(first.reply.KnownLeader, true)
  topic.change(1)
  assert.equal(first.fired, true)
  assert.equal(answers.size, 0)
  assert.equal(answers.get(topic.question('a')).index, 8)
  assert.equal(topic.runs, 2)
})

test('get() of an index below 1 says 1, which clients can wait for', () => {
  const { answers, topic } = fixture()
  topic.index = 0
  assert.equal(answers.get(topic.question('a')).reply.Index, 1)
})

test('get() never shares an answer that depends on who asks', () => {
  const { answers, topic } = fixture()
  assert.notEqual(answers.get(topic.question('a', true)), answers.get(topic.question('a', true)))
  assert.equal(answers.size, 0)
})

test('bytes() are made once per format', () => {
  const { answers, topic } = fixture()
  const answer = answers.get(topic.question('a'))
  const json = answer.bytes('json', () => Buffer.from('{}'))
  assert.equal(
    answer.bytes('json', () => assert.fail('made again')),
    json,
  )
  assert.notEqual(
    answer.bytes('msgpack', () => Buffer.from([0x80])),
    json,
  )
})

test('next() answers at once where the index has passed already', async () => {
  const { answers, topic } = fixture()
  const answer = answers.get(topic.question('a'))
  assert.equal(await answer.next(6, MINUTE), answer)
})

test('next() wakes 5,000 waiters with one object from one run, a part per turn', async () => {
  const { answers, topic } = fixture()
  const answer = answers.get(topic.question('a'))
  const woken: unknown[] = []
  for (let i = 0; i < 5_000; i++) answer.next(7, MINUTE).then((each) => woken.push(each))
  assert.equal(answers.parked, 5_000)
  topic.change(1)
  await turns(2)
  assert.ok(woken.length > 0 && woken.length < 5_000, `${woken.length} woken in the first turns`)
  await turns(60)
  assert.equal(woken.length, 5_000)
  assert.equal(new Set(woken).size, 1)
  assert.equal(topic.runs, 2)
  assert.equal(answers.parked, 0)
})

test('next() sleeps on when what was read changed but the index did not pass', async () => {
  const { clock, answers, topic } = fixture()
  let woken = 0
  const waiting = answers.get(topic.question('a')).next(7, MINUTE)
  waiting.then(() => woken++)
  topic.change(0)
  await turns(3)
  assert.equal(woken, 0)
  topic.change(1)
  await turns(3)
  assert.equal((await waiting).index, 8)
  assert.equal(clock.nowMs(), 0)
})

test('next() gives the current answer when the time is over, also for an index of the future', async () => {
  const { clock, answers, topic } = fixture()
  const waiting = answers.get(topic.question('a')).next(99_999_999, { timeoutMs: 1000 })
  topic.change(1)
  await turns(2)
  clock.advance(1000)
  assert.equal((await waiting).index, 8)
  assert.equal(answers.parked, 0)
})

test('next() ends with its caller and leaves no watch behind', async () => {
  const { answers, topic } = fixture({ answers: 0 })
  const caller = new AbortController()
  const waiting = answers.get(topic.question('a')).next(7, { ...MINUTE, signal: caller.signal })
  assert.equal(answers.parked, 1)
  assert.equal(topic.watched, 1)
  caller.abort()
  await assert.rejects(waiting, { code: 'REQUEST_CANCELLED' })
  assert.equal(answers.parked, 0)
  const gone = answers.get(topic.question('a')).next(7, { ...MINUTE, signal: caller.signal })
  await assert.rejects(gone, { code: 'REQUEST_CANCELLED' })
  assert.equal(topic.watched, 0)
})

test('next() refuses waiters above the limit and takes new ones when others have gone', async () => {
  const { clock, answers, topic } = fixture({ parkedWaiters: 2 })
  const answer = answers.get(topic.question('a'))
  const first = [answer.next(7, { timeoutMs: 10 }), answer.next(7, MINUTE)]
  await assert.rejects(answer.next(7, MINUTE), {
    code: 'TOO_MANY_WAITERS',
    message: 'Cannot wait for a change of Test.Read: 2 requests wait already and that is the limit',
  })
  clock.advance(10)
  await first[0]
  const third = answer.next(7, MINUTE)
  clock.advance(60_000)
  assert.equal((await third).index, 7)
})

test('next() fails for all waiters when the query cannot be run again', async () => {
  const { answers, topic } = fixture()
  const answer = answers.get(topic.question('a'))
  const waiting = [answer.next(7, MINUTE), answer.next(7, MINUTE)]
  topic.failing = true
  topic.change(1)
  for (const each of waiting) await assert.rejects(each, /cannot read/)
  assert.equal(answers.parked, 0)
})

test('answers kept are bounded by count and by rendered bytes, the least used go first', () => {
  const { answers, topic } = fixture({ answers: 3, answerBytes: 100 })
  const a = answers.get(topic.question('a'))
  for (const key of ['b', 'c']) answers.get(topic.question(key))
  assert.equal(answers.get(topic.question('a')), a)
  answers.get(topic.question('d'))
  assert.equal(answers.size, 3)
  assert.equal(answers.get(topic.question('a')), a, 'used last but one')
  answers.get(topic.question('d')).bytes('json', () => Buffer.alloc(60))
  a.bytes('json', () => Buffer.alloc(60))
  assert.equal(answers.size, 1, 'c and a went, d was used last')
  assert.equal(a.bytes('json', () => assert.fail('made again')).length, 60)
})

test('an answer pushed out of the cache stays with its waiters', async () => {
  const { answers, topic } = fixture({ answers: 1 })
  const waiting = answers.get(topic.question('a')).next(7, MINUTE)
  answers.get(topic.question('b'))
  topic.change(1)
  assert.equal((await waiting).index, 8)
})
