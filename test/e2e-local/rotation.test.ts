/**
 * Keys are changed while calls run, in a federation as `hanse up` starts it: root and leaf certificates, the gossip key
 * and the replication token. Not one call may fail.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { HttpClient } from '#client'
import { IndexedCARoots, IssuedCert } from '#codec'
import { newGossipKey } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { HANSE, Programs } from '../support/programs.ts'

const CHANGED = { timeoutMs: 45_000 }
const programs = new Programs()
const root = mkdtempSync(join(tmpdir(), 'hanse-rotation-'))
const clients: HttpClient[] = []
let dc1: HttpClient
let dc2: HttpClient
let upstream = 0

interface Plan {
  readonly datacenters: readonly { readonly ports: { readonly http: number; readonly upstream: number } }[]
}

before(async () => {
  const program = programs.start('hanse up', [HANSE, 'up', '-data-dir', root], { group: true })
  await program.says('Ctrl-C stops everything', CHANGED)
  const token = readFileSync(join(root, 'dc1', 'bootstrap.token'), 'utf8').trim()
  const { datacenters } = JSON.parse(readFileSync(join(root, 'plan.json'), 'utf8')) as Plan
  const [one, two] = datacenters.map(({ ports }) => new HttpClient({ address: `127.0.0.1:${ports.http}`, token }))
  assert.ok(one && two)
  clients.push(one, two)
  dc1 = one
  dc2 = two
  upstream = datacenters[0]?.ports.upstream ?? 0
})
after(async () => {
  for (const client of clients) client.close()
  await programs.started[0]?.stop('SIGTERM')
  await programs.stop()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

/** One call of dc1's demo service to dc2's, on a connection of its own. */
async function call(): Promise<void> {
  const asked = request({ host: '127.0.0.1', port: upstream, agent: false, timeout: 5_000 })
  asked.on('timeout', () => asked.destroy(new Error('no answer')))
  asked.end()
  const [answer] = await once(asked, 'response')
  let text = ''
  for await (const part of answer) text += part
  assert.match(text, /^hello from hello-dc2 in dc2/)
}

/** Calls one after the other while `change` runs; every failure of a call is a failure of the test. */
async function whileCalling(change: () => Promise<void>): Promise<void> {
  let stop = false
  let calls = 0
  const failures: unknown[] = []
  const calling = (async () => {
    while (!stop) {
      await call().catch((error: unknown) => failures.push(error))
      calls++
      await delay(10)
    }
  })()
  try {
    await change()
    // What follows late from the change, such as sessions that end, is part of it.
    await delay(500)
  } finally {
    stop = true
    await calling
  }
  assert.deepEqual(failures, [])
  assert.ok(calls > 10, `${calls} calls`)
}

const leafOf = async (client: HttpClient, service: string) =>
  (await client.get(IssuedCert, `/v1/agent/connect/ca/leaf/${service}`)).value.CertPEM

test('a new root and new leafs', () =>
  whileCalling(async () => {
    const before = [await leafOf(dc1, 'hello-dc1'), await leafOf(dc2, 'hello-dc2')]
    const body = { Provider: 'consul', Config: { PrivateKeyType: 'ec', PrivateKeyBits: 384 } }
    await dc1.expect('PUT', '/v1/connect/ca/configuration', { body })
    await eventually(
      'both services have leafs under the new root',
      async () => {
        const active = await Promise.all(
          [dc1, dc2].map(async (each) => (await each.get(IndexedCARoots, '/v1/connect/ca/roots')).value),
        )
        assert.equal(active[0]?.Roots?.length, 2)
        assert.equal(active[1]?.ActiveRootID, active[0]?.ActiveRootID)
        assert.notEqual(await leafOf(dc1, 'hello-dc1'), before[0])
        assert.notEqual(await leafOf(dc2, 'hello-dc2'), before[1])
      },
      CHANGED,
    )
  }))

test('a new gossip key', () =>
  whileCalling(async () => {
    const key = newGossipKey()
    const { encrypt } = JSON.parse(readFileSync(join(root, 'dc1', 'server.json'), 'utf8')) as { encrypt: string }
    await dc1.expect('POST', '/v1/operator/keyring', { body: { Key: key } })
    await dc1.expect('PUT', '/v1/operator/keyring', { body: { Key: key } })
    await dc1.expect('DELETE', '/v1/operator/keyring', { body: { Key: encrypt } })
    const pools = (await dc2.json('GET', '/v1/operator/keyring')) as {
      Keys: Record<string, number>
      NumNodes: number
    }[]
    assert.ok(pools.length >= 3, 'the LAN pool of each datacenter, and the WAN pool')
    for (const { Keys, NumNodes } of pools) assert.deepEqual(Keys, { [key]: NumNodes })
  }))

test('a new replication token', () =>
  whileCalling(async () => {
    const old = readFileSync(join(root, 'dc1', 'replication.token'), 'utf8').trim()
    const asOld = new HttpClient({ address: dc1.address, token: old })
    clients.push(asOld)
    const { AccessorID } = (await asOld.json('GET', '/v1/acl/token/self')) as { AccessorID: string }
    const made = await dc1.json('PUT', '/v1/acl/token', { body: { Policies: [{ Name: 'replication' }] } })
    const { SecretID } = made as { SecretID: string }
    await dc2.expect('PUT', '/v1/agent/token/replication', { body: { Token: SecretID } })
    await dc1.expect('DELETE', `/v1/acl/token/${AccessorID}`)
    await dc1.expect('PUT', '/v1/acl/policy', { body: { Name: 'after-the-rotation', Rules: '' } })
    await eventually('ACLs are copied with the new token', async () => {
      await dc2.expect('GET', '/v1/acl/policy/name/after-the-rotation', { query: { stale: true } })
      const status = (await dc2.json('GET', '/v1/acl/replication')) as { Running: boolean; LastErrorMessage?: string }
      assert.equal(status.Running, true)
    })
    await call()
  }))
