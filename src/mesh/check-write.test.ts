/**
 * Writes that would break something else: refused by the name of what would break, and nothing is changed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configEntryName, Intention } from '#codec'
import {
  checkDelete,
  checkWrite,
  createLegacyIntention,
  EntrySet,
  entryFromValue,
  removeLegacyIntention,
  updateLegacyIntention,
  upsertIntention,
} from './index.ts'

/** Writes entries one after the other, as a server does. */
function written(...bodies: object[]): EntrySet {
  let entries = new EntrySet()
  for (const body of bodies) {
    const entry = checkWrite(entries, entryFromValue(body), 'dc1')
    entries = entries.with({ kind: entry.Kind, name: configEntryName(entry), entry })
  }
  return entries
}

const refusal = (entries: EntrySet, body: object) => () => checkWrite(entries, entryFromValue(body), 'dc1')

const HTTP = { Kind: 'service-defaults', Name: 'web', Protocol: 'http' }
const L7 = {
  Kind: 'service-intentions',
  Name: 'web',
  Sources: [{ Name: 'a', Permissions: [{ Action: 'allow', HTTP: { PathPrefix: '/' } }] }],
}

test('checkWrite() keeps a protocol that intentions on requests need', () => {
  const entries = written(HTTP, L7)
  const message = 'service "web" has protocol "tcp", which is incompatible with L7 intentions permissions'
  assert.throws(refusal(entries, { ...HTTP, Protocol: 'tcp' }), { message })
  assert.throws(() => checkDelete(entries, 'service-defaults', 'web', 'dc1'), { message })
  checkWrite(entries, entryFromValue({ ...HTTP, Protocol: 'grpc' }), 'dc1')
})

test('checkWrite() keeps the protocol of an ingress listener, also when the default for all changes', () => {
  const entries = written(
    { Kind: 'proxy-defaults', Name: 'global', Config: { protocol: 'http' } },
    {
      Kind: 'ingress-gateway',
      Name: 'ig',
      Listeners: [{ Port: 80, Protocol: 'http', Services: [{ Name: 'api' }, { Name: 'x' }] }],
    },
  )
  assert.throws(refusal(entries, { Kind: 'service-defaults', Name: 'api', Protocol: 'grpc' }), {
    message: 'service "api" has protocol "grpc", which does not match defined listener protocol "http"',
  })
  assert.throws(() => checkDelete(entries, 'proxy-defaults', 'global', 'dc1'), { code: 'ENTRY_INVALID' })
})

test('checkWrite() sees what depends on a service over several steps, and says whose chain it is', () => {
  const entries = written(
    HTTP,
    { ...HTTP, Name: 'a' },
    { ...HTTP, Name: 'b' },
    { Kind: 'service-resolver', Name: 'b', Subsets: { v1: {} } },
    { Kind: 'service-resolver', Name: 'a', Redirect: { Service: 'b', ServiceSubset: 'v1' } },
    { Kind: 'service-splitter', Name: 'web', Splits: [{ Weight: 100, Service: 'a' }] },
  )
  assert.throws(() => checkDelete(entries, 'service-resolver', 'b', 'dc1'), {
    message: 'service "b" does not have a subset named "v1"',
  })
  assert.throws(refusal(entries, { ...HTTP, Name: 'b', Protocol: 'tcp' }), { code: 'CHAIN_INVALID' })
  checkDelete(entries, 'service-splitter', 'web', 'dc1')
  checkDelete(entries, 'service-router', 'there-is-none', 'dc1')
})

test('checkWrite() lets plain text in only after the mesh allows it', () => {
  const permissive = { Kind: 'service-defaults', Name: 'web', MutualTLSMode: 'permissive' }
  assert.throws(refusal(new EntrySet(), permissive), { message: /AllowEnablingPermissiveMutualTLS is not enabled/ })
  written({ Kind: 'mesh', AllowEnablingPermissiveMutualTLS: true }, permissive)
})

test('checkWrite() returns what is to be stored, frozen, and changes nothing it was given', () => {
  const body = entryFromValue({
    ...L7,
    Sources: [
      { Name: '*', Action: 'deny' },
      { Name: 'a', Action: 'allow' },
    ],
  })
  const stored = checkWrite(new EntrySet(), body, 'dc1')
  assert.ok(stored.Kind === 'service-intentions' && body.Kind === 'service-intentions')
  assert.deepEqual(
    stored.Sources?.map((source) => [source?.Name, source?.Precedence, source?.Type]),
    [
      ['a', 9, 'consul'],
      ['*', 8, 'consul'],
    ],
  )
  assert.equal(body.Sources?.[0]?.Precedence, 0)
  assert.ok(Object.isFrozen(stored) && Object.isFrozen(stored.Sources))
})

test('the old way of intentions: not where entries are written the new way, not to another destination', () => {
  const issue = { id: '76258aaf-ed8c-44aa-becb-a9cb96df5acd', now: '2026-11-23T10:20:13Z' }
  const old = Intention.of({ SourceName: 'a', DestinationName: 'db', Action: 'allow' })
  const entry = createLegacyIntention(new EntrySet(), old, issue)
  const entries = new EntrySet([entry])
  assert.throws(() => updateLegacyIntention(entries, { ...old, DestinationName: 'other' }, issue), {
    code: 'INTENTION_INVALID',
  })
  assert.throws(() => updateLegacyIntention(entries, old, { ...issue, id: 'x' }), { code: 'INTENTION_NOT_FOUND' })
  assert.deepEqual(removeLegacyIntention(entries, issue.id), { destination: 'db', entry: null })
  assert.equal(removeLegacyIntention(entries, 'x'), undefined)
  const mixed = upsertIntention(entries, { source: 'b', destination: 'db', intention: old })
  assert.throws(() => createLegacyIntention(new EntrySet([mixed]), old, issue), { code: 'INTENTION_INVALID' })
})

/** Services that all have entries, some of which name others. */
function many(count: number): EntrySet {
  const everyone = entryFromValue({ Kind: 'proxy-defaults', Name: 'global', Config: { protocol: 'http' } })
  const resolvers = Array.from({ length: count }, (_, i) =>
    entryFromValue({ Kind: 'service-resolver', Name: `s${i}`, Failover: { '*': { Datacenters: ['dc2', 'dc3'] } } }),
  )
  const intentions = Array.from({ length: count }, (_, i) => entryFromValue({ ...L7, Name: `s${i}` }))
  return new EntrySet([everyone, ...resolvers, ...intentions])
}

test('a change of the defaults for all is checked against every chain', () => {
  const entries = many(500)
  assert.throws(() => checkDelete(entries, 'proxy-defaults', 'global', 'dc1'), {
    code: 'ENTRY_INVALID',
    message: /^service "s0" /,
  })
})
