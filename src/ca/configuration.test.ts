/**
 * The CA's configuration: recorded requests get the recorded answers, byte for byte where clients see the text.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { CAConfiguration } from '#codec'
import { checkConfiguration, DEFAULT_CONFIGURATION } from './configuration.ts'

interface Exchange {
  readonly path: string
  readonly method: string
  readonly status: number
  readonly request_body?: string
  readonly response_body: string
}
const file = new URL('../../test/vectors/identities.json', import.meta.url)
const { http }: { http: readonly Exchange[] } = JSON.parse(readFileSync(file, 'utf8'))
const exchanges = http.filter(({ path }) => path === '/v1/connect/ca/configuration')

const read = (json: unknown) => CAConfiguration.fromJson(json, '', { unknownKeys: 'refuse' })
const check = (config: unknown, more: object = {}) =>
  checkConfiguration(read({ Provider: 'consul', Config: config, ...more }))
const reasonOf = (config: unknown) => {
  try {
    check(config)
    return 'accepted'
  } catch (error) {
    return error instanceof HanseError ? error.message : 'unknown'
  }
}

test('checkConfiguration() refuses every recorded wrong configuration with the recorded text', () => {
  let checked = 0
  for (const { method, status, request_body, response_body } of exchanges) {
    if (method !== 'PUT' || status !== 500 || request_body === undefined) continue
    assert.throws(() => checkConfiguration(read(JSON.parse(request_body))), { message: response_body, status: 500 })
    checked++
  }
  assert.equal(checked, 4)
})

test('checkConfiguration() shows the default configuration as recorded', () => {
  const recorded = exchanges.find(({ method, status }) => method === 'GET' && status === 200)
  const { CreateIndex, ModifyIndex } = JSON.parse(recorded?.response_body ?? '{}')
  const { shown, settings } = checkConfiguration(DEFAULT_CONFIGURATION)
  assert.equal(
    JSON.stringify(CAConfiguration.toJson(CAConfiguration.of({ ...shown, CreateIndex, ModifyIndex }))),
    recorded?.response_body,
  )
  const hourMs = 3_600_000
  assert.deepEqual(settings, {
    leafTtlMs: 72 * hourMs,
    intermediateTtlMs: 8760 * hourMs,
    rootTtlMs: 87_600 * hourMs,
    key: { type: 'ec', bits: 256 },
    csrMaxPerSecond: 50,
    forceWithoutCrossSigning: false,
    given: undefined,
  })
})

test('checkConfiguration() takes the spelling of configuration files and numbers as text', () => {
  const { settings } = check({
    leaf_cert_ttl: '24h',
    private_key_type: 'rsa',
    private_key_bits: '4096',
    CSRMaxPerSecond: 0.5,
  })
  assert.equal(settings.leafTtlMs, 86_400_000)
  assert.deepEqual(settings.key, { type: 'rsa', bits: 4096 })
  assert.equal(settings.csrMaxPerSecond, 0.5)
  assert.ok(check({}, { ForceWithoutCrossSigning: true }).settings.forceWithoutCrossSigning)
})

test('checkConfiguration() keeps a private key out of what is shown', () => {
  const { settings, shown } = check({ PrivateKey: 'KEY', RootCert: 'CERT' })
  assert.deepEqual(settings.given, { keyPem: 'KEY', rootPem: 'CERT' })
  assert.ok(!JSON.stringify(shown).includes('KEY'))
})

test('checkConfiguration() says what is wrong with each value', () => {
  const prefix = 'error configuring provider: '
  const decoding = `${prefix}error decoding config: 1 error(s) decoding:\n\n* `
  for (const [config, message] of [
    [{ LeafCertTTL: '5' }, `${decoding}error decoding 'LeafCertTTL': time: missing unit in duration "5"`],
    [{ RootCertTTL: '5d' }, `${decoding}error decoding 'RootCertTTL': time: unknown unit "d" in duration "5d"`],
    [{ LeafCertTTL: true }, `${decoding}'LeafCertTTL' expected type 'string', got boolean`],
    [{ PrivateKeyBits: 'x' }, `${decoding}cannot parse 'PrivateKeyBits' as a number`],
    [{ LeafTTL: '5h' }, `${decoding}'' has invalid keys: LeafTTL`],
    [
      { IntermediateCertTTL: '100h' },
      `${prefix}intermediate cert TTL must be greater or equal than 3 * leaf cert TTL (216h0m0s)`,
    ],
    [
      { RootCertTTL: '8759h' },
      `${prefix}root cert TTL must be greater or equal than intermediate cert TTL (8760h0m0s)`,
    ],
    [{ RootCertTTL: '9999999h' }, `${prefix}RootCertTTL must be at most 876000h0m0s`],
    [{ PrivateKeyType: 'dsa' }, `${prefix}private key type must be either 'ec' or 'rsa'`],
    [{ PrivateKeyType: 'rsa', PrivateKeyBits: 1024 }, `${prefix}RSA key length must be one of (2048, 4096) bits`],
    [{ CSRMaxPerSecond: -1 }, `${prefix}CSRMaxPerSecond must not be negative`],
  ] as const) {
    assert.equal(reasonOf(config), message)
  }
})

test('checkConfiguration() answers anything in Config with its own errors only', () => {
  const random = seededRandom(3)
  const keys = [
    'LeafCertTTL',
    'leaf_cert_ttl',
    'PrivateKeyBits',
    'PrivateKeyType',
    'RootCert',
    'CSRMaxPerSecond',
    '__proto__',
  ]
  const values = [null, '', '1h', '-1h', 'ec', 'rsa', 2048, 1e308, -0, [], {}, true, '72h', '\u0000', ['x']]
  for (let round = 0; round < 2000; round++) {
    const config: [string, unknown][] = Array.from({ length: random.int(4) }, () => [
      keys[random.int(keys.length)] ?? '',
      values[random.int(values.length)],
    ])
    assert.match(reasonOf(Object.fromEntries(config)), /^(accepted|error configuring provider: )/)
  }
})
