/**
 * Debian's Patroni, configured for Consul, elects a leader of PostgreSQL through our sessions and keys, and another one
 * when that is lost.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePorts } from '#local'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually, seconds } from '../support/eventually.ts'
import { leaderOf } from './admin.ts'
import { Patroni, postgresPrograms } from './patroni.ts'
import { Servers } from './servers.ts'

const START_MS = 90_000
const FAILOVER_MS = 90_000

test('Patroni elects a leader of PostgreSQL through us, and another one when machine and server are lost', async (t) => {
  const cluster = await EtcdCluster.start(3)
  const root = mkdtempSync(join(tmpdir(), 'hanse-patroni-'))
  chmodSync(root, 0o755)
  const nodes: Patroni[] = []
  let servers: Servers | undefined
  try {
    await leaderOf(cluster)
    servers = await Servers.start(['s1', 's2', 's3'], cluster.endpoints)
    const ports = await freePorts(4)
    for (const [at, name] of ['p1', 'p2'].entries()) {
      nodes.push(
        new Patroni({
          name,
          folder: join(root, name),
          consulPort: servers.process(`s${at + 1}`).httpPort,
          restPort: ports[at * 2] ?? 0,
          postgresPort: ports[at * 2 + 1] ?? 0,
          programs: postgresPrograms(),
        }),
      )
    }
    const [first, second] = nodes
    assert.ok(first && second)
    const said = () => nodes.map(({ name, output }) => `── ${name}\n${output.slice(-1_500)}`).join('\n')
    first.start()
    await eventually('the first node leads', () => assert.ok(first.leads, said()), { timeoutMs: START_MS, pollMs: 500 })
    second.start()
    first.sql('CREATE TABLE kept (number int)')
    first.sql('INSERT INTO kept VALUES (1)')
    await eventually(
      'the second node follows',
      () => assert.equal(second.sql('SELECT number FROM kept'), '1', said()),
      {
        timeoutMs: START_MS,
        pollMs: 500,
      },
    )
    assert.equal(second.leads, false)
    const leaderKey = await servers.ask('s3', 'GET', '/v1/kv/service/demo/leader')
    const [leaderEntry]: { Session?: string; Value: string }[] = JSON.parse(leaderKey.text)
    assert.ok(leaderEntry?.Session, 'the leader key is not locked')
    assert.equal(Buffer.from(leaderEntry.Value, 'base64').toString(), 'p1')

    // Its machine, and the server that it asked.
    await Promise.all([first.kill(), servers.kill('s1')])
    const took = await eventually('the second node leads', () => assert.ok(second.leads, said()), {
      timeoutMs: FAILOVER_MS,
      pollMs: 500,
    })
    t.diagnostic(`another leader after ${seconds(took)}`)
    second.sql('INSERT INTO kept VALUES (2)')
    assert.equal(second.sql('SELECT number FROM kept ORDER BY number'), '1\n2')

    await servers.run('s1')
    assert.equal((await servers.ask('s1', 'GET', '/v1/kv/service/demo/leader?raw&consistent')).text, 'p2')
  } finally {
    await Promise.all(nodes.map((node) => node.kill()))
    await servers?.stop()
    await cluster.stop()
    rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  }
})
