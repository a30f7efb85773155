/** `hanse watch` and `hanse event`: as recorded without a handler; with one, a run for each answer that differs. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type CannedAnswer, runCommand } from './test-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-watch-'))
after(() => rmSync(folder, { recursive: true }))

const indexed = (body: unknown, index: string): CannedAnswer => ({ body, headers: { 'X-Consul-Index': index } })

test('event fires and prints the ID, as recorded', async () => {
  const ID = '208df370-11da-c217-2849-6821a24d73eb'
  const answers = { 'PUT /v1/event/fire/deploy?node=s1&service=web&tag=v1': { body: { ID, Name: 'deploy' } } }
  const words = ['event', '-name', 'deploy', '-node', 's1', '-service', 'web', '-tag', 'v1', 'hello']
  const { status, both, asked } = await runCommand(words, { answers })
  assert.deepEqual([status, both, asked[0]?.body], [0, `Event ID: ${ID}\n`, 'hello'])
  assert.match((await runCommand(['event', 'hello'])).stderr, /^Event name must be specified/)
  const denied = { 'PUT /v1/event/fire/x': { status: 403, body: 'Permission denied' } }
  const refused = await runCommand(['event', '-name', 'x'], { answers: denied })
  assert.match(refused.stderr, /^Error firing event: Unexpected response code: 403 \(Permission denied\)/)
})

test('watch without a program prints what is there once, as recorded', async () => {
  const answers = { 'GET /v1/catalog/services': indexed({ consul: [] }, '5') }
  const { status, both } = await runCommand(['watch', '-type', 'services'], { answers })
  assert.deepEqual([status, both], [0, '{\n    "consul": []\n}\n'])
})

test('watch asks what each type stands for', async () => {
  const pair = { Key: 'a/b', Value: 'MQ==' }
  const cases: [words: string[], line: string, body: unknown, shown: unknown][] = [
    [['key', '-key', 'a/b'], '/v1/kv/a/b', [pair], pair],
    [['keyprefix', '-prefix', 'a/'], '/v1/kv/a/?recurse', [pair], [pair]],
    [['services', '-filter', 'x'], '/v1/catalog/services?filter=x', {}, {}],
    [['nodes'], '/v1/catalog/nodes', [], []],
    [['service', '-service', 'web', '-tag', 't', '-passingonly'], '/v1/health/service/web?tag=t&passing', [], []],
    [['checks'], '/v1/health/state/any', [], []],
    [['checks', '-state', 'critical'], '/v1/health/state/critical', [], []],
    [['checks', '-service', 'web'], '/v1/health/checks/web', [], []],
    [['event', '-name', 'deploy'], '/v1/event/list?name=deploy', [], []],
    [['connect_roots'], '/v1/agent/connect/ca/roots', {}, {}],
    [['connect_leaf', '-service', 'web'], '/v1/agent/connect/ca/leaf/web', {}, {}],
    [['agent_service', '-service', 'web1'], '/v1/agent/service/web1', {}, {}],
  ]
  for (const [words, line, body, shown] of cases) {
    const { status, stdout, stderr } = await runCommand(['watch', '-type', ...words], {
      answers: { [`GET ${line}`]: indexed(body, '5') },
    })
    assert.equal(status, 0, `${words}: ${stderr}`)
    assert.deepEqual(JSON.parse(stdout), shown)
  }
  const missing = await runCommand(['watch', '-type', 'key', '-key', 'no'], {
    answers: { 'GET /v1/kv/no': { status: 404 } },
  })
  assert.deepEqual([missing.status, missing.stdout], [0, 'null\n'])
})

test('watch names what is missing or wrong', async () => {
  const cases: [string[], RegExp][] = [
    [[], /Watch type must be specified/],
    [['-type', 'color'], /type "color" is not known; there are key, keyprefix, services/],
    [['-type', 'toString'], /"toString" is not known/],
    [['-type', 'key'], /A watch of type "key" needs "key"/],
    [['-type', 'service'], /needs "service"/],
  ]
  for (const [words, message] of cases) {
    const { status, stderr } = await runCommand(['watch', ...words])
    assert.equal(status, 1)
    assert.match(stderr, message)
  }
  const answers = { 'GET /v1/catalog/nodes': { status: 500, body: 'No cluster leader' } }
  const failed = await runCommand(['watch', '-type', 'nodes'], { answers })
  assert.match(failed.stderr, /^Error querying Consul agent: Unexpected response code: 500 \(No cluster leader\)/)
})

test('a handler runs for each answer that differs, with its JSON and index, until the signal', async () => {
  const out = join(folder, 'runs')
  const stop = new AbortController()
  const big = '7412515306198788971'
  const answers = {
    'GET /v1/event/list': indexed([{ Name: 'one' }], big),
    [`GET /v1/event/list?index=${big}&wait=300s`]: indexed([{ Name: 'one' }], '3'),
    'GET /v1/event/list?index=3&wait=300s': indexed([{ Name: 'two' }], '9'),
    'GET /v1/event/list?index=9&wait=300s': indexed([{ Name: 'end' }], '10'),
    'GET /v1/event/list?index=10&wait=300s': { status: 500, body: 'No cluster leader' },
  }
  const handler = `(echo "$CONSUL_INDEX"; cat) >> ${out}; if grep -q end ${out}; then touch ${out}.end; exit 3; fi`
  const running = runCommand(['watch', '-type', 'event', handler], {
    answers,
    env: { PATH: process.env.PATH },
    signal: stop.signal,
  })
  while (!existsSync(`${out}.end`)) await new Promise((resolve) => setTimeout(resolve, 10))
  setTimeout(() => stop.abort(), 1_500)
  const { status, stderr } = await running
  assert.equal(status, 0)
  assert.equal(readFileSync(out, 'utf8'), `${big}\n[{"Name":"one"}]\n9\n[{"Name":"two"}]\n10\n[{"Name":"end"}]\n`)
  assert.match(stderr, /Error executing handler: exit status 3/)
  assert.match(stderr, /No cluster leader.*retry in 5s/)
})

test('a handler without a shell gets its words as they are, and a signal ends it', async () => {
  const stop = new AbortController()
  const answers = {
    'GET /v1/catalog/nodes': indexed([], '5'),
    'GET /v1/catalog/nodes?index=5&wait=300s': indexed([], '5'),
  }
  const script = 'process.stdout.write(process.argv[1] + "\\n"); setInterval(() => {}, 1000)'
  const words = ['watch', '-type', 'nodes', '-shell=false', process.execPath, '-e', script, 'a  b;c']
  const running = runCommand(words, { answers, env: { PATH: process.env.PATH }, signal: stop.signal })
  setTimeout(() => stop.abort(), 1_500)
  const { status, stdout } = await running
  assert.deepEqual([status, stdout], [0, 'a  b;c\n'])
  const missing = await runCommand(['watch', '-type', 'nodes', '-shell=false', '/no/such/program'], {
    answers,
    signal: AbortSignal.timeout(3_000),
  })
  assert.match(missing.stderr, /Error executing handler: spawn \/no\/such\/program ENOENT/)
})
