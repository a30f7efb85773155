/** User events in gossip's form: the recorded bytes, and nothing but an event or an error from any others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { decodeUserEvent, encodeUserEvent, UserEvent } from './shapes/user-event.ts'

/** Of an Internal.EventFire that was recorded between two real datacenters. */
const RECORDED =
  '84a24944d92461316435663631652d633665332d316536382d636539392d383461343237646261356131a16ea66465706c6f79a170c4077061796c6f6164a17601'

const event = UserEvent.of({
  ID: 'a1d5f61e-c6e3-1e68-ce99-84a427dba5a1',
  Name: 'deploy',
  Payload: Buffer.from('payload'),
  Version: 1,
})

test('a user event is written as recorded, and read back', () => {
  assert.equal(encodeUserEvent(event).toString('hex'), RECORDED)
  assert.deepEqual(decodeUserEvent(Buffer.from(RECORDED, 'hex')), event)
})

test('a user event of any lengths comes back, filters and long texts too', () => {
  for (const length of [0, 1, 31, 32, 255, 256, 400]) {
    const text = 'x'.repeat(length)
    const Payload = length === 0 ? null : Buffer.alloc(length, 7)
    const made = { ...event, Name: text, NodeFilter: text, ServiceFilter: 'web', TagFilter: 'v1', Payload }
    assert.deepEqual(decodeUserEvent(encodeUserEvent(made)), made)
  }
})

test('bytes that are no user event give an error of the codec, or an event (fuzz)', () => {
  const random = seededRandom(41)
  const good = Buffer.from(RECORDED, 'hex')
  let refused = 0
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.from(good)
    for (let flips = random.int(4); flips >= 0; flips--) bytes[random.int(bytes.length)] = random.int(256)
    try {
      decodeUserEvent(bytes.subarray(0, random.int(bytes.length + 1)))
    } catch (error) {
      assert.ok(error instanceof HanseError, String(error))
      refused++
    }
  }
  assert.ok(refused > 1000)
})
