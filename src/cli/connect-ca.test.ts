/**
 * `connect ca …`: the recorded output, what is sent, refusals.
 */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { type CannedAnswers, runCommand } from './test-run.ts'

const PATH = '/v1/connect/ca/configuration'

test('connect ca get-config shows the configuration as recorded', async () => {
  const body =
    '{"Provider":"consul","Config":{"IntermediateCertTTL":"8760h","LeafCertTTL":"72h","RootCertTTL":"87600h"},' +
    '"State":null,"ForceWithoutCrossSigning":false,"CreateIndex":10,"ModifyIndex":14}'
  const ran = await runCommand(['connect', 'ca', 'get-config'], { answers: { [`GET ${PATH}`]: { body } } })
  const lines = [
    '{',
    '\t"Provider": "consul",',
    '\t"Config": {',
    '\t\t"IntermediateCertTTL": "8760h",',
    '\t\t"LeafCertTTL": "72h",',
    '\t\t"RootCertTTL": "87600h"',
    '\t},',
    '\t"State": null,',
    '\t"ForceWithoutCrossSigning": false,',
    '\t"CreateIndex": 10,',
    '\t"ModifyIndex": 14',
    '}',
  ]
  assert.equal(ran.both, `${lines.join('\n')}\n`)
})

test('connect ca set-config sends the file, and that it is forced', async () => {
  const answers: CannedAnswers = { [`PUT ${PATH}`]: { body: '' } }
  const hcl = 'Provider = "consul"\nConfig {\n  LeafCertTTL = "24h"\n}\n'
  const args = ['connect', 'ca', 'set-config', '-force-without-cross-signing', '-config-file', '-']
  const ran = await runCommand(args, { answers, stdin: Readable.from([hcl]) })
  assert.equal(ran.both, 'Configuration updated!\n')
  assert.deepEqual(JSON.parse(ran.asked[0]?.body ?? ''), {
    Provider: 'consul',
    Config: { LeafCertTTL: '24h' },
    ForceWithoutCrossSigning: true,
  })
})

test('connect ca set-config says that a file is needed, and frames what the server refuses', async () => {
  const none = await runCommand(['connect', 'ca', 'set-config'])
  assert.equal(none.status, 1)
  assert.match(none.stderr, /^The -config-file flag is required/)
  const body = 'leaf cert TTL must be greater or equal than 1h0m0s'
  const args = ['connect', 'ca', 'set-config', '-config-file', '-']
  const refused = await runCommand(args, {
    answers: { [`PUT ${PATH}`]: { status: 500, body } },
    stdin: Readable.from(['{"Provider": "consul", "Config": {"LeafCertTTL": "1s"}}']),
  })
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /^Error setting CA configuration: .*leaf cert TTL must be/)
})
