/**
 * Holds every setting that is said to do something to being read by the program, and proves on made-up sources that the
 * rule can fail.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree, type Tree } from './checkout.ts'
import { fieldsOf, unreadFields } from './config-fields.ts'

/** Fields that are read by nothing but the rules of the configuration, each with the reason. */
const RULES_ONLY: Readonly<Record<string, string>> = {
  'RuntimeConfig.bootstrap': 'a server that expects no others begins alone anyway; it excludes bootstrap_expect',
  'TlsInterfaceConfig.verifyOutgoing':
    'a server called over TLS is always verified; federation refuses a configuration without',
}

const SOURCES = readTree('src', ['.ts'])
/** Where the configuration is used, and what is handed a part of it as it is. */
const READERS = /^src\/(?:agent\/(?!config-)|cli\/agent\.ts|gossip\/|api\/dns\/)(?!.*\.test\.ts$)/

test('every field of the configuration is read outside of what builds and checks it', () => {
  const fields = fieldsOf(SOURCES.get('src/agent/config-runtime.ts') ?? '')
  const names = fields.map(({ owner, name }) => `${owner}.${name}`)
  for (const known of ['RuntimeConfig.datacenter', 'LimitsConfig.kvMaxValueBytes', 'DnsConfig.….retrySeconds']) {
    assert.ok(names.includes(known), known)
  }
  const readers: Tree = new Map([...SOURCES].filter(([path]) => READERS.test(path)))
  const unread = unreadFields(fields, 'RuntimeConfig', readers).map(({ owner, name }) => `${owner}.${name}`)
  assert.deepEqual(
    unread.sort(),
    Object.keys(RULES_ONLY),
    'to be used, or known to have no effect: config-keys-known.ts',
  )
})

test('unreadFields() takes an access and a pattern as reading, and neither a comment nor the same name elsewhere', () => {
  const types = 'export interface Whole { readonly a: number; readonly part: Part }\ntype Part = { readonly b: string }'
  const fields = fieldsOf(types)
  assert.deepEqual(fields, [
    { owner: 'Whole', name: 'a' },
    { owner: 'Whole', name: 'part' },
    { owner: 'Part', name: 'b' },
  ])
  const unread = (code: string) => unreadFields(fields, 'Whole', new Map([['x.ts', code]])).map(({ name }) => name)
  assert.deepEqual(unread('f(config.a, options.config.part.b)'), [])
  assert.deepEqual(unread('const { a, part } = facts.config\nconst { b } = part'), [])
  assert.deepEqual(unread('function f({ a, part }: Whole, { b }: Part) {}'), [])
  assert.deepEqual(unread('// config.a\nf("config.part", other.a, { b: 1 })'), ['a', 'part', 'b'])
})
