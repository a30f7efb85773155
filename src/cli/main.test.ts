/**
 * The program around the commands: which one is meant, help everywhere, unknown words, exit statuses.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMANDS } from './commands.ts'
import { endlessInput, runCommand } from './test-run.ts'

const names = Object.keys(COMMANDS)

test('hanse without words shows the commands with status 127, `help` and -h with 0', async () => {
  const bare = await runCommand([])
  assert.equal(bare.status, 127)
  for (const name of names) assert.ok(bare.stdout.includes(`    ${name} `), name)
  for (const word of ['help', '-h', '--help']) {
    const { status, stdout } = await runCommand([word])
    assert.deepEqual({ status, stdout }, { status: 0, stdout: bare.stdout })
  }
})

test('every command shows its help for -h, -help and `help <command>`, with each of its flags', async () => {
  for (const name of names) {
    const entry = COMMANDS[name]
    assert.ok(entry)
    const { command } = await entry.load()
    assert.equal(command.name, name)
    assert.equal(command.summary, entry.summary)
    const { status, stdout, stderr } = await runCommand([...name.split(' '), '-h'])
    assert.equal(status, 0)
    assert.equal(stderr, '')
    assert.ok(stdout.startsWith(`Usage: hanse ${name}`), stdout)
    for (const flag of Object.keys(command.flags)) assert.ok(stdout.includes(`  -${flag}`), `${name} -${flag}`)
    assert.equal((await runCommand([...name.split(' '), 'x', '--help'])).stdout, stdout)
    assert.equal((await runCommand(['help', ...name.split(' ')])).stdout, stdout)
  }
})

test('behind -- a word that looks like -h is an argument', async () => {
  const { stdout, asked } = await runCommand(['kv', 'put', '--', 'a', '-h'], {
    answers: { 'PUT /v1/kv/a': { body: 'true' } },
  })
  assert.equal(stdout, 'Success! Data written to: a\n')
  assert.equal(asked[0]?.body, '-h')
})

test('the first word of a group shows the group', async () => {
  const { status, stdout } = await runCommand(['catalog'])
  assert.equal(status, 1)
  assert.match(stdout, /^Usage: hanse catalog <subcommand> \[args\]\n\nCommands:\n {4}catalog datacenters/)
  assert.ok(!stdout.includes('members'))
  for (const words of [
    ['catalog', '-h'],
    ['help', 'catalog'],
  ]) {
    const asked = await runCommand(words)
    assert.deepEqual([asked.status, asked.stdout], [0, stdout])
  }
})

test('an unknown command is answered with the nearest and status 127', async () => {
  for (const [words, hint] of [
    [['membrs'], 'did you mean "members"?'],
    [['catalog', 'servces'], 'did you mean "catalog services"?'],
    [['catlog'], 'did you mean "catalog"?'],
    [['kubernetes'], '`hanse help` lists the commands'],
    [['help', 'membrs'], 'did you mean "members"?'],
  ] as const) {
    const { status, stdout, stderr } = await runCommand(words)
    assert.equal(status, 127)
    assert.equal(stdout, '')
    assert.ok(
      stderr.startsWith(
        `Run "${words.filter((word) => word !== 'help').join(' ')}": there is no such command\nhint: ${hint}`,
      ),
      stderr,
    )
  }
})

test('an unknown flag is answered with the nearest, and words that a command does not take with its usage', async () => {
  const flag = await runCommand(['members', '-detaild'])
  assert.equal(flag.status, 1)
  assert.equal(flag.stderr, 'Read flag "-detaild": there is no such flag\nhint: did you mean "-detailed"?\n')
  const word = await runCommand(['kv', 'put'])
  assert.equal(word.status, 1)
  assert.equal(
    word.stderr,
    'Run "kv put": it takes 1 to 2 arguments: 0 given\nhint: hanse kv put [options] KEY [DATA]\n',
  )
})

test('-version is `version`, which Consul’s tools parse', async () => {
  const { status, stdout } = await runCommand(['-version'])
  assert.equal(status, 0)
  assert.match(stdout, /^Consul v1\.21\.0\nHanse v\d+\.\d+\.\d+\n/)
  assert.match(stdout, /\nProtocol 2 spoken by default, understands 2 to 3 \(agent will automatically use protocol >2 /)
  const json = await runCommand(['version', '-format=json'])
  assert.match(json.stdout, /^\{\n {3}"Version": "1\.21\.0",\n {3}"Revision": "",\n {3}"Prerelease": "",\n/)
  assert.deepEqual(JSON.parse(json.stdout).RPC, { Default: 2, Min: 2, Max: 3 })
  assert.equal((await runCommand(['version', '-format=xml'])).status, 1)
})

test('keygen prints 32 random bytes in base64', async () => {
  const [one, other] = [await runCommand(['keygen']), await runCommand(['keygen'])]
  assert.equal(Buffer.from(one.stdout, 'base64').length, 32)
  assert.match(one.stdout, /^[A-Za-z0-9+/]{43}=\n$/)
  assert.notEqual(one.stdout, other.stdout)
})

test('an agent that cannot be reached is named, with what to do', async () => {
  const { status, stderr } = await runCommand(['members', '-http-addr=127.0.0.1:1'])
  assert.equal(status, 1)
  assert.match(
    stderr,
    /^Error retrieving members: GET "http:\/\/127\.0\.0\.1:1\/v1\/agent\/members": connection refused\n/,
  )
  assert.match(stderr, /hint: is the agent running there\? Set its address with -http-addr or CONSUL_HTTP_ADDR\n$/)
})

test('an answer that is not JSON, or not of the right form, is refused', async () => {
  const line = 'GET /v1/agent/members?segment=_all'
  const html = await runCommand(['members'], { answers: { [line]: { body: '<html>' } } })
  assert.equal(html.status, 1)
  assert.match(html.stderr, /^Error retrieving members: .*the answer is not JSON\n/)
  const other = await runCommand(['members'], { answers: { [line]: { body: { a: 1 } } } })
  assert.equal(other.status, 1)
  assert.match(other.stderr, /^Error retrieving members: /)
})

test('Ctrl-C while waiting for standard input ends with status 130 and says nothing', async () => {
  const abort = new AbortController()
  const running = runCommand(['kv', 'put', 'a', '-'], { answers: {}, stdin: endlessInput(), signal: abort.signal })
  setImmediate(() => abort.abort(new Error('stopped by SIGINT')))
  const { status, both, asked } = await running
  assert.deepEqual({ status, both, asked }, { status: 130, both: '', asked: [] })
})

test('token, datacenter and consistency travel as flags say, before the environment', async () => {
  const answers = { 'GET /v1/catalog/datacenters?dc=dc2&stale': { body: ['dc1'] } }
  const words = ['catalog', 'datacenters', '-token=flag', '-datacenter=dc2', '-stale']
  const { status, asked } = await runCommand(words, { answers, env: { CONSUL_HTTP_TOKEN: 'environment' } })
  assert.equal(status, 0)
  assert.equal(asked[0]?.headers['x-consul-token'], 'flag')
})
