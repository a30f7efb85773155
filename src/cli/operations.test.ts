/**
 * Commands that operate an agent: keyring, join, maint, monitor, rtt, services, catalog, beyond what was recorded.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type CannedAnswers, runCommand } from './test-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-operations-'))
after(() => rmSync(folder, { recursive: true }))
const hanse = (line: string, answers: CannedAnswers = {}) => runCommand(line.split(' '), { answers })

const pool = (Datacenter: string, more: object) => {
  return { WAN: false, Datacenter, Segment: '', Keys: {}, PrimaryKeys: {}, NumNodes: 0, ...more }
}

test('keyring -list shows the datacenters that can be reached, names the others, and ends with status 1', async () => {
  const body = [
    pool('dc1', { WAN: true, Keys: { 'b=': 1, 'a=': 2 }, NumNodes: 2 }),
    pool('dc1', { Keys: { 'a=': 1 }, NumNodes: 1 }),
    pool('dc2', { Error: 'No path to datacenter', Messages: { s2: 'timeout' } }),
    pool('dc3', { Keys: { 'a=': 1 }, NumNodes: 2, Error: '1/2 nodes reported success' }),
  ]
  const { status, stdout, stderr } = await hanse('keyring -list', { 'GET /v1/operator/keyring': { body } })
  assert.equal(status, 1)
  assert.equal(
    stdout,
    '==> Gathering installed encryption keys...\n\nWAN:\n  a= [2/2]\n  b= [1/2]\n\ndc1 (LAN):\n  a= [1/1]\n\ndc3 (LAN):\n  a= [1/2]\n',
  )
  assert.equal(
    stderr,
    '\nError listing keys of dc2 (LAN): No path to datacenter\n  s2: timeout\nError listing keys of dc3 (LAN): 1/2 nodes reported success\n',
  )
})

test('keyring: the key is in the body, the relay factor in the query, the refusal as the server words it', async () => {
  const line = 'PUT /v1/operator/keyring?relay-factor=3'
  const body = '1 error occurred:\n\t* WAN error: 2/2 nodes reported failure\n\n'
  const { status, both, asked } = await hanse('keyring -use k= -relay-factor 3', { [line]: { status: 500, body } })
  assert.equal(status, 1)
  assert.equal(
    both,
    '==> Changing primary gossip encryption key...\nError changing primary key: Unexpected response code: 500 (1 error occurred:\n\t* WAN error: 2/2 nodes reported failure)\n',
  )
  assert.equal(asked[0]?.body, '{"Key":"k="}')
})

test('keyring refuses none and several actions, a relay factor out of range, -local-only without a list', async () => {
  for (const words of ['', ' -list -use k', ' -install= ', ' -list -relay-factor=6', ' -use k -local-only']) {
    const { status, asked, stderr } = await hanse(`keyring${words}`.trim())
    assert.deepEqual([status, asked.length], [1, 0], words)
    assert.notEqual(stderr, '')
  }
  const query = 'GET /v1/operator/keyring?relay-factor=0&local-only=true'
  assert.equal((await hanse('keyring -list-primary -relay-factor=0 -local-only', { [query]: { body: [] } })).status, 0)
})

test('join counts the addresses that worked, and tells those that did not', async () => {
  const { status, both } = await hanse('join 10.0.0.1 10.0.0.2', {
    'PUT /v1/agent/join/10.0.0.1': { status: 500, body: 'refused' },
    'PUT /v1/agent/join/10.0.0.2': {},
  })
  assert.equal(status, 0)
  assert.equal(
    both,
    "Error joining address '10.0.0.1': Unexpected response code: 500 (refused)\nSuccessfully joined cluster by contacting 1 nodes.\n",
  )
})

test('leave and force-leave -prune ask the agent', async () => {
  assert.equal((await hanse('leave', { 'PUT /v1/agent/leave': {} })).both, 'Graceful leave complete\n')
  const { status, both } = await hanse('force-leave -prune n1', { 'PUT /v1/agent/force-leave/n1?prune=1': {} })
  assert.deepEqual([status, both], [0, ''])
})

test('maint of a service, shown and changed', async () => {
  const check = { Node: 's1', CheckID: '_service_maintenance:web1', ServiceID: 'web1', Notes: 'upgrade' }
  const other = { Node: 's1', CheckID: 'disk', ServiceID: '', Notes: '' }
  const body = { disk: other, '_service_maintenance:web1': check }
  const shown = await hanse('maint', { 'GET /v1/agent/checks': { body } })
  assert.equal(shown.stdout, 'Service:\n  ID:     web1\n  Reason: upgrade\n\n')
  const path = '/v1/agent/service/maintenance/web1'
  const on = await hanse('maint -enable -service web1', { [`PUT ${path}?enable=true`]: {} })
  assert.equal(on.stdout, 'Service maintenance is now enabled for "web1"\n')
  const off = await hanse('maint -disable -service web1', { [`PUT ${path}?enable=false`]: {} })
  assert.equal(off.stdout, 'Service maintenance is now disabled for "web1"\n')
  for (const line of ['maint -enable -disable', 'maint -reason x', 'maint -service web1', 'maint -disable -reason x']) {
    assert.deepEqual([(await hanse(line)).status, (await hanse(line)).asked.length], [1, 0], line)
  }
})

test('rtt takes the agent where only one node is named, and says which node has no coordinate', async () => {
  const Coord = { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 1e-5 }
  const answers = {
    'GET /v1/agent/self': { body: { Config: { NodeName: 's1', Datacenter: 'dc1' } } },
    'GET /v1/coordinate/nodes': {
      body: [
        { Node: 's1', Segment: '', Coord },
        { Node: 'new', Coord: null },
      ],
    },
    'GET /v1/coordinate/datacenters': { body: [{ Datacenter: 'dc1', Coordinates: [{ Node: 's1', Coord }] }] },
  }
  const missing = await hanse('rtt s1 new', answers)
  assert.equal(missing.status, 1)
  assert.match(missing.stderr, /^Could not find a coordinate for node "new": /)
  assert.equal(
    (await hanse('rtt -wan s1.dc1', answers)).stdout,
    'Estimated s1.dc1 <-> s1.dc1 rtt: 0.020 ms (using WAN coordinates)\n',
  )
  assert.match((await hanse('rtt -wan s1')).stderr, /^Node "s1": with -wan it is written node\.datacenter\n/)
})

test('monitor shows lines as they come, until it is interrupted or the agent goes', async () => {
  const asked: (string | undefined)[] = []
  const abort = new AbortController()
  const server = http.createServer((request, response) => {
    asked.push(request.url)
    response.write('one\n')
    if (request.url?.includes('logjson')) response.end('two\n')
    else setImmediate(() => abort.abort(new Error('stopped')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const env = { CONSUL_HTTP_ADDR: `127.0.0.1:${port}` }
  const gone = await runCommand(['monitor', '-log-json', '-log-level=WARN'], { env })
  assert.equal(gone.status, 1)
  assert.equal(gone.stdout, 'one\ntwo\n')
  assert.match(gone.stderr, /^Remote side ended the monitor!/)
  const stopped = await runCommand(['monitor'], { env, signal: abort.signal })
  assert.equal(stopped.status, 0)
  assert.equal(stopped.stderr, '')
  assert.deepEqual(asked, ['/v1/agent/monitor?loglevel=warn&logjson', '/v1/agent/monitor?loglevel=info'])
  assert.match((await hanse('monitor -log-level=loud')).stderr, /"loud" is not trace, debug, info, warn, error/)
  server.closeAllConnections()
  server.close()
})

test('services register: flags become the definition', async () => {
  const line = 'PUT /v1/agent/service/register?replace-existing-checks'
  const { both, asked } = await hanse(
    'services register -name web -id web1 -port 80 -address 10.0.0.9 -tag a -tag b -meta k=v=w -kind mesh-gateway -tagged-address wan=[::1]:443 -tagged-address lan=10.0.0.9',
    { [line]: {} },
  )
  assert.equal(both, 'Registered service: web\n')
  assert.deepEqual(JSON.parse(asked[0]?.body ?? ''), {
    Kind: 'mesh-gateway',
    ID: 'web1',
    Name: 'web',
    Tags: ['a', 'b'],
    Address: '10.0.0.9',
    Port: 80,
    Meta: { k: 'v=w' },
    TaggedAddresses: { wan: { Address: '::1', Port: 443 }, lan: { Address: '10.0.0.9', Port: 0 } },
  })
  for (const words of [
    '',
    ' -port 80',
    ' -name a -port 65536',
    ' -name a x.hcl',
    ' -name a -tagged-address wan=a:b:c',
  ]) {
    const refused = await hanse(`services register${words}`)
    assert.deepEqual([refused.status, refused.asked.length], [1, 0], words)
  }
})

test('services register and deregister: files in HCL and JSON', async () => {
  const hcl = join(folder, 'services.hcl')
  const json = join(folder, 'services.json')
  writeFileSync(hcl, 'service {\n  name = "web"\n  id = "web1"\n  port = 80\n  check {\n    ttl = "10s"\n  }\n}\n')
  writeFileSync(json, '{"services": [{"name": "db"}]}')
  const line = 'PUT /v1/agent/service/register?replace-existing-checks'
  const registered = await hanse(`services register ${hcl} ${json}`, { [line]: {} })
  assert.equal(registered.both, 'Registered service: web\nRegistered service: db\n')
  assert.equal(JSON.parse(registered.asked[0]?.body ?? '').Port, 80)
  const gone = await hanse(`services deregister ${hcl} ${json}`, {
    'PUT /v1/agent/service/deregister/web1': {},
    'PUT /v1/agent/service/deregister/db': { status: 404, body: 'Unknown service ID "db".' },
  })
  assert.equal(gone.status, 1)
  assert.equal(
    gone.both,
    'Deregistered service: web1\nError deregistering service "db": Unexpected response code: 404 (Unknown service ID "db".)\n',
  )
  writeFileSync(hcl, 'service {\n  nme = "web"\n}\n')
  const wrong = await hanse(`services register ${hcl}`)
  assert.deepEqual([wrong.status, wrong.asked.length], [1, 0])
  assert.match(wrong.stderr, /services\.hcl:2: no such key, the nearest known one is "name"/)
  assert.equal((await hanse('services deregister')).status, 1)
  assert.equal((await hanse(`services deregister -id a ${json}`)).status, 1)
})

test('catalog nodes: flags become the query; a node with two instances is one row; none is said', async () => {
  const node = { ID: 'abcdefghi', Node: 'n1', Address: '10.0.0.1', Datacenter: 'dc1', NodeMeta: null }
  const query = 'near=_agent&node-meta=a%3Ab&node-meta=c%3Ad&filter=x'
  const words = 'catalog nodes -near _agent -node-meta a=b -node-meta c=d -filter x'
  const two = await hanse(`${words} -service web`, { [`GET /v1/catalog/service/web?${query}`]: { body: [node, node] } })
  assert.equal(two.stdout, 'Node  ID        Address   DC\nn1    abcdefgh  10.0.0.1  dc1\n')
  const none = await hanse(words, { [`GET /v1/catalog/nodes?${query}`]: { body: [] } })
  assert.deepEqual([none.status, none.stdout], [0, 'No nodes match the given query - try expanding your search.\n'])
})

test('catalog services -node shows those of a node with all their tags, and says when there is no such node', async () => {
  const Services = {
    web2: { Service: 'web', Tags: ['b', 'a'] },
    web1: { Service: 'web', Tags: ['c', 'a'] },
    db: { Service: 'db', Tags: null },
  }
  const line = 'GET /v1/catalog/node/n%2F1'
  const body = { Node: { Node: 'n/1' }, Services }
  const found = await runCommand(['catalog', 'services', '-node', 'n/1', '-tags'], { answers: { [line]: { body } } })
  assert.equal(found.stdout, 'db       \nweb      a,b,c\n')
  const none = await runCommand(['catalog', 'services', '-node', 'n/1'], { answers: { [line]: { body: 'null' } } })
  assert.equal(none.status, 1)
  assert.equal(none.stderr, 'Error listing services: no node "n/1"\nhint: `hanse catalog nodes` lists the nodes\n')
})

test('validate: says that a configuration is valid, or all that is wrong with it', async () => {
  const file = join(folder, 'server.hcl')
  writeFileSync(file, `server = true\nbootstrap = true\ndata_dir = "${folder}/data"\nnode_name = "s1"\n`)
  const good = await hanse(`validate ${file}`)
  assert.equal(good.status, 0)
  assert.match(good.stdout, /(^|\n)Configuration is valid!\n$/)
  assert.equal((await hanse(`validate -quiet ${file}`)).stdout, '')
  writeFileSync(file, 'server = true\nserver_nam = "x"\n')
  const bad = await hanse(`validate ${file}`)
  assert.equal(bad.status, 1)
  assert.equal(bad.stdout, '')
  assert.match(bad.stderr, /^Config validation failed: [\s\S]*"server_nam" at .*server\.hcl:2/)
  assert.equal((await hanse('validate')).status, 1)
  assert.equal((await hanse(`validate -config-format=xml ${file}`)).status, 1)
})

test('-ca-path reads all certificates of a directory, and says when it cannot', async () => {
  const { status, stderr } = await hanse(`members -ca-path ${join(folder, 'nope')}`)
  assert.equal(status, 1)
  assert.match(stderr, /^Read ".*nope": ENOENT/)
})
