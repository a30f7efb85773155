/**
 * A secondary of ours and a primary that answers with recorded bytes and nothing else: those of a hand-made primary that a
 * real Consul secondary took for one.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Metrics, seededRandom, silentLogger, systemClock } from '#base'
import {
  certificateFacts,
  certificatesFromPem,
  DCSpecificRequest,
  decode,
  ServiceDumpRequest,
  string,
  struct,
  uint,
} from '#codec'
import { connectCa, Endpoints, type ForwardRequest, internal, NO_ACLS, type Router } from '#endpoints'
import { State } from '#state'
import { openMemory } from '#store'
import { Copies } from './copies.ts'

interface Recorded {
  readonly method: string
  readonly reply_body_hex: string
}
const file = new URL('../../test/vectors/minimal-primary-replies.json', import.meta.url)
const { vectors }: { vectors: readonly Recorded[] } = JSON.parse(readFileSync(file, 'utf8'))
const replies = new Map(vectors.map(({ method, reply_body_hex }) => [method, Buffer.from(reply_body_hex, 'hex')]))

const MANAGEMENT = '00000000-0000-0000-0000-00000000aaaa'
const REPLICATION = '00000000-0000-0000-0000-00000000bbbb'
const TRUST_DOMAIN = '55555555-aaaa-bbbb-cccc-555555555555.consul'

/** What of a question says whether it waits. */
const Asked = struct('Asked', { MinQueryIndex: uint })

/** Answers what was recorded; whoever waits for something newer waits. */
function recordedPrimary() {
  const asked: ForwardRequest[] = []
  const router: Router = {
    datacenter: 'dc2',
    primaryDatacenter: 'dcp',
    datacenters: () => ['dc2', 'dcp'],
    datacenterMaps: () => [],
    open: async () => assert.fail('no stream here'),
    forward: async (request) => {
      asked.push(request)
      const reply = replies.get(request.method)
      assert.ok(reply, `${request.method} is not recorded`)
      const { MinQueryIndex } = decode(Asked, request.body)
      if (MinQueryIndex > 0) await new Promise(() => {})
      return reply
    },
  }
  return { asked, router }
}

const nowhere = async () => assert.fail('no gossip here')

test('a secondary copies all that the smallest primary has, and its tokens are good', async (context) => {
  const base = { clock: systemClock, log: silentLogger, metrics: new Metrics() }
  const engine = await openMemory()
  const state = await State.open({ ...base, engine, datacenter: 'dc2' })
  const { asked, router } = recordedPrimary()
  const copied = { worked: 0, failed: 0 }
  const endpoints = new Endpoints({
    ...base,
    datacenter: 'dc2',
    primaryDatacenter: 'dcp',
    state,
    router,
    random: seededRandom(1),
    ports: {
      keyring: { lan: { list: nowhere, install: nowhere, use: nowhere, remove: nowhere } },
      leaderAddress: () => '',
      peers: () => [],
    },
    acl: {
      ...NO_ACLS,
      enabled: true,
      defaultPolicy: 'deny',
      replicatesTokens: true,
      replicationToken: () => REPLICATION,
    },
  })
  const copies = new Copies('dcp', {
    ...base,
    state,
    locator: { replicationSucceeded: () => void copied.worked++, replicationFailed: () => void copied.failed++ },
    requireFederationStates: () => {},
  })
  copies.start(endpoints)
  context.after(async () => {
    copies.stop()
    await state.close()
    await engine.close()
  })
  while (copied.worked < 5 && copied.failed === 0) await delay(5)
  assert.deepEqual(copied, { worked: 5, failed: 0 }, JSON.stringify(copies.status))

  const held = state.read((tx) => ({
    policies: tx.aclPolicies.all().map(({ Name }) => Name),
    tokens: tx.aclTokens.all().map(({ Description, SecretID }) => [Description, SecretID]),
    roles: tx.aclRoles.all(),
    states: tx.federationStates.all(),
    defaults: tx.configEntries.get('service-defaults', 'from-handmade-primary'),
    global: tx.configEntries.get('proxy-defaults', 'global'),
  })).value
  assert.deepEqual(held.policies, ['global-management'])
  assert.deepEqual(held.tokens.sort(), [
    ['mgmt from handmade primary', MANAGEMENT],
    ['repl', REPLICATION],
  ])
  assert.deepEqual([held.roles, held.states], [[], []])
  assert.ok(held.defaults?.Kind === 'service-defaults' && held.defaults.Protocol === 'http')
  assert.ok(held.global?.Kind === 'proxy-defaults' && held.global.MeshGateway.Mode === 'local')
  const rights = await endpoints.rightsOf(MANAGEMENT)
  assert.ok(rights.allows.keyWrite('any') && rights.allows.operatorWrite())
  // Nobody was asked about the token: it is here.
  assert.ok(!asked.some(({ method }) => method === 'ACL.TokenRead'))

  const inPrimary = { Datacenter: 'dcp', Token: MANAGEMENT }
  const roots = await endpoints.call(connectCa.roots, DCSpecificRequest.of(inPrimary))
  assert.equal(roots.TrustDomain, TRUST_DOMAIN)
  const [root] = certificatesFromPem(roots.Roots?.[0]?.RootCert ?? '', 'recorded')
  assert.ok(root)
  assert.deepEqual(certificateFacts(root).uris, [`spiffe://${TRUST_DOMAIN}`])
  const dump = await endpoints.call(internal.serviceDump, ServiceDumpRequest.of({ ...inPrimary, UseServiceKind: true }))
  assert.deepEqual([dump.Index, dump.Nodes], [5, []])
  assert.equal(decode(string, replies.get('Status.Leader') ?? Buffer.alloc(0)), '127.0.0.1:25843')
})
