/**
 * Config entries against recorded bodies: decoded, and encoded again to the same bytes.
 *
 * Two things differ by nature and are evened out first: Go writes the keys of its opaque maps in any order, and a
 * delete names the kind only before the entry, not in it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import {
  bool,
  CONFIG_ENTRY_KINDS,
  ConfigEntryDeleteResponse,
  ConfigEntryListAllRequest,
  ConfigEntryQuery,
  ConfigEntryRequest,
  ConfigEntryResponse,
  configEntryFromJson,
  configEntryToJson,
  DiscoveryChainRequest,
  DiscoveryChainResponse,
  decode,
  decodeConfigEntry,
  encode,
  encodeConfigEntry,
  IndexedConfigEntries,
  IndexedGenericConfigEntries,
  IndexedIntentionMatches,
  IndexedIntentions,
  IntentionCheckResponse,
  IntentionListRequest,
  IntentionQueryRequest,
  IntentionRequest,
  type Kind,
  MsgpackReader,
  MsgpackWriter,
  ServiceConfigRequest,
  ServiceConfigResponse,
  string,
} from '../index.ts'

const SHAPES: Record<string, readonly [Kind<unknown>, Kind<unknown>]> = {
  'ConfigEntry.Apply': [ConfigEntryRequest, bool],
  'ConfigEntry.Delete': [ConfigEntryRequest, ConfigEntryDeleteResponse],
  'ConfigEntry.Get': [ConfigEntryQuery, ConfigEntryResponse],
  'ConfigEntry.List': [ConfigEntryQuery, IndexedConfigEntries],
  'ConfigEntry.ListAll': [ConfigEntryListAllRequest, IndexedGenericConfigEntries],
  'ConfigEntry.ResolveServiceConfig': [ServiceConfigRequest, ServiceConfigResponse],
  'DiscoveryChain.Get': [DiscoveryChainRequest, DiscoveryChainResponse],
  'Intention.Apply': [IntentionRequest, string],
  'Intention.Check': [IntentionQueryRequest, IntentionCheckResponse],
  'Intention.Get': [IntentionQueryRequest, IndexedIntentions],
  'Intention.List': [IntentionListRequest, IndexedIntentions],
  'Intention.Match': [IntentionQueryRequest, IndexedIntentionMatches],
}

interface Call {
  readonly method: string
  readonly request_body_hex: string
  readonly response_body_hex: string
  readonly response_header?: { readonly Error: string }
}
interface Body {
  readonly method: string
  readonly side: 'request' | 'response'
  readonly body_hex: string
}

function vector<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../test/vectors/${name}`, import.meta.url), 'utf8'))
}

/** The same bytes with the keys of all maps sorted, inside raw strings that hold maps too. */
function sorted(encoded: Buffer): string {
  const writer = new MsgpackWriter()
  const reader = new MsgpackReader(encoded)
  while (reader.remaining > 0) copySorted(writer, reader)
  return writer.finish().toString('hex')
}

function copySorted(writer: MsgpackWriter, reader: MsgpackReader): void {
  const code = reader.peek()
  if ((code >= 0x80 && code <= 0x8f) || code === 0xde) {
    const entries = new Map<string, Buffer>()
    const count = reader.mapHeader()
    for (let i = 0; i < count; i++) {
      const key = reader.string()
      const value = new MsgpackWriter()
      copySorted(value, reader)
      entries.set(key, value.finish())
    }
    writer.mapHeader(count)
    for (const [key, value] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      writer.string(key)
      writer.append(value)
    }
  } else if ((code >= 0x90 && code <= 0x9f) || code === 0xdc) {
    const count = reader.arrayHeader()
    writer.arrayHeader(count)
    for (let i = 0; i < count; i++) copySorted(writer, reader)
  } else if (code === 0xda) {
    const raw = reader.raw()
    writer.raw(raw.length > 100 ? Buffer.from(sorted(raw), 'hex') : raw)
  } else {
    const start = reader.offset
    reader.skip()
    writer.append(reader.buffer.subarray(start, reader.offset))
  }
}

function assertSame(kind: Kind<unknown>, hex: string, what: string): void {
  const recorded = Buffer.from(hex, 'hex')
  assert.equal(sorted(encode(kind, decode(kind, recorded))), sorted(recorded), what)
}

const bodies = vector<{ vectors: Body[] }>('config-entry-bodies.json').vectors
const calls = vector<{ calls: Call[] }>('rpc-cross-dc.json').calls
const second = vector<{ captured: Call[]; hand_made: Call[] }>('rpc-cross-dc-2.json')

test('every recorded config entry body is encoded to its bytes', () => {
  assert.ok(bodies.length >= 12)
  for (const { method, side, body_hex } of bodies) {
    const kind = SHAPES[method]![side === 'request' ? 0 : 1]
    assertSame(kind, body_hex, `${method} ${side}`)
  }
})

test('every recorded call about entries, intentions and chains is encoded to its bytes', () => {
  const seen = new Set<string>()
  for (const call of [...calls, ...second.captured, ...second.hand_made]) {
    const shapes = SHAPES[call.method]
    if (!shapes) continue
    // Kind "" inside the entry of a delete becomes the kind that stands before it.
    const request = call.request_body_hex.replace('a44b696e64a0b5', 'a44b696e64b0736572766963652d64656661756c7473b5')
    if (call.method === 'ConfigEntry.Delete') {
      assert.equal(
        decode(ConfigEntryRequest, Buffer.from(call.request_body_hex, 'hex')).Entry?.Kind,
        'service-defaults',
      )
      assert.notEqual(request, call.request_body_hex)
    } else if (!second.hand_made.includes(call)) assertSame(shapes[0], request, `${call.method} request`)
    if ((call.response_header?.Error ?? '') === '')
      assertSame(shapes[1], call.response_body_hex, `${call.method} reply`)
    seen.add(call.method)
  }
  assert.deepEqual([...seen].sort(), Object.keys(SHAPES).sort())
})

test('ConfigEntry.ListAll: an entry of a kind that is not known here spoils no other', () => {
  const recorded = Buffer.from(bodies.find(({ method }) => method === 'ConfigEntry.ListAll')!.body_hex, 'hex')
  const known = decode(IndexedGenericConfigEntries, recorded)
  const inner = new MsgpackReader(recorded).raw()
  const writer = new MsgpackWriter()
  writer.int(known.Entries.length + 1)
  writer.string('from-the-future')
  writer.append(Buffer.from('81a44e616d65a178', 'hex'))
  writer.append(inner.subarray(1))
  const wrapped = new MsgpackWriter()
  wrapped.raw(writer.finish())
  assert.deepEqual(decode(IndexedGenericConfigEntries, wrapped.finish()), known)
})

test('an entry of each kind is the same after its JSON and after its bytes', () => {
  for (const kind of CONFIG_ENTRY_KINDS) {
    const { entry, problems } = configEntryFromJson(kind, { Kind: kind, ...(kind === 'mesh' ? {} : { Name: 'x' }) })
    assert.deepEqual(problems, { unknown: [], errors: [] }, kind)
    assert.deepEqual(decodeConfigEntry(kind, encodeConfigEntry(entry)), entry, kind)
    assert.deepEqual(configEntryFromJson(kind, configEntryToJson(entry)).entry, entry, kind)
  }
})

test('bound-api-gateway: service names are keys that are maps, and text in JSON', () => {
  const { entry } = configEntryFromJson('bound-api-gateway', {
    Name: 'x',
    Services: { web: [{ Kind: 'k', Name: 'r' }] },
  })
  const encoded = encodeConfigEntry(entry)
  assert.ok(encoded.includes(Buffer.from('a8536572766963657381' + '81a44e616d65a3776562' + '9183', 'hex')))
  assert.deepEqual(decodeConfigEntry('bound-api-gateway', encoded), entry)
  assert.match(JSON.stringify(configEntryToJson(entry)), /"Services":\{"web":\[/)
})

test('a 64-bit hash keeps all its digits', () => {
  const { entry } = configEntryFromJson('service-defaults', { Name: 'x', Hash: 16406478318221243175n })
  assert.equal(decodeConfigEntry('service-defaults', encodeConfigEntry(entry)).Hash, 16406478318221243175n)
})

test('split weights travel as 32-bit floats and show the decimal that was written', () => {
  const { entry } = configEntryFromJson('service-splitter', { Name: 'x', Splits: [{ Weight: 33.3 }, { Weight: 66.7 }] })
  assert.ok(encodeConfigEntry(entry).includes(Buffer.from('a6576569676874ca42053333', 'hex')))
  assert.match(JSON.stringify(configEntryToJson(entry)), /"Weight":33.3}.*"Weight":66.7}/)
})

test('fuzz: broken bodies give a codec error and nothing else', () => {
  const random = seededRandom(20_261_123)
  for (let round = 0; round < 3000; round++) {
    const { method, side, body_hex } = bodies[random.int(bodies.length)]!
    const bytes = Buffer.from(body_hex, 'hex')
    for (let flips = 1 + random.int(4); flips > 0; flips--) {
      bytes[random.int(bytes.length)] = random.int(256)
    }
    const cut = random.float() < 0.3 ? bytes.subarray(0, random.int(bytes.length)) : bytes
    try {
      decode(SHAPES[method]![side === 'request' ? 0 : 1], cut)
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && thrown.code.startsWith('MSGPACK_'), String(thrown))
    }
  }
})
