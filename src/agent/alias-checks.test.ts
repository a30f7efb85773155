/**
 * What aliases make of the checks that they stand for.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HealthCheck } from '#codec'
import { type AliasTarget, aliasState } from './alias-checks.ts'

type World = Readonly<Record<string, readonly (readonly [id: string, status: string, alias?: string])[]>>

/** Services and their checks; a check with a third part is an alias of that service. */
function stateIn(world: World, id: string, service: string) {
  const aliases = new Map(Object.values(world).flatMap((checks) => checks.map(([check, , alias]) => [check, alias])))
  return aliasState(
    id,
    { node: '', service },
    {
      checks: (target: AliasTarget) =>
        world[target.service]?.map(([CheckID, Status]) =>
          HealthCheck.of({ CheckID, Name: CheckID, Status, Output: `${CheckID} out` }),
        ),
      aliasOf: ({ CheckID }) => {
        const alias = aliases.get(CheckID)
        return alias === undefined ? undefined : { node: '', service: alias }
      },
    },
  )
}

test('aliasState() takes the worst of what it stands for', () => {
  const world = {
    web: [
      ['a', 'passing'],
      ['b', 'warning'],
      ['c', 'critical'],
      ['d', 'critical'],
    ],
  } as const
  assert.deepEqual(stateIn(world, 'x', 'web'), { status: 'critical', output: 'Aliased check "c" failing: c out' })
  const some = {
    web: [
      ['a', 'passing'],
      ['b', 'warning'],
    ],
  } as const
  assert.deepEqual(stateIn(some, 'x', 'web'), { status: 'warning', output: 'Aliased check "b" failing: b out' })
  assert.deepEqual(stateIn({ web: [['a', 'passing']] }, 'x', 'web'), {
    status: 'passing',
    output: 'All checks passing.',
  })
  assert.deepEqual(stateIn({ web: [['a', 'strange']] }, 'x', 'web').status, 'critical')
})

test('aliasState() passes for a service without checks and is critical for one that is not there', () => {
  assert.deepEqual(stateIn({ web: [] }, 'x', 'web'), { status: 'passing', output: 'No checks found.' })
  assert.deepEqual(stateIn({}, 'x', 'web'), { status: 'critical', output: 'Service web could not be found' })
})

test('aliasState() looks through aliases, and neither circles nor itself hold it critical', () => {
  const world = (status: string): World => ({
    a: [
      ['to-b', 'critical', 'b'],
      ['x', 'critical', 'a'],
    ],
    b: [
      ['to-a', 'critical', 'a'],
      ['leaf', status],
    ],
  })
  assert.equal(stateIn(world('passing'), 'x', 'a').status, 'passing')
  assert.deepEqual(stateIn(world('critical'), 'x', 'a'), {
    status: 'critical',
    output: 'Aliased check "to-b" failing: Aliased check "leaf" failing: leaf out',
  })
})

test('aliasState() takes bounded time and text over long chains and where everything stands for everything', () => {
  const chain: Record<string, [string, string, string?][]> = {}
  for (let i = 0; i < 20_000; i++) chain[`s${i}`] = [[`alias-of-service-${i + 1}`, 'critical', `s${i + 1}`]]
  const { status, output } = stateIn(chain, 'x', 's0')
  assert.equal(status, 'critical')
  assert.ok(output.length <= 16_384)
  const all = Array.from({ length: 50 }, (_, i) => [`a${i}`, 'critical', 'web'] as const)
  assert.equal(stateIn({ web: [...all, ['leaf', 'passing']] }, 'x', 'web').status, 'passing')
  assert.equal(stateIn({ web: [...all, ['leaf', 'warning']] }, 'x', 'web').status, 'warning')
})
