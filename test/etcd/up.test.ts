/**
 * The main job with three servers in each datacenter: they are restarted one after the other, then each is killed with its
 * member of etcd. A caller in the other datacenter does not notice, and no write that it was answered is lost.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sleep, systemClock } from '#base'
import { HttpClient } from '#client'
import { eventually } from '../support/eventually.ts'
import { HANSE, Programs } from '../support/programs.ts'

const programs = new Programs()
const root = mkdtempSync(join(tmpdir(), 'hanse-up-servers-'))
const dataDir = join(root, 'data')

after(async () => {
  await programs.stop()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

interface Plan {
  readonly datacenters: readonly { readonly ports: { readonly http: number } }[]
}

/** Processes that were started over our data directory, by what their command lines say. */
function processesWith(text: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
      } catch {
        return false
      }
    })
}

test('each of three servers is restarted, then killed, in turn: callers in the other datacenter do not notice', async (t) => {
  const program = programs.start('hanse up', [HANSE, 'up', '-servers', '3', '-data-dir', dataDir], { group: true })
  await program.says('Ctrl-C stops everything', { timeoutMs: 120_000 })
  assert.match(program.output, /\nVerified: /)
  const names = [...program.output.matchAll(/^(consul-server-\d\.dc\d) .* alive /gm)].map(([, name]) => name)
  assert.deepEqual(
    [...new Set(names)].sort(),
    ['0.dc1', '0.dc2', '1.dc1', '1.dc2', '2.dc1', '2.dc2'].map((each) => `consul-server-${each}`),
  )
  const { datacenters } = JSON.parse(readFileSync(join(dataDir, 'plan.json'), 'utf8')) as Plan
  const token = readFileSync(join(dataDir, 'dc1', 'bootstrap.token'), 'utf8').trim()
  const client = new HttpClient({ address: `127.0.0.1:${datacenters[0]?.ports.http}`, token })
  t.after(() => client.close())

  const failures: string[] = []
  const written: string[] = []
  let reads = 0
  const refused: string[] = []
  let going = true
  const reader = async () => {
    while (going) {
      const answer = await client.request('GET', '/v1/catalog/services', { query: { dc: 'dc2' } })
      reads++
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.body.toString()}`)
      await sleep(systemClock, 20)
    }
  }
  const writer = async () => {
    for (let count = 0; going; count++) {
      const { status, body } = await client.request('PUT', `/v1/kv/written/${count}`, {
        query: { dc: 'dc2' },
        body: 'x',
      })
      if (status === 200) written.push(`written/${count}`)
      else refused.push(body.toString())
      await sleep(systemClock, 20)
    }
  }
  const load = Promise.all([reader(), reader(), writer()])
  const allHealthy = () =>
    eventually(
      'all servers are healthy',
      async () => {
        const health = await client.json('GET', '/v1/operator/autopilot/health', { query: { dc: 'dc2' } })
        const { Healthy, Servers } = Object(health)
        assert.deepEqual([Healthy, Array.isArray(Servers) && Servers.length], [true, 3], JSON.stringify(health))
      },
      { timeoutMs: 90_000 },
    )
  const processOf = (position: number) =>
    processesWith(join(dataDir, 'dc2', position === 0 ? 'server.json' : `server-${position}.json`))
  const readOn = async () => {
    const begun = reads
    await eventually('reads go on', () => assert.ok(reads > begun + 20), { timeoutMs: 60_000 })
  }
  // A rolling restart: each is told to stop, and is started again.
  for (const position of [2, 1, 0]) {
    const [pid = 0] = processOf(position)
    process.kill(pid, 'SIGTERM')
    await eventually(
      'another process has its place',
      () => assert.ok(![0, pid].includes(processOf(position)[0] ?? 0)),
      {
        timeoutMs: 60_000,
      },
    )
    await allHealthy()
  }
  await readOn()
  assert.deepEqual(refused, [], 'a write was refused during a rolling restart')
  for (const position of [2, 1, 0]) {
    const data = join(dataDir, 'dc2', position === 0 ? 'data' : `data-${position}`)
    const victims = [...processOf(position), Number.parseInt(readFileSync(join(data, 'etcd.pid'), 'utf8'), 10)]
    assert.ok(victims.length >= 2)
    for (const pid of victims) process.kill(pid, 'SIGKILL')
    await readOn()
    await allHealthy()
  }
  going = false
  await load
  t.diagnostic(
    `${reads} reads, ${written.length} writes answered, ${refused.length} writes refused while a server died: ${refused.join('; ')}`,
  )
  assert.deepEqual(failures, [])
  assert.ok(written.length > 50)
  const kept = await client.json('GET', '/v1/kv/written/', { query: { dc: 'dc2', keys: true } })
  assert.ok(Array.isArray(kept))
  const there = new Set(kept)
  assert.deepEqual(
    written.filter((key) => !there.has(key)),
    [],
    'answered writes are gone',
  )
  program.interruptGroup()
  await program.ended
  await eventually('no process is left, etcd included', () => assert.deepEqual(processesWith(dataDir), []))
})
