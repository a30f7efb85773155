/**
 * Answers of an agent are outside data: whatever they hold, a command shows them or refuses them in its own frame.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, type Random, seededRandom } from '#base'
import type { Kind } from '#codec'
import { AgentSelf, Members } from './agent-answers.ts'
import { Status } from './federation-answers.ts'
import { runCommand } from './test-run.ts'

const ROUNDS = 4_000
const MAX_DEPTH = 5
const KEYS = [
  'Name',
  'Addr',
  'Port',
  'Tags',
  'Status',
  'Config',
  'Stats',
  'Datacenters',
  'Gateways',
  'RPC',
  '__proto__',
]
const LEAVES = [null, true, 0, -1, 1.5, 1e308, '', 'alive', '\u0000', 'x'.repeat(300), '🙂']

function anything(random: Random, depth: number): unknown {
  const kind = depth === MAX_DEPTH ? 2 : random.int(4)
  if (kind === 0) return Array.from({ length: random.int(4) }, () => anything(random, depth + 1))
  if (kind > 1) return LEAVES[random.int(LEAVES.length)]
  const entries = Array.from({ length: random.int(5) }, () => [
    KEYS[random.int(KEYS.length)] ?? '',
    anything(random, depth + 1),
  ])
  return Object.fromEntries(entries)
}

test('shapes of answers only ever refuse with JSON_TYPE, for any JSON', () => {
  const random = seededRandom(11)
  const kinds: readonly Kind<unknown>[] = [Members, AgentSelf, Status]
  for (let round = 0; round < ROUNDS; round++) {
    const json = anything(random, 0)
    for (const kind of kinds) {
      try {
        kind.fromJson(json, '', { unknownKeys: 'skip' })
      } catch (error) {
        assert.ok(error instanceof HanseError && error.code === 'JSON_TYPE', String(error))
      }
    }
  }
})

test('a command ends with a status and a framed error for any answer', async () => {
  const random = seededRandom(12)
  for (let round = 0; round < 60; round++) {
    const body = random.int(5) === 0 ? random.bytes(40) : JSON.stringify(anything(random, 0))
    for (const [words, line, frame] of [
      [['members'], 'GET /v1/agent/members?segment=_all', 'Error retrieving members: '],
      [['federation', 'status'], 'GET /v1/internal/federation-status', 'Error querying federation status: '],
      [['kv', 'get', '-recurse', 'a'], 'GET /v1/kv/a?recurse', 'Error querying Consul agent: '],
    ] as const) {
      const { status, stderr } = await runCommand(words, { answers: { [line]: { body } } })
      assert.ok([0, 1, 2].includes(status))
      assert.ok(stderr === '' || stderr.startsWith(frame), stderr)
    }
  }
})
