/**
 * A server that is killed in a storm of writes, again and again: what it answered is there when it starts again.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '#base'
import type { Datacenter } from '../support/datacenter.ts'
import { TestBed } from '../support/federation.ts'

const KILLS = 20
const WRITERS = 16
/** Keys of one writer, so that most writes replace a value. */
const KEYS_PER_WRITER = 8
/** The kill comes at a random moment up to here, from the first write on. */
const MAX_STORM_MS = 400

const bed = new TestBed()
let dc1: Datacenter

before(async () => {
  dc1 = await bed.make({ name: 'dc1' })
})
after(() => bed.stop())

interface Storm {
  /** Key → number of the last write that was answered. */
  readonly answered: Map<string, number>
  /** Highest X-Consul-Index that a reader saw. */
  index: number
  writes: number
}

/** Writes rising numbers until the server is gone. */
async function write(writer: number, storm: Storm): Promise<void> {
  for (;;) {
    const key = `storm/${writer}/${storm.writes % KEYS_PER_WRITER}`
    const number = ++storm.writes
    try {
      await dc1.put(key, String(number))
      storm.answered.set(key, number)
    } catch {
      return
    }
  }
}

async function read(storm: Storm): Promise<void> {
  for (;;) {
    try {
      const { index } = await dc1.client.expect('GET', '/v1/kv/storm/', { query: { keys: true } })
      assert.ok(index >= storm.index, `the index went back from ${storm.index} to ${index}`)
      storm.index = index
      await delay(5)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      // No key yet is 404, a server that is gone no answer.
      if (!dc1.server?.running) return
      await delay(5)
    }
  }
}

/** Every answered write is there; one that was under way may be, too. */
async function verify(storm: Storm): Promise<void> {
  if (storm.answered.size === 0) return
  const answer = await dc1.client.expect('GET', '/v1/kv/storm/', { query: { recurse: true } })
  assert.ok(answer.index >= storm.index, `the index went back from ${storm.index} to ${answer.index}`)
  const entries = JSON.parse(answer.body.toString('utf8')) as { Key: string; Value: string }[]
  const stored = new Map(
    entries.map(({ Key, Value }) => [Key, Number(Buffer.from(Value, 'base64').toString())] as const),
  )
  for (const [key, number] of storm.answered) {
    const found = stored.get(key) ?? -1
    assert.ok(found >= number, `${key}: ${number} was answered, ${found} is stored`)
  }
}

test(`a server killed ${KILLS} times in a storm of writes holds every write that it answered`, async (t) => {
  const random = seededRandom(20)
  const storm: Storm = { answered: new Map(), index: 0, writes: 0 }
  for (let kill = 0; kill < KILLS; kill++) {
    const server = dc1.startServer()
    await dc1.ready()
    await verify(storm)
    const before = storm.writes
    const workers = Array.from({ length: WRITERS }, (_, writer) => write(writer, storm))
    const reader = read(storm)
    await delay(random.int(MAX_STORM_MS))
    await server.stop('SIGKILL')
    await Promise.all([...workers, reader])
    assert.ok(storm.writes > before)
  }
  dc1.startServer()
  await dc1.ready()
  await verify(storm)
  t.diagnostic(`${storm.writes} writes, ${KILLS} kills, index ${storm.index}`)
})
