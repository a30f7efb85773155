/**
 * Commands against outputs recorded from the real program: same words, same answers of the API, same bytes and status.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type CannedAnswer, type CannedAnswers, runCommand } from './test-run.ts'

interface Recorded {
  readonly words: readonly string[]
  readonly output: string
  readonly status: number
}

const text = readFileSync(new URL('../../test/vectors/cli.txt', import.meta.url), 'utf8')
const recordings: Recorded[] = [...text.matchAll(/^\$ consul (.*)\n([\s\S]*?)^\[rc (\d+)\]$/gm)].map(
  ([, line = '', output = '', status]) => ({ words: line.split(' '), output, status: Number(status) }),
)

const folder = mkdtempSync(join(tmpdir(), 'hanse-cli-'))
const home = process.cwd()
process.chdir(folder)
after(() => {
  process.chdir(home)
  rmSync(folder, { recursive: true })
})

const tags = (id: string, dc: string, port: number, grpc: number) => ({
  acls: '1',
  bootstrap: '1',
  build: '1.21.0dev:',
  dc,
  ft_fs: '1',
  ft_si: '1',
  grpc_port: String(grpc),
  id,
  port: String(port),
  raft_vsn: '3',
  role: 'consul',
  segment: '',
  vsn: '2',
  vsn_max: '3',
  vsn_min: '2',
})
const S1 = '38d2ea19-317e-7122-ef64-094cbed87f03'
const S2 = '77fd29b2-0938-a9e0-8593-950f3fb95d83'
const s1Tags = tags(S1, 'dc1', 18300, 18502)
const member = { Addr: '127.0.0.1', Status: 1, ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2 }
const lan = [{ ...member, Name: 's1', Port: 18301, Tags: { ...s1Tags, wan_join_port: '18302' } }]
const wan = [
  { ...member, Name: 's2.dc2', Port: 28302, Tags: tags(S2, 'dc2', 28300, 28502) },
  { ...member, Name: 's1.dc1', Port: 18302, Tags: s1Tags },
]
const TaggedAddresses = { wan: '127.0.0.1', lan: '127.0.0.1', lan_ipv4: '127.0.0.1', wan_ipv4: '127.0.0.1' }
const Meta = { 'consul-version': '1.21.0', 'consul-network-segment': '' }
const node = { ID: S1, Node: 's1', Address: '127.0.0.1', Datacenter: 'dc1', TaggedAddresses }
const entry = { LockIndex: 0, Key: 'a/b', Flags: 0, Value: 'MQ==', CreateIndex: 52, ModifyIndex: 52 }
const key = 'pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s='
const pool = (WAN: boolean, Datacenter: string, NumNodes: number) => {
  return { WAN, Datacenter, Segment: '', Keys: { [key]: NumNodes }, PrimaryKeys: { [key]: NumNodes }, NumNodes }
}
const at = (first: number) => ({ Vec: [first, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 1e-5 })
const maintenance = { Node: 's1', CheckID: '_node_maintenance', ServiceID: '', Notes: 'x', Status: 'critical' }
const proxyDefaults = {
  ...{ Kind: 'proxy-defaults', Name: 'global', TransparentProxy: {}, MeshGateway: { Mode: 'local' }, Expose: {} },
  ...{ AccessLogs: {}, Hash: 1, CreateIndex: 32, ModifyIndex: 32 },
}
const intention = {
  ...{ CreatedAt: '2026-11-23T08:39:20.123456789Z', ID: '005ca8fc-95d5-f80e-857a-95a340dabc34', SourceNS: 'default' },
  ...{ SourceName: 'web', DestinationNS: 'default', DestinationName: 'db', SourceType: 'consul', Action: 'allow' },
  ...{ Precedence: 9, CreateIndex: 40, ModifyIndex: 40 },
}
const noNode = (name: string) => ({ status: 500, body: `agent: No node found with name '${name}'` })
const wrongDatacenter =
  "1 error occurred:\n\t* Failed to join 127.0.0.1:28302: Member 's2.dc2' part of wrong datacenter 'dc2'\n\n"

const peer = {
  ...{ ID: S1, Node: 's1', Address: '127.0.0.1:18300', Leader: true, ProtocolVersion: '3', Voter: true },
  LastIndex: 49,
}
const autopilot = {
  ...{ CleanupDeadServers: true, LastContactThreshold: '200ms', MaxTrailingLogs: 250, MinQuorum: 0 },
  ...{ ServerStabilizationTime: '10s', RedundancyZoneTag: '', DisableUpgradeMigration: false, UpgradeVersionTag: '' },
  ...{ CreateIndex: 4, ModifyIndex: 4 },
}
const autopilotServer = {
  ...{ ID: S1, Name: 's1', Address: '127.0.0.1:18300', NodeStatus: 'alive', Version: '1.21.0', LastContact: '0s' },
  ...{ LastTerm: 2, LastIndex: 49, Healthy: true, StableSince: '2026-11-23T08:39:20Z', ReadReplica: false },
  ...{ Status: 'leader', NodeType: 'voter', Meta },
}
const autopilotState = {
  ...{ Healthy: true, FailureTolerance: 0, OptimisticFailureTolerance: 0, Leader: S1, Voters: [S1] },
  Servers: { [S1]: autopilotServer },
}

/** The blocks of the recorded `info`, in another order than it shows them. */
function recordedStats(): Record<string, Record<string, string>> {
  const blocks: [string, [string, string][]][] = []
  for (const line of recordings.find(({ words }) => words[0] === 'info')?.output.split('\n') ?? []) {
    const pair = /^\t(\S+) = (.*)$/.exec(line)
    if (pair) blocks[0]?.[1].unshift([pair[1] ?? '', pair[2] ?? ''])
    else if (line.endsWith(':')) blocks.unshift([line.slice(0, -1), []])
  }
  return Object.fromEntries(blocks.map(([name, pairs]) => [name, Object.fromEntries(pairs)]))
}

const ANSWERS: CannedAnswers = {
  'PUT /v1/agent/service/register?replace-existing-checks': {},
  'PUT /v1/agent/service/deregister/web': {},
  'GET /v1/agent/members?segment=_all': { body: lan },
  'GET /v1/agent/members?segment=_all&wan=1': { body: wan },
  'GET /v1/catalog/services': {
    body: { web: ['v1', 'prod'], consul: [], 'web-sidecar-proxy': ['v1', 'prod'] },
  },
  'GET /v1/catalog/services?dc=dc2': { body: { consul: [] } },
  'GET /v1/catalog/services?dc=dc9': { status: 500, body: 'No path to datacenter' },
  'GET /v1/catalog/datacenters': { body: ['dc1', 'dc2'] },
  'GET /v1/catalog/nodes': { body: [{ ...node, Meta }] },
  'GET /v1/catalog/service/web': { body: [{ ...node, NodeMeta: Meta, ServiceName: 'web' }] },
  'PUT /v1/kv/a/b': { body: 'true' },
  'PUT /v1/kv/a/b?cas=1': { body: 'false' },
  'PUT /v1/kv/z?flags=0': { body: 'true' },
  'GET /v1/kv/a/b': { body: [entry] },
  'GET /v1/kv/a?recurse': { body: [entry] },
  'GET /v1/kv/?keys&separator=%2F': { body: ['a/'] },
  'GET /v1/kv/nope': { status: 404 },
  'DELETE /v1/kv/a/b': { body: 'true' },
  'DELETE /v1/kv/a?recurse': { body: 'true' },
  'GET /v1/agent/self': { body: { Config: { Datacenter: 'dc1', NodeName: 's1' }, Stats: recordedStats() } },
  'GET /v1/operator/keyring': { body: [pool(true, 'dc1', 2), pool(false, 'dc1', 1), pool(false, 'dc2', 1)] },
  'POST /v1/operator/keyring': {},
  'PUT /v1/operator/keyring': {},
  'DELETE /v1/operator/keyring': {},
  'PUT /v1/agent/join/127.0.0.1%3A28302': { status: 500, body: wrongDatacenter },
  'PUT /v1/agent/join/127.0.0.1%3A28302?wan=1': {},
  'PUT /v1/agent/force-leave/nobody': noNode('nobody'),
  'PUT /v1/agent/force-leave/s9.dc2?wan=1': noNode(''),
  'GET /v1/coordinate/nodes': { body: [{ Node: 's1', Segment: '', Coord: at(0) }] },
  'GET /v1/coordinate/datacenters': {
    body: [
      { Datacenter: 'dc1', AreaID: 'wan', Coordinates: [{ Node: 's1', Segment: '', Coord: at(0) }] },
      { Datacenter: 'dc2', AreaID: 'wan', Coordinates: [{ Node: 's2', Segment: '', Coord: at(0.000163) }] },
    ],
  },
  'GET /v1/operator/raft/configuration': { body: { Servers: [peer], Index: 49 } },
  'DELETE /v1/operator/raft/peer?address=127.0.0.1%3A1': {
    status: 500,
    body: 'address "127.0.0.1:1" was not found in the Raft configuration',
  },
  'POST /v1/operator/raft/transfer-leader': { status: 500, body: 'cannot find peer' },
  'GET /v1/operator/autopilot/configuration': { body: autopilot },
  'PUT /v1/operator/autopilot/configuration': {},
  'GET /v1/operator/autopilot/state': { body: autopilotState },
  'PUT /v1/agent/reload': {},
  'PUT /v1/agent/maintenance?enable=true&reason=x': {},
  'PUT /v1/agent/maintenance?enable=false': {},
  'PUT /v1/config': { body: 'true' },
  'GET /v1/config/proxy-defaults/global': { body: proxyDefaults },
  'GET /v1/config/service-defaults': { body: [{ Kind: 'service-defaults', Name: 'web' }] },
  'DELETE /v1/config/service-defaults/nope': { body: '{}' },
  'GET /v1/connect/intentions': { body: [intention] },
  'GET /v1/connect/intentions/exact?source=web&destination=db': { body: intention },
  'DELETE /v1/connect/intentions/exact?source=web&destination=db': { body: 'true' },
  'GET /v1/connect/intentions/check?source=web&destination=db': { body: { Allowed: true } },
  'GET /v1/connect/intentions/check?source=web&destination=api': { body: { Allowed: false } },
  'GET /v1/connect/intentions/check?source=foo&destination=zzz': { body: { Allowed: false } },
  'GET /v1/connect/intentions/match?by=destination&name=db': { body: { db: [intention] } },
  'GET /v1/connect/intentions/match?by=source&name=web': { body: { web: [intention] } },
}

/** The second time there is one of that name. */
const created: CannedAnswer[] = [
  { body: { ID: '005ca8fc-95d5-f80e-857a-95a340dabc34' } },
  { status: 500, body: 'Sources[1] defines "web" more than once' },
]

/** `maint` shows nothing the first time, and a node in maintenance the second. */
const checksSeen: unknown[] = [{}, { _node_maintenance: maintenance }]

writeFileSync('pd.json', '{"Kind": "proxy-defaults", "Name": "global", "MeshGateway": {"Mode": "local"}}')
writeFileSync('sd.json', '{"Kind": "service-defaults", "Name": "web", "Protocol": "http"}')
writeFileSync('svc.json', '{"service": {"name": "web", "port": 80, "tags": ["v1"]}}')

test('there are recordings of every kind', () => {
  assert.equal(recordings.length, 69)
})

for (const { words, output, status } of recordings) {
  test(`hanse ${words.join(' ')}: the recorded bytes and status ${status}`, async () => {
    const checks = words.join(' ') === 'maint' ? checksSeen.shift() : {}
    const create = words.join(' ') === 'intention create -allow web db' ? created.shift() : undefined
    const answers = {
      ...ANSWERS,
      'GET /v1/agent/checks': { body: checks },
      ...(create && { 'POST /v1/connect/intentions': create }),
    }
    const ran = await runCommand(words, { answers })
    assert.equal(ran.both, output)
    assert.equal(ran.status, status)
  })
}

test('tls: keys are for their owner alone, certificates for everyone, as recorded', () => {
  const files = ['consul-agent-ca', 'dc1-server-consul-0', 'dc1-client-consul-0', 'dc1-cli-consul-0']
  const mode = (path: string) => statSync(path).mode & 0o777
  for (const file of files) {
    assert.equal(mode(`${file}-key.pem`), 0o600)
    assert.equal(mode(`${file}.pem`) & 0o600, 0o600)
    assert.match(readFileSync(`${file}-key.pem`, 'utf8'), /^-----BEGIN EC PRIVATE KEY-----/)
  }
})
