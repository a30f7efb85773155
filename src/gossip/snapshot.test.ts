/**
 * The snapshot: its lines, and the file that holds them.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ManualClock, seededRandom } from '#base'
import { aliveLine, clockLine, notAliveLine, SnapshotState } from './snapshot.ts'
import { SnapshotFile } from './snapshot-file.ts'

const replayed = (text: string, rejoinAfterLeave = false) => {
  const state = new SnapshotState({ rejoinAfterLeave })
  state.replay(text)
  return state
}

test('replay() knows every line of a real snapshot and skips what it does not know', () => {
  const state = replayed(
    [
      '# a comment',
      'alive: node one 127.0.0.1:7946',
      'alive: two [::1]:7946',
      'coordinate: {"Vec":[0]}',
      'clock: 12',
      'event-clock: 3',
      'query-clock: 4',
      'not-alive: two',
      'clock: x',
      'alive: ',
      'alive: cut',
    ].join('\n'),
  )
  assert.deepEqual([...state.alive], [['node one', '127.0.0.1:7946']])
  assert.deepEqual([state.clock, state.eventClock, state.queryClock], [12, 3, 4])
})

test('leave clears the snapshot unless the node rejoins after leaving', () => {
  const text = 'alive: a 1.1.1.1:1\nclock: 5\nleave\n'
  assert.deepEqual([replayed(text).alive.size, replayed(text).clock], [0, 0])
  assert.deepEqual([replayed(text, true).alive.size, replayed(text, true).clock], [1, 5])
})

test('compact() replays to the same state', () => {
  const state = replayed('alive: a 1.1.1.1:1\nalive: b 1.1.1.2:1\nnot-alive: a\nclock: 7\n')
  const again = replayed(state.compact())
  assert.deepEqual([[...again.alive], again.clock], [[...state.alive], 7])
})

test('replay() takes any text', () => {
  const random = seededRandom(1)
  const seed = 'alive: a 1.1.1.1:1\nclock: 7\nnot-alive: a\nleave\nevent-clock: 99\n'
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(seed.repeat(2))
    for (let flips = random.int(20); flips > 0; flips--) bytes[random.int(bytes.length)] = random.int(256)
    const state = replayed(bytes.toString())
    assert.ok(state.alive.size <= 4 && Number.isSafeInteger(state.clock))
  }
})

test('SnapshotFile appends, compacts when it has grown, and cannot be tricked by names with line breaks', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hanse-snapshot-'))
  try {
    const path = join(folder, 'serf', 'local.snapshot')
    const clock = new ManualClock()
    const errors: unknown[] = []
    const open = () => SnapshotFile.open(path, { rejoinAfterLeave: false }, { clock, onError: (e) => errors.push(e) })
    const file = await open()
    file.record(aliveLine('a\nleave', '10.0.0.1', 8301))
    file.record(aliveLine('b', '10.0.0.2', 8301))
    clock.advance(500)
    await file.flush()
    assert.equal(await readFile(path, 'utf8'), 'alive: a leave 10.0.0.1:8301\nalive: b 10.0.0.2:8301\n')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    for (let time = 0; time < 20_000; time++) file.record(clockLine('clock', time))
    file.record(notAliveLine('b'))
    await file.close()
    assert.ok((await stat(path)).size < 200)
    const again = await open()
    assert.deepEqual([[...again.state.alive.keys()], again.state.clock], [['a leave'], 19_999])
    await again.close()
    assert.deepEqual(errors, [])
    await writeFile(path, '')
    assert.equal((await open()).state.alive.size, 0)
  } finally {
    await rm(folder, { recursive: true })
  }
})
