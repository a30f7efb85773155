/**
 * Datacenters that cannot federate because a setting of one does not fit the other: each says which setting, which
 * datacenters and what to change, in its log and in its status.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type Datacenter, newCa, newGossipKey } from '../support/datacenter.ts'
import { eventually } from '../support/eventually.ts'
import { TestBed } from '../support/federation.ts'

const MANAGEMENT = 'aaaaaaaa-1111-4000-8000-00000000000a'
const bed = new TestBed()
/** Two primaries that are right in themselves: with and without gossip encryption. */
let encrypted: Datacenter
let plain: Datacenter
let encryptedGateway = ''
let plainGateway = ''

before(async () => {
  encryptedGateway = await bed.address()
  plainGateway = await bed.address()
  encrypted = await bed.make({ name: 'dc1', label: 'encrypted' })
  plain = await bed.make({ name: 'dc1', label: 'plain', gossipKey: undefined })
  for (const [primary, at] of [
    [encrypted, encryptedGateway],
    [plain, plainGateway],
  ] as const) {
    primary.startServer()
    primary.startGateway(at)
  }
  await eventually('both primaries have their gateways', async () => {
    await encrypted.reads('dc1')
    await plain.reads('dc1')
  })
})
after(() => bed.stop())

/** Starts the server of a secondary that is wrong in `options`. */
async function secondary(options: Parameters<TestBed['make']>[0]): Promise<Datacenter> {
  const made = await bed.make({ primaryGateways: [encryptedGateway], ...options })
  made.startServer()
  await made.ready()
  return made
}

interface Expected {
  readonly code: string
  readonly message: RegExp
  readonly hint: RegExp
}

/** Waits until a server names the problem in its status and in its log. */
async function names(at: Datacenter, { code, message, hint }: Expected): Promise<void> {
  await eventually(`the status of ${at.node} names ${code}`, async () => {
    const problems = await at.problems()
    const found = problems.find((problem) => problem.Code === code)
    assert.ok(found, JSON.stringify(problems))
    assert.match(found.Message, message)
    assert.match(found.Hint, hint)
  })
  await at.server?.says(new RegExp(`\\[ERROR\\].*code=${code}`))
}

test('a gossip key in the primary only is named by both sides', async () => {
  const dc2 = await secondary({ name: 'dc2', label: 'keyless', gossipKey: undefined })
  await names(dc2, {
    code: 'GOSSIP_KEY_MISSING_HERE',
    message: /^Gossip encryption key \(setting "encrypt"\): datacenter "dc1".* has one, datacenter "dc2" has none$/,
    hint: /set "encrypt" in datacenter "dc2" to the key of the primary/,
  })
  await names(encrypted, {
    code: 'GOSSIP_KEY_MISSING_THERE',
    message: /^Gossip encryption key \(setting "encrypt"\): datacenter "dc1" has one, .* has none$/,
    hint: /to the same key, or remove it in every datacenter/,
  })
})

test('a gossip key in the secondary only is named by both sides', async () => {
  const dc2 = await secondary({ name: 'dc2', label: 'keyed', primaryGateways: [plainGateway] })
  await names(dc2, {
    code: 'GOSSIP_KEY_MISSING_THERE',
    message: /datacenter "dc2" has one, datacenter "dc1".* has none$/,
    hint: /set "encrypt" in datacenter "dc1".* to the same key/,
  })
  await names(plain, {
    code: 'GOSSIP_KEY_MISSING_HERE',
    message: /has one, datacenter "dc1" has none$/,
    hint: /set "encrypt" in datacenter "dc1"/,
  })
})

test('different gossip keys are named by both sides, and never shown', async () => {
  const gossipKey = newGossipKey()
  const dc3 = await secondary({ name: 'dc3', label: 'other-key', gossipKey })
  await names(dc3, {
    code: 'GOSSIP_KEY_DIFFERS',
    message:
      /^Gossip encryption key \(setting "encrypt"\): datacenter "dc3" and datacenter "dc1".* have different keys$/,
    hint: /gossipEncryptionKey in the federation secret/,
  })
  await names(encrypted, {
    code: 'GOSSIP_KEY_DIFFERS',
    message: /datacenter "dc1" and .* have different keys$/,
    hint: /gossipEncryptionKey in the federation secret/,
  })
  for (const each of [dc3, encrypted]) {
    const text = JSON.stringify(await each.status()) + each.server?.output
    assert.ok(!text.includes(gossipKey) && !text.includes(bed.gossipKey), 'a key is shown')
  }
})

test('two datacenters with one name are named by both', async () => {
  const one = await secondary({ name: 'dc2', label: 'first-dc2', node: 'server-a' })
  one.startGateway(await bed.address())
  await eventually('the first is read by the primary', () => encrypted.reads('dc2'))
  const two = await secondary({ name: 'dc2', label: 'second-dc2', node: 'server-b' })
  const expected = {
    code: 'DATACENTER_NAME_TAKEN',
    message: /^Datacenter name \(setting "datacenter"\): two datacenters call themselves "dc2"/,
    hint: /give each datacenter of the federation its own name/,
  }
  await names(one, expected)
  await names(two, expected)
})

test('two datacenters with one name and one node name are named', async () => {
  const one = await secondary({ name: 'dc4', label: 'first-dc4' })
  one.startGateway(await bed.address())
  await eventually('the first is read by the primary', () => encrypted.reads('dc4'))
  const two = await secondary({ name: 'dc4', label: 'second-dc4' })
  await eventually('one of them names it', async () => {
    const codes = await Promise.all(
      [one, two, encrypted].map(async (each) => (await each.problems()).map((p) => p.Code)),
    )
    assert.ok(codes.flat().includes('DATACENTER_NAME_TAKEN'), JSON.stringify(codes))
  })
})

async function webServer(): Promise<{ server: Server; address: string }> {
  const server = createServer((_request, response) => response.end('no gateway\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = server.address()
  assert.ok(typeof at === 'object' && at !== null)
  return { server, address: `127.0.0.1:${at.port}` }
}

test('a secondary without a mesh gateway is named by its primary', async () => {
  const dc9 = await secondary({ name: 'dc9', label: 'gatewayless' })
  await eventually('the primary knows it', async () => {
    assert.ok((await encrypted.wanMembers()).has(`${dc9.node}.dc9`))
  })
  // Through its gateway the primary finds no way to one that has none.
  await names(encrypted, {
    code: 'GATEWAY_WRONG',
    message: /^Mesh gateway on the way to datacenter "dc9"/,
    hint: /see that the mesh gateways of "dc1" and of "dc9" run/,
  })
})

test('access control on one side only is named by both', async () => {
  const acl = { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT } }
  const dc10 = await secondary({ name: 'dc10', label: 'guarded', token: MANAGEMENT, settings: { acl } })
  await names(encrypted, {
    code: 'ACL_MISSING_HERE',
    message: /^Access control \(setting "acl.enabled"\): datacenter "dc10" has it, datacenter "dc1" has none: /,
    hint: /set "acl.enabled" in datacenter "dc1", .* or remove it in every datacenter/,
  })
  await dc10.server?.says(/\[ERROR\].*code=ACL_MISSING_THERE/)
})

// Each waits until the problem has lasted long enough to be logged: together that is one wait.
describe('a way to the primary that is none', { concurrency: true }, () => {
  test('another certificate authority is named, and reads say so', async () => {
    const dc5 = await secondary({ name: 'dc5', label: 'other-ca', ca: newCa() })
    await names(dc5, {
      code: 'CA_DIFFERS',
      message:
        /^Certificate authority \(setting "ca_file"\): datacenter "dc5" and datacenter "dc1" do not trust the same CA: /,
      hint: /with the CA of the primary: caCert and caKey in the federation secret/,
    })
    assert.match(await dc5.readError('dc1'), /Remote DC has no server currently reachable: primary datacenter "dc1"/)
  })

  test('primary_gateways that nothing listens at are named, and reads say so', async () => {
    const closed = await bed.address()
    const dc6 = await secondary({ name: 'dc6', label: 'closed', primaryGateways: [closed] })
    await names(dc6, {
      code: 'GATEWAY_UNREACHABLE',
      message: new RegExp(`^Mesh gateway on the way to datacenter "dc1": .*"${closed}".*connection refused$`),
      hint: /compare "primary_gateways" of datacenter "dc6" with where the mesh gateways of "dc1" listen/,
    })
    const text = await dc6.readError('dc1')
    assert.match(text, new RegExp(`mesh gateways tried: ${closed}, never reached \\(.*connection refused\\)$`))
  })

  test('primary_gateways at which something else answers are named', async () => {
    const web = await webServer()
    try {
      const dc7 = await secondary({ name: 'dc7', label: 'web', primaryGateways: [web.address] })
      await names(dc7, {
        code: 'GATEWAY_WRONG',
        message: new RegExp(`^Mesh gateway on the way to datacenter "dc1": .*"${web.address}"`),
        hint: /what answers there may be no mesh gateway/,
      })
    } finally {
      web.server.close()
    }
  })

  test("primary_gateways that are the secondary's own gateway are named", async () => {
    const own = await bed.address()
    const dc8 = await secondary({ name: 'dc8', label: 'own', primaryGateways: [own] })
    dc8.startGateway(own)
    await names(dc8, {
      code: 'GATEWAY_WRONG',
      message: new RegExp(`^Mesh gateway on the way to datacenter "dc1": .*"${own}"`),
      hint: /compare "primary_gateways" of datacenter "dc8"/,
    })
    const answer = await bed.programs.hanse(['federation', 'status', '-http-addr', dc8.client.address])
    assert.match(answer.output, /GATEWAY_WRONG/)
    assert.match(answer.output, /primary_gateways/)
  })
})
