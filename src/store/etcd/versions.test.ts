/** Which versions of etcd are warned of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { knownFault } from './versions.ts'

test('knownFault() names 3.5.0 to 3.5.2 and no other', () => {
  for (const version of ['3.5.0', '3.5.1', '3.5.2', '3.5.2-rc.1'])
    assert.match(knownFault(version) ?? '', /3\.5\.3 or newer/)
  for (const version of ['3.4.35', '3.5.3', '3.5.21', '3.6.0', '3.7.3', ''])
    assert.equal(knownFault(version), undefined)
})
