/**
 * What an agent says of itself, and what it never says.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '#base'
import { agentMember, debugConfig, hostFacts } from './agent-facts.ts'
import { loadConfig } from './config.ts'
import type { RuntimeConfig } from './config-runtime.ts'

const KEY = 'I8pGpYyHEpzLyYLkqHXoM97qQ4ySsT3LIGJkg/8eHxM='

function config(context: TestContext, text: string): RuntimeConfig {
  const folder = mkdtempSync(join(tmpdir(), 'hanse-facts-'))
  context.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(
    join(folder, 'c.hcl'),
    `server = true\nbootstrap = true\ndata_dir = "/d"\nbind_addr = "127.0.0.1"\n${text}`,
  )
  const machine = { hostname: () => 'host-1', addresses: () => [] }
  return loadConfig({ args: ['-config-file', join(folder, 'c.hcl')], machine }).config
}

test('debugConfig() shows the configuration without its secrets, wherever they stand', (context) => {
  const shown = debugConfig(
    config(
      context,
      `encrypt = "${KEY}"
      acl { tokens { initial_management = "S-1" agent = "S-2" } }
      service {
        name = "web"
        token = "S-5"
        check {
          http = "http://me:S-6@127.0.0.1/health?token=S-3&x=1"
          interval = "10s"
          header { Authorization = ["Basic S-7"] "X-Consul-Token" = ["S-8"] Cookie = ["S-9"] }
        }
      }`,
    ),
  )
  const text = JSON.stringify(shown)
  assert.ok(!text.includes(KEY) && !/S-\d/.test(text), text)
  assert.equal(shown['Datacenter'], 'dc1')
  assert.equal(shown['NodeName'], 'host-1')
  assert.match(text, /http:\/\/me:hidden@127\.0\.0\.1\/health\?token=hidden&x=1/)
})

test('debugConfig() leaves what is no secret as it is', (context) => {
  const shown = JSON.stringify(debugConfig(config(context, 'node_meta { rack = "7" }\nretry_join = ["10.0.0.1:8301"]')))
  assert.match(shown, /"rack":"7"/)
  assert.match(shown, /10\.0\.0\.1:8301/)
})

test('agentMember() says the status as the number that clients know', () => {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 4 }
  const of = (status: 'alive' | 'leaving' | 'left' | 'failed' | 'none') =>
    agentMember({ name: 'a', address: '10.0.0.1', port: 8301, tags: {}, status, ...versions })
  assert.deepEqual(
    (['none', 'alive', 'leaving', 'left', 'failed'] as const).map((status) => of(status).Status),
    [0, 1, 2, 3, 4],
  )
  assert.equal(of('alive').ProtocolCur, 2)
})

test('hostFacts() tells memory, processors and when they were looked at', () => {
  const { Memory, CPU, CollectionTime } = hostFacts(new ManualClock(0, 5))
  assert.ok(typeof Memory === 'object' && Array.isArray(CPU))
  assert.equal(CollectionTime, 5_000_000)
})
