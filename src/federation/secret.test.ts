/**
 * The federation secret as a manifest, both ways, and what bad ones are told.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, HanseError, seededRandom } from '#base'
import { type FederationSecret, parseFederationSecret, renderFederationSecret } from './secret.ts'

const SECRET: FederationSecret = {
  caCert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  caKey: '-----BEGIN EC PRIVATE KEY-----\nTOPSECRETKEY\n-----END EC PRIVATE KEY-----\n',
  serverConfig: { primaryDatacenter: 'dc1', primaryGateways: ['127.0.0.1:8443', '[::1]:8443'] },
  gossipEncryptionKey: 'pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=',
  replicationToken: '5c7e2e31-0d3a-4b8e-9f55-000000000000',
}

test('parseFederationSecret() reads what renderFederationSecret() wrote', () => {
  assert.deepEqual(parseFederationSecret(renderFederationSecret(SECRET), 'x.yaml'), SECRET)
  const { gossipEncryptionKey: _key, replicationToken: _token, ...plain } = SECRET
  assert.deepEqual(parseFederationSecret(renderFederationSecret(plain), 'x.yaml'), plain)
})

test('parseFederationSecret() reads the manifest as kubectl prints it', () => {
  const b64 = (text: string) => Buffer.from(text).toString('base64')
  const manifest = `apiVersion: v1
data:
  caCert: ${b64(SECRET.caCert)}
  caKey: ${b64(SECRET.caKey)}
  gossipEncryptionKey: ${b64(SECRET.gossipEncryptionKey ?? '')}
  replicationToken: ${b64(SECRET.replicationToken ?? '')}
  serverConfigJSON: ${b64('{"primary_datacenter":"dc1","primary_gateways":["127.0.0.1:8443","[::1]:8443"]}')}
kind: Secret
metadata:
  creationTimestamp: "2022-10-01T00:00:00Z"
  labels:
    app: consul
  name: consul-federation
  namespace: consul
  resourceVersion: "1234"
  uid: 9b0f
type: Opaque
`
  assert.deepEqual(parseFederationSecret(manifest, 'consul-federation-secret.yaml'), SECRET)
})

const BAD: readonly (readonly [string, (text: string) => string, string, RegExp])[] = [
  ['not YAML', () => 'a: [', 'SECRET_NOT_A_MANIFEST', /"x.yaml": not a Secret manifest: syntax error/],
  ['another kind', (text) => text.replace('kind: Secret', 'kind: ConfigMap'), 'SECRET_NOT_A_MANIFEST', /kind is not/],
  ['no data', () => 'kind: Secret\n', 'SECRET_NOT_A_MANIFEST', /no "data"/],
  ['no CA', (text) => text.replace(/ {2}caCert: .*\n/, ''), 'SECRET_KEY_MISSING', /"caCert" is missing/],
  ['no base64', (text) => text.replace(/caKey: .*/, 'caKey: "%%"'), 'SECRET_KEY_INVALID', /"caKey".*not base64/],
  ['no PEM', (text) => text.replace(/caCert: .*/, 'caCert: eA=='), 'SECRET_KEY_INVALID', /"caCert".*not PEM/],
  [
    'no JSON',
    (text) => text.replace(/serverConfigJSON: .*/, 'serverConfigJSON: eA=='),
    'SECRET_KEY_INVALID',
    /not JSON/,
  ],
  [
    'no gateways',
    (text) =>
      text.replace(
        /serverConfigJSON: .*/,
        `serverConfigJSON: ${Buffer.from('{"primary_datacenter":"dc1"}').toString('base64')}`,
      ),
    'SECRET_KEY_INVALID',
    /"primary_gateways"/,
  ],
]

for (const [what, spoil, code, message] of BAD) {
  test(`parseFederationSecret() refuses a manifest with ${what}, and quotes no secret`, () => {
    const text = spoil(renderFederationSecret(SECRET).replace(/: >-\n\s+/g, ': '))
    assert.throws(
      () => parseFederationSecret(text, 'x.yaml'),
      (error) => {
        assert.ok(error instanceof HanseError)
        assert.equal(error.code, code)
        assert.match(error.message, message)
        assert.doesNotMatch(`${error.message} ${error.hint}`, /TOPSECRET|VE9QU0VDUkVU|pUqJ|5c7e2e31/)
        return true
      },
    )
  })
}

test('parseFederationSecret() of damaged manifests throws its own errors only', () => {
  const random = seededRandom(11)
  const good = Buffer.from(renderFederationSecret(SECRET))
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(good)
    for (let hits = random.int(8); hits >= 0; hits--) bytes[random.int(bytes.length)] = random.int(128)
    try {
      parseFederationSecret(bytes.toString('utf8'), 'fuzz')
    } catch (error) {
      assert.match(codeOf(error) ?? String(error), /^SECRET_/)
    }
  }
})
