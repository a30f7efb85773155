/**
 * The certificate authority's shapes against every recorded body: wire bytes and JSON text come back as they were.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decode, encode, type Kind, string } from '../schema.ts'
import { DCSpecificRequest, Empty } from './common.ts'
import { CAConfiguration, CARequest, CASignRequest, IndexedCARoots, IssuedCert } from './connect.ts'

interface Call {
  readonly method: string
  readonly request_body_hex: string
  readonly response_body_hex: string
  readonly response_header: { readonly Error: string }
}

const SHAPES: Record<string, readonly [Kind<unknown>, Kind<unknown>]> = {
  'ConnectCA.ConfigurationGet': [DCSpecificRequest, CAConfiguration],
  'ConnectCA.ConfigurationSet': [CARequest, Empty],
  'ConnectCA.Roots': [DCSpecificRequest, IndexedCARoots],
  'ConnectCA.Sign': [CASignRequest, IssuedCert],
  'ConnectCA.SignIntermediate': [CASignRequest, string],
}

interface Entry {
  readonly name: string
  readonly response?: unknown
  readonly api?: Readonly<Record<string, unknown>>
}

interface Identities {
  readonly certificates: readonly Entry[]
  readonly http: readonly {
    readonly path: string
    readonly method: string
    readonly status: number
    readonly response_body: string
  }[]
}

function vector<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../test/vectors/${name}`, import.meta.url), 'utf8'))
}

/** Length of the bytes and each byte's count: equal for maps whose keys only came in another order. */
function census(bytes: Buffer): string {
  return Buffer.from(bytes).sort().toString('hex')
}

const first = vector<{ calls: readonly Call[] }>('rpc-cross-dc.json')
const second = vector<{ captured: readonly Call[]; hand_made: readonly Call[] }>('rpc-cross-dc-2.json')
const identities = vector<Identities>('identities.json')

test('every recorded ConnectCA request and reply encodes to its bytes', () => {
  let checked = 0
  for (const call of [...first.calls, ...second.captured, ...second.hand_made]) {
    const shapes = SHAPES[call.method]
    if (!shapes) continue
    const bodies: [Kind<unknown>, string][] = []
    if (!second.hand_made.includes(call)) bodies.push([shapes[0], call.request_body_hex])
    if (call.response_header.Error === '') bodies.push([shapes[1], call.response_body_hex])
    for (const [kind, hex] of bodies) {
      const recorded = Buffer.from(hex, 'hex')
      const again = encode(kind, decode(kind, recorded))
      assert.equal(census(again), census(recorded), call.method)
      // Maps with free keys (`Config`) come in any order; everything else to the byte.
      if (kind !== CAConfiguration) assert.equal(again.toString('hex'), hex, call.method)
      checked++
    }
  }
  assert.ok(checked >= 14, `only ${checked} bodies were checked`)
})

function assertSameJson(kind: Kind<unknown>, text: string, what: string): void {
  const value = kind.fromJson(JSON.parse(text), '', { unknownKeys: 'refuse' })
  assert.equal(JSON.stringify(kind.toJson(value)), text, what)
}

test('every recorded answer of /v1/connect/ca and /v1/agent/connect/ca is the same JSON text after reading it', () => {
  let checked = 0
  for (const { path, method, status, response_body } of identities.http) {
    if (status !== 200 || method !== 'GET' || !path.includes('/ca/')) continue
    const kind = path.includes('/roots') ? IndexedCARoots : path.includes('/leaf') ? IssuedCert : CAConfiguration
    assertSameJson(kind, response_body, path)
    checked++
  }
  for (const { name, response, api } of identities.certificates) {
    if (response !== undefined) assertSameJson(IndexedCARoots, JSON.stringify(response), name)
    if (api === undefined) continue
    const { SerialNumber, ...rest } = api
    assertSameJson(IssuedCert, JSON.stringify({ SerialNumber, CertPEM: 'x', ...rest }), name)
    checked++
  }
  assert.ok(checked >= 12, `only ${checked} answers were checked`)
})
