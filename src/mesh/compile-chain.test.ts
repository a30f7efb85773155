/**
 * Chains against recorded ones: every case writes its entries, refusals included, and compiles what was asked for.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { messageOf, parseDuration } from '#base'
import { CompiledDiscoveryChain, type ConfigEntryKind, isConfigEntryKind } from '#codec'
import { checkDelete, checkWrite } from './check-write.ts'
import { compileChain } from './compile-chain.ts'
import { customizationHash } from './customization-hash.ts'
import { entryFromValue } from './decode-entry.ts'
import { EntrySet } from './entry-source.ts'

interface Write {
  readonly put?: Record<string, unknown>
  readonly delete?: string
  readonly status: number
  readonly body: string
}
interface RecordedChain {
  readonly path: string
  readonly request_body?: {
    readonly OverrideMeshGateway?: { readonly Mode: string }
    readonly OverrideProtocol?: string
    readonly OverrideConnectTimeout?: string
  }
  readonly response: {
    readonly Chain: { readonly AutoVirtualIPs: string[] | null; readonly ManualVirtualIPs: string[] | null }
  }
}
interface Case {
  readonly name: string
  readonly writes: readonly Write[]
  readonly chains: readonly RecordedChain[]
}

const { cases }: { cases: Case[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/discovery-chain.json', import.meta.url), 'utf8'),
)
const TRUST_DOMAIN = '66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul'

/** The entries after a write, or the text of its refusal. */
function write(entries: EntrySet, { put, delete: removed }: Write): EntrySet | string {
  try {
    if (put !== undefined) {
      const entry = checkWrite(entries, entryFromValue(put), 'dc1')
      return entries.with({ kind: entry.Kind, name: 'Name' in entry ? entry.Name : 'mesh', entry })
    }
    const [kind = '', name = ''] = (removed ?? '').split('/')
    assert.ok(isConfigEntryKind(kind))
    const known: ConfigEntryKind = kind
    checkDelete(entries, known, name, 'dc1')
    return entries.with({ kind: known, name, entry: undefined })
  } catch (thrown) {
    return messageOf(thrown)
  }
}

assert.equal(cases.length, 33)
for (const { name, writes, chains } of cases) {
  test(`compileChain(): ${name}`, () => {
    let entries = new EntrySet()
    for (const step of writes) {
      const result = write(entries, step)
      if (step.status === 200) assert.ok(result instanceof EntrySet, String(result))
      else assert.equal(result, step.body)
      if (result instanceof EntrySet) entries = result
    }
    for (const { path, request_body: overrides = {}, response } of chains) {
      const url = new URL(path, 'http://localhost')
      const chain = compileChain(entries, {
        service: url.pathname.split('/').at(-1) ?? '',
        datacenter: url.searchParams.get('compile-dc') ?? 'dc1',
        trustDomain: TRUST_DOMAIN,
        overrideMeshGatewayMode: overrides.OverrideMeshGateway?.Mode ?? '',
        overrideProtocol: overrides.OverrideProtocol ?? '',
        overrideConnectTimeoutNs: parseDuration(overrides.OverrideConnectTimeout ?? '0s') ?? 0,
        autoVirtualIps: response.Chain.AutoVirtualIPs,
        manualVirtualIps: response.Chain.ManualVirtualIPs,
      })
      // Text, so that the order of the fields counts too.
      assert.equal(
        JSON.stringify(CompiledDiscoveryChain.toJson(chain), null, 1),
        JSON.stringify(response.Chain, null, 1),
      )
    }
  })
}

test('customizationHash() is the one that a real server computes, for each override alone and together', () => {
  const hash = (meshGatewayMode: string, protocol: string, timeout: string) =>
    customizationHash({ meshGatewayMode, protocol, connectTimeoutNs: parseDuration(timeout) ?? 0 })
  assert.deepEqual(
    [hash('remote', '', '0s'), hash('local', '', '0s'), hash('none', '', '0s'), hash('', 'http', '0s')],
    ['dd412229', 'c225dc1c', 'fc9afadf', '1a47f6e1'],
  )
  assert.deepEqual(
    [hash('', 'grpc', '0s'), hash('', 'tcp', '0s'), hash('', '', '7s'), hash('', '', '500ms')],
    ['ef15b5b5', '96f2c150', '8b1bc506', 'a8f901bd'],
  )
  assert.deepEqual([hash('remote', '', '9s'), hash('local', 'http', '1s')], ['5e3efc4f', 'a87f24e4'])
  assert.equal(hash('', '', '0s'), '')
})

/** Splitters each of which leads to the next two. */
function doubling(count: number): EntrySet {
  const entries = [{ Kind: 'proxy-defaults', Name: 'global', Config: { protocol: 'http' } }].map(entryFromValue)
  for (let i = 0; i < count; i++) {
    const Splits = [
      { Weight: 50, Service: `s${i + 1}` },
      { Weight: 50, Service: `s${i + 2}` },
    ]
    entries.push(entryFromValue({ Kind: 'service-splitter', Name: `s${i}`, Splits }))
  }
  return new EntrySet(entries)
}

test('compileChain() refuses splitters that multiply without end, by name and limit', () => {
  assert.throws(() => compileChain(doubling(40), { service: 's0', datacenter: 'dc1', trustDomain: 't' }), {
    code: 'CHAIN_TOO_LARGE',
    message: /^Compile discovery chain "s0": more than 1024 destinations of a splitter$/,
  })
})

test('compileChain() refuses a row of splitters that is too long', () => {
  const entries = Array.from({ length: 100 }, (_, i) =>
    entryFromValue({ Kind: 'service-splitter', Name: `s${i}`, Splits: [{ Weight: 100, Service: `s${i + 1}` }] }),
  )
  assert.throws(() => compileChain(new EntrySet(entries), { service: 's0', datacenter: 'dc1', trustDomain: 't' }), {
    code: 'CHAIN_TOO_LARGE',
  })
})

test('compileChain() follows a thousand redirects, and finds the circle behind them', () => {
  const redirects = Array.from({ length: 1000 }, (_, i) =>
    entryFromValue({ Kind: 'service-resolver', Name: `r${i}`, Redirect: { Service: `r${i + 1}` } }),
  )
  const request = { service: 'r0', datacenter: 'dc1', trustDomain: 't' }
  assert.equal(compileChain(new EntrySet(redirects), request).StartNode, 'resolver:r1000.default.default.dc1')
  const back = entryFromValue({ Kind: 'service-resolver', Name: 'r1000', Redirect: { Service: 'r0' } })
  assert.throws(() => compileChain(new EntrySet([...redirects, back]), request), { code: 'CHAIN_INVALID' })
})
