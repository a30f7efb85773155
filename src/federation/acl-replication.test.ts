/**
 * Copies of the primary's policies, roles and tokens: what differs, what is never touched, and when copying stops.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ZERO_TIME } from '#codec'
import { aclReplicationStatus, compareByHash } from './acl-replication.ts'

const item = (id: string, hash: string, ModifyIndex: number) => ({ id, Hash: Buffer.from(hash), ModifyIndex })
const idOf = ({ id }: { id: string }) => id
const compare = (local: ReturnType<typeof item>[], remote: ReturnType<typeof item>[], lastIndex: number) => {
  const { deletions, upserts } = compareByHash(local, remote, idOf, lastIndex)
  return { deletions: deletions.map(idOf), upserts: upserts.map(idOf) }
}

test('compareByHash() deletes what is only here, writes what is only there or newer and different', () => {
  const local = [item('same', 'a', 1), item('old', 'a', 1), item('gone', 'a', 1), item('touched', 'a', 1)]
  const remote = [item('same', 'a', 5), item('old', 'b', 12), item('new', 'c', 3), item('touched', 'a', 13)]
  assert.deepEqual(compare(local, remote, 10), { deletions: ['gone'], upserts: ['old', 'new'] })
})

test('compareByHash() leaves alone what is not newer than the last round, unless all is compared', () => {
  const local = [item('x', 'a', 1)]
  const remote = [item('x', 'b', 5)]
  assert.deepEqual(compare(local, remote, 5), { deletions: [], upserts: [] })
  assert.deepEqual(compare(local, remote, 0), { deletions: [], upserts: ['x'] })
})

test('aclReplicationStatus() says the indexes, the last success and the last error, to the second', () => {
  const running = { running: true, lastSuccessWallMs: undefined, lastErrorWallMs: undefined, lastError: '' }
  const status = aclReplicationStatus(
    'dc1',
    new Map([
      ['acl-policies', { ...running, index: 7, lastSuccessWallMs: 1_400 }],
      ['acl-roles', { ...running, index: 8, lastErrorWallMs: 2_600, lastError: 'no way' }],
    ]),
  )
  assert.deepEqual(status, {
    ...{ Enabled: true, Running: true, SourceDatacenter: 'dc1', ReplicationType: 'policies' },
    ...{ ReplicatedIndex: 7, ReplicatedRoleIndex: 8, ReplicatedTokenIndex: 0 },
    ...{ LastSuccess: '1970-01-01T00:00:01Z', LastError: '1970-01-01T00:00:03Z', LastErrorMessage: 'no way' },
  })
  assert.equal(aclReplicationStatus('dc1', new Map()).LastError, ZERO_TIME)
})
