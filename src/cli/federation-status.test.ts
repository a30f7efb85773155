/**
 * `hanse federation status`: what an operator reads, and the status that scripts act on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CertificateStatus, DatacenterStatus, FederationStatus } from '#federation'
import type { Status } from './federation-answers.ts'
import { runCommand } from './test-run.ts'

/** Fails to compile when the federation tells its status in another form than is read here. */
const asRead = (status: FederationStatus): Status => status

const SINCE = '2026-11-23T08:37:43.000Z'
const DC1: DatacenterStatus = {
  Name: 'dc1',
  Primary: true,
  Local: false,
  State: 'ok',
  Since: SINCE,
  Gateways: [{ Address: '10.0.1.1:8443', Healthy: true, Source: 'federation-state', LastError: '' }],
  Gossip: { Alive: 1, Failed: 0, Left: 0 },
  RPC: { OK: true, LastSuccessSeconds: 0.2, LastError: '', Since: SINCE },
  Replication: {
    'federation-states': { Running: true, Index: 12, LastSuccess: SINCE, LastError: '', LagSeconds: 0 },
  },
  Problems: [],
}
const DC2: DatacenterStatus = {
  ...DC1,
  Name: 'dc2',
  Primary: false,
  Local: true,
  Gateways: [{ Address: '10.0.2.1:8443', Healthy: true, Source: 'local', LastError: '' }],
  Replication: null,
}
const DC3: DatacenterStatus = {
  ...DC2,
  Name: 'dc3',
  Local: false,
  State: 'unreachable',
  Since: '',
  Gateways: [{ Address: '10.0.3.1:8443', Healthy: false, Source: 'federation-state', LastError: 'connection refused' }],
  Gossip: { Alive: 0, Failed: 1, Left: 2 },
  RPC: { OK: false, LastSuccessSeconds: 14.26, LastError: 'connection refused', Since: SINCE },
  Problems: [
    {
      Code: 'GATEWAYS_UNREACHABLE',
      Message: 'Mesh gateways of "dc3": none of 1 answers',
      Hint: 'see whether "10.0.3.1:8443" is reachable from here',
    },
  ],
}
const SERVER: CertificateStatus = {
  Kind: 'server',
  Name: 'server.dc2.consul',
  KeyID: 'aa:bb',
  NotBefore: SINCE,
  NotAfter: '2026-12-23T08:37:43.000Z',
  RemainingSeconds: 29.5 * 86_400,
  State: 'ok',
  Active: true,
}
const status = (Datacenters: readonly DatacenterStatus[], more: Partial<FederationStatus> = {}) =>
  asRead({
    Datacenter: 'dc2',
    PrimaryDatacenter: 'dc1',
    Domain: 'consul',
    Node: 's2',
    GossipEncrypted: true,
    Datacenters,
    Certificates: [],
    Problems: [],
    ...more,
  })
const ask = (body: unknown, words: readonly string[] = []) =>
  runCommand(['federation', 'status', ...words], { answers: { 'GET /v1/internal/federation-status': { body } } })

test('federation status: all is well, status 0', async () => {
  const { status: exit, stdout, stderr } = await ask(status([DC1, DC2]))
  assert.equal(stderr, '')
  assert.equal(
    stdout,
    `Federation of primary datacenter dc1, domain consul, gossip encrypted
As seen by s2 in dc2

Datacenter  Role               State  Since                     Gateways  Gossip   RPC    Replication
dc1         primary            ok     2026-11-23T08:37:43.000Z  1/1       1 alive  ok     ok
dc2         secondary (local)  ok     2026-11-23T08:37:43.000Z  1/1       1 alive  local  -

Datacenter  Gateway        Health   Known From        Last Error
dc1         10.0.1.1:8443  healthy  federation-state  -
dc2         10.0.2.1:8443  healthy  local             -

Replicated From  Type               State    Index  Last Success              Behind  Last Error
dc1              federation-states  running  12     2026-11-23T08:37:43.000Z  0 s     -
`,
  )
  assert.equal(exit, 0)
})

test('federation status: what is broken, since when, and what to change; status 1', async () => {
  const { status: exit, stdout } = await ask(status([DC1, DC2, DC3]))
  assert.equal(exit, 1)
  assert.match(
    stdout,
    /\ndc3 +secondary +unreachable +- +0\/1 +0 alive, 1 failed, 2 left +failing, worked 14\.3 s ago +-\n/,
  )
  assert.match(stdout, /\ndc3 +10\.0\.3\.1:8443 +unhealthy +federation-state +connection refused\n/)
  assert.ok(
    stdout.endsWith(`
RPC to dc3 fails since ${SINCE}: connection refused

Problems:
  dc3: Mesh gateways of "dc3": none of 1 answers (GATEWAYS_UNREACHABLE)
    hint: see whether "10.0.3.1:8443" is reachable from here
`),
    stdout,
  )
})

test('federation status: a degraded datacenter, a problem of one, and a problem of all are each status 1', async () => {
  const problem = { Code: 'GOSSIP_KEY', Message: 'Gossip key (setting "encrypt"): on one side only', Hint: '' }
  assert.equal((await ask(status([{ ...DC1, State: 'degraded' }]))).status, 1)
  assert.equal((await ask(status([{ ...DC1, Problems: [problem] }]))).status, 1)
  const general = await ask(status([DC1], { Problems: [problem], GossipEncrypted: false }))
  assert.equal(general.status, 1)
  assert.match(general.stdout, /gossip not encrypted\n/)
  assert.ok(general.stdout.endsWith('\nProblems:\n  Gossip key (setting "encrypt"): on one side only (GOSSIP_KEY)\n'))
})

test('federation status: replication that lags or stopped says so', async () => {
  const types = DC1.Replication?.['federation-states']
  assert.ok(types)
  const failed = { ...types, LastError: 'no gateway answers' }
  const lagging = { ...DC1, Replication: { 'federation-states': { ...failed, LagSeconds: 14 } } }
  const { stdout } = await ask(status([lagging]))
  assert.match(stdout, / 14 s behind\n/)
  assert.match(stdout, / 14 s +no gateway answers\n/)
  const recovered = { ...DC1, Replication: { 'federation-states': failed } }
  assert.doesNotMatch((await ask(status([recovered]))).stdout, /no gateway answers/)
  const stopped = { ...DC1, Replication: { 'federation-states': { ...types, Running: false } } }
  assert.match((await ask(status([stopped]))).stdout, / stopped\n/)
})

test('federation status: an RPC path that never worked, no gateways, missing lists', async () => {
  const RPC = { OK: false, LastSuccessSeconds: null, LastError: '', Since: '' }
  const { stdout } = await ask({ ...status([]), Datacenters: [{ Name: 'dc9', RPC }], Problems: null })
  assert.match(stdout, /\ndc9 +secondary +- +0\/0 +0 alive +never worked +-\n\nNo mesh gateway is known\.\n$/)
})

test('federation status -format=json gives what the agent said, with the same exit status', async () => {
  const answer = status([DC1, DC3])
  const { status: exit, stdout } = await ask(answer, ['-format=json'])
  assert.equal(exit, 1)
  assert.deepEqual(JSON.parse(stdout), answer)
  assert.match(stdout, /^\{\n {4}"Datacenter": "dc2",\n/)
  assert.equal((await ask(status([DC1]), ['-format', 'json'])).status, 0)
})

test('federation status: when certificates end, and of many leafs those that end first', async () => {
  const leafs = ['a', 'b', 'c', 'd', 'e'].map((service, index) => ({
    ...SERVER,
    Kind: 'leaf' as const,
    Name: `spiffe://x.consul/ns/default/dc/dc2/svc/${service}`,
    RemainingSeconds: 100 + index * 3600,
  }))
  const old = { ...SERVER, Kind: 'root' as const, Name: 'old', RemainingSeconds: -90, State: 'expired' as const }
  const soon = { ...SERVER, RemainingSeconds: 50 * 3600, State: 'soon' as const }
  const { stdout } = await ask(status([DC1], { Certificates: [{ ...old, Active: false }, ...leafs, soon, SERVER] }))
  assert.ok(
    stdout.endsWith(`
Certificate        Name                                       Ends In         Ends
root (not active)  old                                        ended 90 s ago  2026-12-23T08:37:43.000Z
leaf               spiffe://x.consul/ns/default/dc/dc2/svc/a  100 s           2026-12-23T08:37:43.000Z
leaf               spiffe://x.consul/ns/default/dc/dc2/svc/b  61 minutes      2026-12-23T08:37:43.000Z
leaf               spiffe://x.consul/ns/default/dc/dc2/svc/c  2 hours         2026-12-23T08:37:43.000Z
server             server.dc2.consul                          2 days (soon)   2026-12-23T08:37:43.000Z
server             server.dc2.consul                          29 days         2026-12-23T08:37:43.000Z
Leafs that end later: 2
`),
    stdout,
  )
})
