/**
 * What a secondary writes and deletes after comparing federation states.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FederationState } from '#codec'
import { compareFederationStates } from './federation-states.ts'

const remote = (datacenter: string, index: number) => FederationState.of({ Datacenter: datacenter, ModifyIndex: index })
const copy = (datacenter: string, primaryIndex: number) =>
  FederationState.of({ Datacenter: datacenter, PrimaryModifyIndex: primaryIndex, ModifyIndex: 900 })

const names = (states: readonly FederationState[]) => states.map((state) => state.Datacenter)

test('compareFederationStates() writes what is new or changed and deletes what is gone', () => {
  const local = [copy('dc1', 10), copy('dc2', 11), copy('dc4', 5)]
  const { deletions, upserts } = compareFederationStates(local, [
    remote('dc1', 10),
    remote('dc2', 20),
    remote('dc3', 21),
  ])
  assert.deepEqual(names(deletions), ['dc4'])
  assert.deepEqual(names(upserts), ['dc2', 'dc3'])
})

test('compareFederationStates() of a primary that began anew writes its lower indexes too', () => {
  const { upserts } = compareFederationStates([copy('dc1', 500)], [remote('dc1', 3)])
  assert.deepEqual(names(upserts), ['dc1'])
})
