/**
 * Bodies of entries: every spelling that people use, what is refused, and that nothing else can come out.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { CONFIG_ENTRY_KINDS, type ConfigEntry, configEntryToJson, goJson } from '#codec'
import { decodeEntryHcl, decodeEntryJson, EntrySet, entryFromValue, storedEntry, validateEntry } from './index.ts'

/** The JSON that is shown, without the hash. */
function shown(entry: ConfigEntry): string {
  return goJson(configEntryToJson({ ...entry, Hash: 0 }))
}

const problemOf = (read: () => unknown): string => {
  try {
    read()
  } catch (thrown) {
    if (thrown instanceof HanseError) return thrown.message
    throw thrown
  }
  return 'accepted'
}

test('decodeEntryHcl() and decodeEntryJson() give the same entry for every spelling', () => {
  const hcl = `
    Kind = "service-resolver"
    Name = "web"
    connect_timeout = "15s"
    default_subset = "v1"
    subsets {
      v1 { filter = "Service.Meta.version == v1" }
      v2 { filter = "Service.Meta.version == v2" only_passing = true }
    }
    failover "*" { targets = [{ datacenter = "dc2" }] }
    load_balancer { policy = "ring_hash" ring_hash_config { minimum_ring_size = 1024 } hash_policies { source_ip = "true" } }
  `
  const json = {
    Kind: 'service-resolver',
    Name: 'web',
    ConnectTimeout: 15_000_000_000,
    DefaultSubset: 'v1',
    Subsets: {
      v1: { Filter: 'Service.Meta.version == v1' },
      v2: { Filter: 'Service.Meta.version == v2', OnlyPassing: true },
    },
    Failover: { '*': { Targets: [{ Datacenter: 'dc2' }] } },
    LoadBalancer: { Policy: 'ring_hash', RingHashConfig: { MinimumRingSize: '1024' }, HashPolicies: [{ SourceIP: 1 }] },
  }
  const fromHcl = decodeEntryHcl(hcl, 'web.hcl')
  assert.deepEqual(fromHcl, decodeEntryJson(JSON.stringify(json)))
  assert.deepEqual(decodeEntryHcl(JSON.stringify(json), 'web.json'), fromHcl)
  assert.match(shown(fromHcl), /^\{"ConnectTimeout":"15s","Kind":"service-resolver","Name":"web",/)
})

test('opaque keys keep their spelling, their numbers are floats, and nothing in them is nil', () => {
  const entry = decodeEntryJson(
    '{"kind":"proxy-defaults","name":"global","config":{"envoy_x":{"A_b":[1,null,"c"]},"none":null,"big":9007199254740993}}',
  )
  assert.ok(entry.Kind === 'proxy-defaults')
  assert.deepEqual(entry.Config, { envoy_x: { A_b: [1, 'c'] }, big: 9_007_199_254_740_992 })
})

test('all unknown keys and all values that cannot be read are named at once', () => {
  const body = (json: unknown) => problemOf(() => decodeEntryJson(JSON.stringify(json)))
  assert.equal(
    body({ Kind: 'service-splitter', Name: 'x', Splits: [{ Weight: 100, Wieght: 1 }], zzz: 1 }),
    'Request decoding failed: 2 errors occurred:\n\t* invalid config key "Splits[0].Wieght"\n\t* invalid config key "zzz"\n\n',
  )
  assert.equal(
    body({ Kind: 'service-resolver', Name: {}, ConnectTimeout: '5', Subsets: 'x' }),
    `Request decoding failed: 3 error(s) decoding:

* 'Name' expected type 'string', got unconvertible type 'map[string]interface {}'
* 'Subsets' expected a map, got 'string'
* error decoding 'ConnectTimeout': time: missing unit in duration "5"`,
  )
  assert.equal(body([]), 'Request decoding failed: Payload does not contain a kind/Kind key at the top level')
  assert.equal(body({ Kind: 7 }), 'Request decoding failed: Kind value in payload is not a string')
  assert.equal(
    body({ Kind: 'mesh', Partition: 'a' }),
    'Request decoding failed: 1 error occurred:\n\t* invalid config key "Partition", partitions are a consul enterprise feature\n\n',
  )
})

test('a key that is a name of Object itself is data like any other', () => {
  const entry = decodeEntryJson('{"Kind":"service-resolver","Name":"x","Subsets":{"__proto__":{},"constructor":{}}}')
  assert.ok(entry.Kind === 'service-resolver')
  assert.deepEqual(Object.keys(entry.Subsets ?? {}), ['__proto__', 'constructor'])
  assert.equal(
    problemOf(() => decodeEntryJson('{"Kind":"__proto__"}')),
    'Request decoding failed: invalid config entry kind: __proto__',
  )
})

test('storedEntry(): equal content has an equal hash, whoever wrote it when; other content has another', () => {
  const entry = storedEntry(entryFromValue({ Kind: 'service-defaults', Name: 'x', Protocol: 'http' }))
  assert.equal(storedEntry({ ...entry, CreateIndex: 7, ModifyIndex: 9 }).Hash, entry.Hash)
  assert.notEqual(
    storedEntry(entryFromValue({ Kind: 'service-defaults', Name: 'y', Protocol: 'http' })).Hash,
    entry.Hash,
  )
})

test('EntrySet: a change makes another set, and leaves the first as it was', () => {
  const before = new EntrySet([
    entryFromValue({ Kind: 'mesh' }),
    entryFromValue({ Kind: 'service-defaults', Name: 'b' }),
  ])
  const added = before.with({
    kind: 'service-defaults',
    name: 'a',
    entry: entryFromValue({ Kind: 'service-defaults', Name: 'a' }),
  })
  assert.deepEqual(
    added.all('service-defaults').map(({ Name }) => Name),
    ['a', 'b'],
  )
  assert.equal(added.with({ kind: 'mesh', name: 'mesh', entry: undefined }).get('mesh', 'mesh'), undefined)
  assert.deepEqual(
    before.entries().map(({ Kind }) => Kind),
    ['mesh', 'service-defaults'],
  )
})

const { exchanges }: { exchanges: { method: string; path: string; body?: string }[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http-mesh.json', import.meta.url), 'utf8'),
)
const bodies = exchanges.flatMap(({ path, body }) =>
  body !== undefined && path.startsWith('/v1/config') ? [body] : [],
)

test('fuzz: mutated JSON and HCL are read or refused with a typed error, never with another', () => {
  const random = seededRandom(4)
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    'null',
    '1e999',
    '-1',
    '=',
    '\\',
    '<<E',
    'Kind',
    '"*"',
    '\u0000',
    'é',
  ]
  for (let round = 0; round < 4000; round++) {
    let text = bodies[random.int(bodies.length)]!
    for (let changes = 1 + random.int(3); changes > 0; changes--) {
      const at = random.int(text.length)
      text = text.slice(0, at) + pieces[random.int(pieces.length)] + text.slice(at + random.int(4))
    }
    try {
      const entry = round % 2 === 0 ? decodeEntryJson(text) : decodeEntryHcl(text.slice(1, -1), 'fuzz.hcl')
      const stored = storedEntry(entry)
      validateEntry(stored)
      configEntryToJson(stored)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError, `${String(thrown)}\n${text}`)
    }
  }
})

/** Any value, small. */
function anything(random: ReturnType<typeof seededRandom>, depth: number): unknown {
  const leaves = [null, true, 0, -5, 1.5, '', 'x', '5s', '*', '/']
  if (depth === 0 || random.float() < 0.4) return leaves[random.int(leaves.length)]
  if (random.float() < 0.4) return Array.from({ length: random.int(3) }, () => anything(random, depth - 1))
  return {
    [['Name', 'Action', 'HTTP', 'Service', 'v1', 'Targets', 'Mode'][random.int(7)]!]: anything(random, depth - 1),
  }
}

test('fuzz: any value in any field of any kind is read or refused with a typed error', () => {
  const random = seededRandom(11)
  for (let round = 0; round < 6000; round++) {
    const kind = CONFIG_ENTRY_KINDS[random.int(CONFIG_ENTRY_KINDS.length)]!
    const fields = Object.keys(configEntryToJson(entryFromValue({ Kind: kind })) as object)
    const extra = [
      'Sources',
      'Routes',
      'Splits',
      'Subsets',
      'Failover',
      'Redirect',
      'Listeners',
      'Services',
      'Config',
      'TLS',
    ]
    const field = [...fields, ...extra][random.int(fields.length + extra.length)]!
    try {
      validateEntry(storedEntry(entryFromValue({ Name: 'x', [field]: anything(random, 4), Kind: kind })))
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError, `${kind}.${field}: ${thrown instanceof Error ? thrown.stack : thrown}`)
    }
  }
})
