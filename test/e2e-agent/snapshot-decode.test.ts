/**
 * `hanse snapshot decode` on a real server's snapshot: everything that was written is in its lines, and no secret is.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createCertificateAuthority } from '#codec'
import { runProgram, ServerProcess } from './server-process.ts'

const MANAGEMENT = '5fd4b8d1-0f4c-4c10-8b3e-6a7e7a1b8a11'
const JWT = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXZpZXdlciJ9.c2lnbmF0dXJl'
const headers = { 'X-Consul-Token': MANAGEMENT }

interface Line {
  readonly Type: string
  readonly Data: Readonly<Record<string, unknown>>
}

let server: ServerProcess
let secret = ''

async function put(path: string, body: unknown) {
  const { status, text } = await server.ask('PUT', path, { body: JSON.stringify(body), headers })
  assert.equal(status, 200, text)
  return text
}

before(async () => {
  server = await ServerProcess.start({
    acl: { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT } },
    connect: { enabled: true },
  })
  const Node = 'elsewhere'
  const Service = { ID: 'web-1', Service: 'web', Port: 80, Tags: ['<v1>'] }
  await put('/v1/catalog/register', { Node, Address: '10.0.0.9', Service, Check: { CheckID: 'c', Status: 'passing' } })
  await put('/v1/kv/a/b', 'kept')
  await put('/v1/config', { Kind: 'service-resolver', Name: 'web', Failover: { '*': { Datacenters: ['dc2'] } } })
  secret = JSON.parse(await put('/v1/acl/token', { Description: 'a reader' })).SecretID
  const Config = { Host: 'https://k8s.test', CACert: createCertificateAuthority({}).certPem, ServiceAccountJWT: JWT }
  await put('/v1/acl/auth-method', { Name: 'k8s', Type: 'kubernetes', Config })
})
after(() => server.stop())

test('every record is a line of its type, as the API shows it, and no secret is in any', async () => {
  const file = join(server.directory, 'dc1.snap')
  const saved = await runProgram([
    'snapshot',
    'save',
    `-http-addr=127.0.0.1:${server.httpPort}`,
    `-token=${MANAGEMENT}`,
    file,
  ])
  assert.equal(saved.code, 0, saved.stderr)
  const { code, stdout, stderr } = await runProgram(['snapshot', 'decode', file])
  assert.deepEqual([code, stderr], [0, ''])
  for (const hidden of [MANAGEMENT, secret, JWT, 'PRIVATE KEY']) assert.ok(!stdout.includes(hidden), hidden)

  const lines: Line[] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const of = (type: string) => lines.filter(({ Type }) => Type === type).map(({ Data }) => Data)
  const inspected = await runProgram(['snapshot', 'inspect', '-format=json', file])
  const { Meta, Stats }: { Meta: Line['Data']; Stats: { Name: string; Count: number }[] } = JSON.parse(inspected.stdout)
  assert.equal(lines[0]?.Type, 'SnapshotHeader')
  assert.equal(lines[0]?.Data['Index'], Meta['Index'])
  for (const { Name, Count } of Stats) assert.equal(of(Name).length, Count, Name)

  const registered = of('Register').filter(({ Node }) => Node === 'elsewhere')
  const [node, service, check] = ['Address', 'Service', 'CheckID'].map((name) =>
    registered.find((each) => name in each),
  )
  assert.equal(node?.['Address'], '10.0.0.9')
  assert.deepEqual(Object.entries(service?.['Service'] ?? {}).find(([name]) => name === 'Tags')?.[1], ['<v1>'])
  assert.equal(check?.['Status'], 'passing')
  assert.deepEqual(
    of('KVS').map(({ Key, Value }) => [Key, Value]),
    [['a/b', Buffer.from('"kept"').toString('base64')]],
  )
  const [resolver] = of('ConfigEntry').filter(({ Name }) => Name === 'web')
  assert.deepEqual([resolver?.['Kind'], resolver?.['ModifyIndex']], ['service-resolver', undefined])
  const token = of('ACLToken').find(({ Description }) => Description === 'a reader')
  assert.match(String(token?.['AccessorID']), /^[0-9a-f-]{36}$/)
  assert.equal(token?.['SecretID'], '<hidden>')
  assert.equal(of('ConnectCAProviderState')[0]?.['KeyPEM'], '<hidden>')
  assert.match(JSON.stringify(of('ConnectCA')), /BEGIN CERTIFICATE/)
  assert.match(JSON.stringify(of('ACLAuthMethod')), /"ServiceAccountJWT":"<hidden>"/)
})
