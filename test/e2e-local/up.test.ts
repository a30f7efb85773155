/**
 * The main job as a user runs it: `hanse up`, from nothing to two or three datacenters that read each other.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { HttpClient } from '#client'
import { parseFederationSecret } from '#federation'
import { askDns } from '../support/dns.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { HANSE, type Program, Programs } from '../support/programs.ts'

const programs = new Programs()
const root = mkdtempSync(join(tmpdir(), 'hanse-up-test-'))
/** Where temporary directories of the programs go, so that one that is left is seen. */
const TMPDIR = join(root, 'tmp')
const dataDir = join(root, 'data')
const clients: HttpClient[] = []

/** Commands and calls of the tests are those of whoever started the federation. */
const tokenFile = join(dataDir, 'dc1', 'bootstrap.token')
process.env.CONSUL_HTTP_TOKEN_FILE = tokenFile

mkdirSync(TMPDIR)
after(async () => {
  for (const client of clients) client.close()
  await programs.stop()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

function up(...flags: string[]): Program {
  return programs.start('hanse up', [HANSE, 'up', ...flags], { env: { TMPDIR }, group: true })
}

async function nothingIsLeft(): Promise<void> {
  await eventually('no process is left', () => assert.deepEqual(programs.running(), []))
  assert.deepEqual(readdirSync(TMPDIR), [])
}

interface Plan {
  readonly datacenters: readonly { readonly name: string; readonly ports: Readonly<Record<string, number>> }[]
}

function plannedDatacenters(): Plan['datacenters'] {
  return (JSON.parse(readFileSync(join(dataDir, 'plan.json'), 'utf8')) as Plan).datacenters
}

function client(datacenter: string): HttpClient {
  const port = plannedDatacenters().find(({ name }) => name === datacenter)?.ports.http
  const made = new HttpClient({ address: `127.0.0.1:${port}`, token: readFileSync(tokenFile, 'utf8').trim() })
  clients.push(made)
  return made
}

test('hanse up -check brings two datacenters up, verifies them with the real commands, and leaves nothing', async (t) => {
  const startedMs = performance.now()
  const program = up('-check')
  assert.deepEqual(await program.ended, { code: 0, signal: null }, program.output)
  const tookMs = performance.now() - startedMs
  t.diagnostic(`from start to verified and stopped: ${seconds(tookMs)}`)
  const { output } = program
  assert.match(
    output,
    /dc1\$ hanse members -wan\nNode +Address +Status +Type +Build +Protocol +DC +Partition +Segment\n/,
  )
  assert.match(output, /\nserver-dc1\.dc1 +127\.0\.0\.1:\d+ +alive +server +1\.\d+\.\d+ +2 +dc1 +default +<all>\n/)
  assert.match(output, /\nserver-dc2\.dc2 +127\.0\.0\.1:\d+ +alive +server +1\.\d+\.\d+ +2 +dc2 +default +<all>\n/)
  assert.match(
    output,
    /dc1\$ hanse catalog services -datacenter dc2\nconsul\nhello-dc2\nhello-dc2-sidecar-proxy\nmesh-gateway\n/,
  )
  assert.match(
    output,
    /dc2\$ hanse catalog services -datacenter dc1\nconsul\nhello-dc1\nhello-dc1-sidecar-proxy\nmesh-gateway\n/,
  )
  const called = 'dc1: GET http://127\\.0\\.0\\.1:\\d+\\n'
  const denied =
    'dc1\\$ hanse intention create -deny hello-dc1 hello-dc2\\nCreated: hello-dc1 => hello-dc2 \\(deny\\)\\n\\n'
  const allowed = 'dc1\\$ hanse intention delete hello-dc1 hello-dc2\\nIntention deleted\\.\\n\\n'
  const answer = 'hello from hello-dc2 in dc2\\n\\n'
  assert.match(output, new RegExp(`${called}${answer}${denied}${called}refused .*\\n\\n${allowed}${called}${answer}`))
  assert.match(output, /\nVerified: /)
  await nothingIsLeft()
})

test('hanse up with three datacenters: the secondaries find and read each other', async (t) => {
  const program = up('-datacenters', 'dc1,dc2,dc3', '-data-dir', dataDir)
  const tookMs = await program.says('Ctrl-C stops everything')
  t.diagnostic(`three datacenters verified after ${seconds(tookMs)}`)
  assert.match(program.output, /\nVerified: /)
  for (const name of ['dc1', 'dc2', 'dc3']) {
    assert.equal(await client(name).json('PUT', '/v1/kv/kept', { body: `by ${name}` }), true)
  }
  for (const [asked, other] of [
    ['dc2', 'dc3'],
    ['dc3', 'dc2'],
  ] as const) {
    const services = await client(asked).json('GET', '/v1/catalog/services', { query: { dc: other } })
    const [demo, sidecar] = [`hello-${other}`, `hello-${other}-sidecar-proxy`]
    assert.deepEqual(services, { consul: [], [demo]: [], [sidecar]: [], 'mesh-gateway': [] })
    const answer = await client(asked).expect('GET', '/v1/kv/kept', { query: { dc: other, raw: true } })
    assert.equal(answer.body.toString(), `by ${other}`)
  }
})

test('hanse up gives a secondary nothing of its primary but what the federation secret holds', () => {
  const datacenters = plannedDatacenters()
  const text = readFileSync(join(dataDir, 'dc2', 'server.json'), 'utf8')
  const source = join(dataDir, 'dc2', 'federation-secret.yaml')
  const secret = parseFederationSecret(readFileSync(source, 'utf8'), source)
  const config = JSON.parse(text) as Record<string, unknown>
  assert.equal(config.encrypt, secret.gossipEncryptionKey)
  assert.deepEqual(config.primary_gateways, secret.serverConfig.primaryGateways)
  assert.equal(config.primary_datacenter, 'dc1')
  assert.equal(readFileSync(join(dataDir, 'dc2', 'ca.pem'), 'utf8'), secret.caCert)
  const ports = Object.entries(datacenters[0]?.ports ?? {})
  assert.deepEqual(
    ports.filter(([, port]) => text.includes(String(port))).map(([use]) => use),
    ['gateway'],
  )
  assert.ok(!text.includes(join(dataDir, 'dc1')))
  for (const key of Object.keys(config)) assert.doesNotMatch(key, /join/)
  assert.ok(secret.replicationToken)
  assert.deepEqual((config.acl as Record<string, unknown>).tokens, { replication: secret.replicationToken })
  assert.ok(!readdirSync(join(dataDir, 'dc2')).includes('bootstrap.token'))
})

test('hanse up denies by default: without a token nothing is shown, and only the bootstrap token may do everything', async () => {
  for (const { name, ports } of plannedDatacenters()) {
    const asked = async (token: string) => {
      const asking = new HttpClient({ address: `127.0.0.1:${ports.http}`, token })
      clients.push(asking)
      const services = await asking.json('GET', '/v1/catalog/services')
      return { services, written: (await asking.request('PUT', '/v1/kv/x', { body: 'x' })).status }
    }
    assert.deepEqual(await asked(''), { services: {}, written: 403 })
    const gateway = readFileSync(join(dataDir, name, 'mesh-gateway.token'), 'utf8').trim()
    assert.equal((await asked(gateway)).written, 403)
    assert.equal((await asked(readFileSync(tokenFile, 'utf8').trim())).written, 200)
  }
})

test('hanse federation secret exports what the secondaries were given, into a file for its owner alone', async () => {
  const out = join(root, 'secret.yaml')
  writeFileSync(out, 'old', { mode: 0o644 })
  const directory = join(dataDir, 'dc1')
  const ca = ['-ca', join(directory, 'ca.pem'), '-ca-key', join(directory, 'ca-key.pem')]
  const address = ['-http-addr', client('dc1').address]
  const { code, output } = await programs.hanse(['federation', 'secret', ...address, ...ca, '-out', out])
  assert.equal(code, 0, output)
  assert.ok(!('replicationToken' in parseFederationSecret(readFileSync(out, 'utf8'), out)), 'it was not given')
  const whole = await programs.hanse([
    ...['federation', 'secret', ...address, ...ca, '-out', out],
    ...['-replication-token-file', join(directory, 'replication.token')],
  ])
  assert.equal(whole.code, 0, whole.output)
  assert.match(output, /holds the key of the certificate authority/)
  assert.equal(statSync(out).mode & 0o777, 0o600)
  assert.equal(readFileSync(out, 'utf8'), readFileSync(join(directory, 'federation-secret.yaml'), 'utf8'))
  const token = join(root, 'replication.token')
  const withToken = ['federation', 'secret', ...address, ...ca, '-out', out, '-replication-token-file', token]
  writeFileSync(token, 'bbbbbbbb-2222-4000-8000-00000000000b\n', { mode: 0o600 })
  assert.equal((await programs.hanse(withToken)).code, 0)
  const { replicationToken } = parseFederationSecret(readFileSync(out, 'utf8'), out)
  assert.equal(replicationToken, 'bbbbbbbb-2222-4000-8000-00000000000b')
  writeFileSync(token, 'AccessorID: aaaa\nSecretID: bbbb\n', { mode: 0o600 })
  const refused = await programs.hanse(withToken)
  assert.equal(refused.code, 1)
  assert.match(refused.output, /replication-token-file.*a file with one SecretID/)
  assert.doesNotMatch(refused.output, /bbbb/)
})

test("a user's own service is registered in one datacenter and found in another, over HTTP and DNS", async () => {
  const file = join(root, 'web.json')
  writeFileSync(file, JSON.stringify({ service: { name: 'web', port: 8080, address: '127.0.0.9' } }))
  const registered = await programs.hanse(['services', 'register', '-http-addr', client('dc3').address, file])
  assert.deepEqual(registered, { code: 0, output: 'Registered service: web\n' })
  const dns = plannedDatacenters()[1]?.ports.dns ?? 0
  await eventually('dc2 finds it', async () =>
    assert.deepEqual(await askDns(dns, 'web.service.dc3.consul', 'A'), ['127.0.0.9']),
  )
  const [instance] = (await client('dc2').json('GET', '/v1/health/service/hello-dc3', {
    query: { dc: 'dc3', passing: true },
  })) as { Service: { Address: string; Port: number } }[]
  const answer = await fetch(`http://${instance?.Service.Address}:${instance?.Service.Port}/`)
  assert.equal(await answer.text(), 'hello from hello-dc3 in dc3\n')
})

test('hanse federation status is well everywhere', async () => {
  for (const name of ['dc1', 'dc2', 'dc3']) {
    await eventually(`${name} says that all is well`, async () => {
      const { code, output } = await programs.hanse(['federation', 'status', '-http-addr', client(name).address])
      assert.equal(code, 0, output)
      for (const other of ['dc1', 'dc2', 'dc3']) assert.match(output, new RegExp(`^${other} +.*\\bok\\b`, 'm'))
    })
  }
})

test('hanse up leaves no secret in logs, arguments, environments or files that others may read', () => {
  const secrets = new Map<string, string>()
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  for (const path of files) {
    if (path.endsWith('.token')) secrets.set(path, readFileSync(path, 'utf8').trim())
    if (path.endsWith('-key.pem')) secrets.set(path, readFileSync(path, 'utf8').split('\n')[1] ?? '')
  }
  const { encrypt } = JSON.parse(readFileSync(join(dataDir, 'dc1', 'server.json'), 'utf8')) as { encrypt: string }
  secrets.set('the gossip key', encrypt)
  // Three programs and DNS in each, the first and the replication token; a CA's and a server's key in each; the gossip key.
  assert.equal(secrets.size, 3 * 3 + 2 + 3 * 2 + 1)
  const seen = (text: string) => [...secrets].filter(([, secret]) => text.includes(secret)).map(([of]) => of)
  for (const path of files) {
    const open = (statSync(path).mode & 0o077) !== 0
    if (open || path.endsWith('.log')) assert.deepEqual(seen(readFileSync(path, 'latin1')), [], path)
  }
  const output = programs.started.map((program) => program.output).join('\n')
  assert.deepEqual(seen(output), [], 'what was printed')
  for (const command of programs.running()) {
    assert.deepEqual(seen(command), [], command)
    const environ = `/proc/${command.split(' ')[0]}/environ`
    if (existsSync(environ)) assert.deepEqual(seen(readFileSync(environ, 'latin1')), [], environ)
  }
  assert.ok(programs.running().length > 3 * 4, 'a server, a gateway, a sidecar and a service in each')
})

test('hanse up stops everything at SIGTERM, and -data-dir resumes where it was', async (t) => {
  const first = programs.started.findLast(({ name }) => name === 'hanse up')
  assert.deepEqual(await first?.stop('SIGTERM'), { code: 0, signal: null })
  await nothingIsLeft()

  const second = up('-data-dir', dataDir)
  t.diagnostic(`resumed and verified after ${seconds(await second.says('Ctrl-C stops everything'))}`)
  for (const name of ['dc1', 'dc2', 'dc3']) {
    const answer = await client(name).expect('GET', '/v1/kv/kept', { query: { raw: true } })
    assert.equal(answer.body.toString(), `by ${name}`)
  }
  // Ctrl-C reaches every process of the terminal's group at once.
  second.interruptGroup()
  assert.deepEqual(await second.ended, { code: 0, signal: null })
  await nothingIsLeft()
})

test('hanse up that is killed takes all its processes along', async () => {
  const program = up('-data-dir', dataDir)
  await program.says('starting, with the federation secret', { timeoutMs: 10_000 }).catch(() => undefined)
  await program.stop('SIGKILL')
  await nothingIsLeft()
})

test('hanse up -acls=false -gossip-encryption=false: anybody may do anything, and the data directory remembers it', async () => {
  const open = join(root, 'open')
  const program = up('-data-dir', open, '-acls=false', '-gossip-encryption=false', '-check')
  assert.deepEqual(await program.ended, { code: 0, signal: null }, program.output)
  const config = readFileSync(join(open, 'dc2', 'server.json'), 'utf8')
  assert.doesNotMatch(config, /"(acl|encrypt)"/)
  const other = up('-data-dir', open, '-acls')
  assert.equal((await other.ended).code, 1)
  assert.match(other.output, /^Resume ".*": it was set up with -acls=false: -acls=true was asked for$/m)
})

test('hanse up refuses other datacenters than the directory holds', async () => {
  const program = up('-data-dir', dataDir, '-datacenters', 'dc1,dc2')
  assert.equal((await program.ended).code, 1)
  assert.match(program.output, /^Resume ".*": it holds the datacenters dc1,dc2,dc3: dc1,dc2 were asked for$/m)
})

test('hanse up -base-port names a port that is taken, and starts nothing', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const address = taken.address()
  assert.ok(typeof address === 'object' && address !== null)
  const program = up('-base-port', String(address.port), '-check')
  assert.equal((await program.ended).code, 1)
  taken.close()
  assert.match(
    program.output,
    new RegExp(`^Listen on 127.0.0.1:${address.port} \\(http of dc1\\): the port is in use$`, 'm'),
  )
  assert.match(program.output, /^hint: .*-base-port$/m)
  await nothingIsLeft()
})
