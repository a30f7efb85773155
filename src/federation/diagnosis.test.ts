/**
 * Each symptom is named by its setting, with both datacenters and what to change.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MismatchEvent, MismatchKind } from '#gossip'
import { type DiagnosisContext, diagnoseDial, diagnoseMismatch } from './diagnosis.ts'

const SECONDARY: DiagnosisContext = { datacenter: 'dc2', primaryDatacenter: 'dc1', domain: 'consul' }

const mismatch = (kind: MismatchKind, node?: string): MismatchEvent => ({
  type: 'mismatch',
  kind,
  ...(node === undefined ? {} : { node }),
  detail: 'what was seen',
})

test('diagnoseMismatch() of different gossip keys names the setting and both datacenters', () => {
  const problem = diagnoseMismatch(mismatch('encryption-key', 's1.dc1'), SECONDARY)
  assert.equal(problem.Code, 'GOSSIP_KEY_DIFFERS')
  assert.match(problem.Message, /"encrypt".*"dc2".*"dc1"/)
  assert.match(problem.Hint, /federation secret/)
})

test('diagnoseMismatch() says on which side the gossip key is missing', () => {
  assert.match(
    diagnoseMismatch(mismatch('encryption-missing-here'), SECONDARY).Message,
    /"dc1" has one, datacenter "dc2" has none/,
  )
  assert.match(
    diagnoseMismatch(mismatch('encryption-missing-there'), SECONDARY).Message,
    /"dc2" has one, datacenter "dc1" has none/,
  )
})

test('diagnoseMismatch() of one name for two datacenters names the setting', () => {
  const problem = diagnoseMismatch(mismatch('datacenter-name', 's1.dc2'), SECONDARY)
  assert.match(problem.Message, /setting "datacenter".*"dc2"/)
})

test('diagnoseDial() tells another CA, an expired and a wrongly named certificate, a dead and a wrong gateway', () => {
  const codes = ['DIAL_UNKNOWN_CA', 'DIAL_EXPIRED', 'DIAL_NAME_MISMATCH', 'DIAL_REFUSED', 'DIAL_CLOSED']
  const problems = codes.map((code) => diagnoseDial(code, 'the text', 'dc1', SECONDARY))
  assert.deepEqual(
    problems.map((problem) => problem?.Code),
    ['CA_DIFFERS', 'CERTIFICATE_EXPIRED', 'CERTIFICATE_NAME', 'GATEWAY_UNREACHABLE', 'GATEWAY_WRONG'],
  )
  for (const problem of problems) assert.match(problem?.Message ?? '', /dc1.*the text/)
  assert.match(problems[3]?.Hint ?? '', /"primary_gateways" of datacenter "dc2"/)
})

test('diagnoseDial() of calls that get no answer names the datacenter and the gateways', () => {
  const problem = diagnoseDial('RPC_TIMEOUT', 'no reply after 3 s', 'dc1', SECONDARY)
  assert.equal(problem.Code, 'DATACENTER_SILENT')
  assert.match(problem.Message, /^Servers of datacenter "dc1": .*no reply after 3 s$/)
  assert.match(problem.Hint, /"primary_gateways" of datacenter "dc2"/)
})

test('diagnoseDial() without any gateway to dial says how to start one', () => {
  const problem = diagnoseDial('REMOTE_DC_UNREACHABLE', 'no mesh gateway known', 'dc3', SECONDARY)
  assert.equal(problem.Code, 'GATEWAY_MISSING')
  assert.match(problem.Message, /datacenter "dc3": datacenter "dc2" knows none: no mesh gateway known$/)
  assert.match(problem.Hint, /-gateway=mesh -register -expose-servers/)
})
