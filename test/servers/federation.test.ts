/**
 * Two datacenters of three servers each, joined by mesh gateways: all six are in the WAN pool, any of them asks and
 * answers, and one that goes away is noticed by nobody outside.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { messageOf, systemClock, systemRandom } from '#base'
import { createCertificate } from '#codec'
import { freePorts } from '#local'
import { newCa, newGossipKey } from '../support/datacenter.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { HANSE, Programs } from '../support/programs.ts'
import { type TestServer, type TestServers, testServers } from '../support/servers.ts'

interface Datacenter {
  readonly name: string
  readonly servers: TestServers
  /** Those that run, by name. */
  readonly running: Map<string, TestServer>
}

const GATEWAYS_STAND_STILL_MS = 400
const WAN_LISTS = { timeoutMs: 90_000 }

const root = mkdtempSync(join(tmpdir(), 'hanse-two-by-three-'))
const programs = new Programs()
const ca = newCa()
const encrypt = newGossipKey()
const cleanups: (() => void | Promise<void>)[] = []
// What testServers() wants of a test: everything here lives as long as the file.
const whole = { after: (task: () => void | Promise<void>) => void cleanups.push(task) } as unknown as TestContext
let dc1: Datacenter
let dc2: Datacenter

function tlsOf(name: string) {
  const domain = `server.${name}.consul`
  const { certPem, keyPem } = createCertificate(
    {
      ...{
        ca,
        commonName: domain,
        dnsNames: [domain, `*.${domain}`, 'localhost'],
        ipAddresses: ['127.0.0.1'],
        uris: [],
      },
      ...{ days: 30, serverAuth: true, clientAuth: true },
    },
    { clock: systemClock, random: systemRandom },
  )
  const file = (what: string, text: string) => {
    const path = join(root, `${name}-${what}.pem`)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const files = { ca_file: file('ca', ca.certPem), cert_file: file('cert', certPem), key_file: file('key', keyPem) }
  return { internal_rpc: { ...files, verify_incoming: true, verify_outgoing: true, verify_server_hostname: true } }
}

async function datacenter(name: string, gateways: readonly number[], primaryGateways?: readonly string[]) {
  const servers = await testServers(whole, {
    datacenter: name,
    primary_datacenter: 'dc1',
    encrypt,
    // As in operation: on a busy machine faster ones take servers for dead that are not.
    gossip_lan: { gossip_interval: '100ms' },
    gossip_wan: { gossip_interval: '200ms' },
    connect: { enabled: true, enable_mesh_gateway_wan_federation: true },
    tls: tlsOf(name),
    ...(primaryGateways ? { primary_gateways: primaryGateways } : {}),
  })
  const running = new Map<string, TestServer>()
  for (const each of ['s1', 's2', 's3']) running.set(each, await servers.start(each))
  for (const [position, port] of gateways.entries()) {
    const server = running.get(`s${position + 2}`)
    const at = `127.0.0.1:${port}`
    const words = ['connect', 'proxy', '-gateway=mesh', '-register', '-expose-servers', '-proxy-id', 'mesh-gateway']
    const addresses = ['-address', at, '-wan-address', at, '-bind-address', at]
    const api = ['-http-addr', server?.agent.ports.http[0] ?? '']
    programs.start(`gateway ${position} of ${name}`, [HANSE, ...words, ...addresses, ...api])
  }
  return { name, servers, running }
}

const all = () => [dc1, dc2].flatMap(({ running }) => [...running.values()])

async function reads(server: TestServer, dc: string): Promise<void> {
  const { status, body } = await server.client.request('GET', '/v1/catalog/nodes', { query: { dc }, timeoutMs: 15_000 })
  assert.equal(status, 200, `${server.name} of ${server.agent.core.endpoints.datacenter}: ${body}`)
}

before(async () => {
  const [a = 0, b = 0, c = 0, d = 0] = await freePorts(4)
  dc1 = await datacenter('dc1', [a, b])
  dc2 = await datacenter('dc2', [c, d], [`127.0.0.1:${a}`, `127.0.0.1:${b}`])
  const took = await eventually(
    'every server reads the other datacenter',
    async () => {
      for (const server of dc1.running.values()) await reads(server, 'dc2')
      for (const server of dc2.running.values()) await reads(server, 'dc1')
    },
    { timeoutMs: 60_000 },
  )
  process.stdout.write(`six servers read each other after ${seconds(took)}\n`)
})

after(async () => {
  await programs.stop()
  for (const cleanup of cleanups.reverse()) await cleanup()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

test('members -wan is a table of six, on every server', async () => {
  const [first] = all()
  const command = ['members', '-wan', `-http-addr=${first?.agent.ports.http[0]}`]
  const took = await eventually(
    'all know all',
    async () => {
      for (const server of all()) {
        const members = (await server.client.json('GET', '/v1/agent/members', { query: { wan: 1 } })) as {
          Name: string
          Status: number
        }[]
        const alive = members.filter(({ Status }) => Status === 1).map(({ Name }) => Name)
        assert.deepEqual(
          alive.sort(),
          ['s1.dc1', 's1.dc2', 's2.dc1', 's2.dc2', 's3.dc1', 's3.dc2'],
          server.name + server.agent.core.endpoints.datacenter,
        )
      }
      // What gossip lost comes when lists are exchanged, which takes its time.
    },
    WAN_LISTS,
  )
  process.stdout.write(`all six know each other after ${seconds(took)} more\n`)
  const { stdout } = await promisify(execFile)(HANSE, command)
  const rows = stdout.trimEnd().split('\n')
  assert.equal(rows.length, 7, stdout)
  for (const row of rows.slice(1))
    assert.match(row, /^s[123]\.dc[12] +127\.0\.0\.1:\d+ +alive +server +1\.21\.0 +2 +dc[12] +default +<all>$/)
})

test('copies are made by the leader alone, and every server says how far they are', async () => {
  const statuses = await Promise.all(
    [...dc2.running.values()].map(async (server) => {
      const status = (await server.client.json('GET', '/v1/internal/federation-status')) as {
        Datacenters: { Name: string; Replication: Record<string, { Running: boolean }> | null }[]
        Problems: unknown[]
      }
      assert.deepEqual(status.Problems, [])
      return status.Datacenters.find(({ Name }) => Name === 'dc1')?.Replication
    }),
  )
  for (const replication of statuses) {
    assert.deepEqual(Object.keys(replication ?? {}).sort(), ['config-entries', 'federation-state'])
    assert.ok(Object.values(replication ?? {}).every(({ Running }) => Running))
  }
})

test('the gossip keys of all servers are counted', async () => {
  const pools = (await dc1.running.get('s2')?.client.json('GET', '/v1/operator/keyring')) as {
    WAN: boolean
    Datacenter: string
    NumNodes: number
    Error?: string
  }[]
  const counted = pools.map(({ WAN, Datacenter, NumNodes }) => `${WAN ? 'WAN' : Datacenter} ${NumNodes}`)
  assert.deepEqual(counted.sort(), ['WAN 6', 'dc1 3', 'dc2 3'], JSON.stringify(pools))
})

test('servers of the other datacenter are restarted one after the other, and no request fails', async () => {
  const failures: string[] = []
  let asked = 0
  let stop = false
  let phase = ''
  const client = async (server: TestServer) => {
    for (let turn = 0; !stop; turn++) {
      try {
        if (turn % 4 === 3) {
          const { status, body } = await server.client.request('PUT', `/v1/kv/${server.name}`, {
            ...{ query: { dc: 'dc2' }, body: String(turn), timeoutMs: 15_000 },
          })
          assert.equal(status, 200, String(body))
        } else await reads(server, 'dc2')
      } catch (error) {
        failures.push(`${phase} ${turn % 4 === 3 ? 'write' : 'read'}: ${messageOf(error).split('\n')[0]}`)
      }
      asked++
      await delay(10)
    }
  }
  const clients = [...dc1.running.values()].flatMap((server) => Array.from({ length: 4 }, () => client(server)))
  for (const name of ['s1', 's2', 's3']) {
    phase = `${name} stops`
    // Its word that it goes crosses calls that are on their way to it, however slow the way is.
    for (const gateway of programs.started) process.kill(gateway.pid, 'SIGSTOP')
    const stopped = dc2.running.get(name)?.agent.shutdown()
    await delay(GATEWAYS_STAND_STILL_MS)
    for (const gateway of programs.started) process.kill(gateway.pid, 'SIGCONT')
    await stopped
    phase = `${name} is down`
    await delay(1_500)
    phase = `${name} starts`
    const again = await dc2.servers.start(name)
    dc2.running.set(name, again)
    await eventually(`${name} is back`, async () => {
      const health = await again.client.request('GET', '/v1/operator/autopilot/health')
      assert.equal(health.status, 200, String(health.body))
      await reads(again, 'dc1')
    })
    phase = `${name} is back`
    // Its gateway is counted on again.
    await eventually('both gateways are passing', async () => {
      const path = '/v1/health/service/mesh-gateway?passing'
      assert.equal(((await again.client.json('GET', path)) as unknown[]).length, 2)
    })
  }
  stop = true
  await Promise.all(clients)
  process.stdout.write(`${asked} requests while three servers were restarted, ${failures.length} failed\n`)
  assert.deepEqual(failures, [])
})
