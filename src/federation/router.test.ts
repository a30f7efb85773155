/**
 * Calls to another datacenter over real TLS: which gateway, which error, and what happens while the way is shut.
 */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { after, before, test } from 'node:test'
import { codeOf, ManualClock, Metrics, seededRandom, silentLogger, systemClock } from '#base'
import {
  CheckServiceNode,
  createCertificate,
  createCertificateAuthority,
  encode,
  FederationState,
  NodeService,
  type PemPair,
  string,
} from '#codec'
import type { GossipPool, Member } from '#gossip'
import { RpcConnectionPool, RpcRemoteError, ServerPort, serveRpcStream, type TlsIdentity } from '#net'
import { REBALANCE_MS, WanRouter } from './router.ts'
import { serverTags } from './servers.ts'
import { createWanLink } from './wan-link.ts'

const ca = createCertificateAuthority()

function identityOf(authority: PemPair, datacenter: string, trusted: PemPair = authority): TlsIdentity {
  const dnsNames = [`server.${datacenter}.consul`, `*.server.${datacenter}.consul`]
  const { certPem, keyPem } = createCertificate({ ca: authority, commonName: dnsNames[0] ?? '', dnsNames })
  return { caPem: trusted.certPem, certPem, keyPem }
}

/** A server of dc1 that answers calls; what a gateway passes on ends here, so it stands for the gateway too. */
async function serverOfDc1(identity: TlsIdentity): Promise<ServerPort> {
  const port = new ServerPort({
    host: '127.0.0.1',
    port: 0,
    identity: () => identity,
    verifyIncoming: () => true,
    accepting: () => refusals-- <= 0,
    handlers: {
      rpc: (stream: Duplex, { remote }) =>
        serveRpcStream(
          stream,
          async ({ method }) => {
            if (method === 'Test.Fail') throw new Error('ACL not found')
            if (method === 'Test.Cut' && ++cuts % 2 === 1) stream.destroy()
            return encode(string, `answer to ${method}`)
          },
          { remote },
        ),
    },
  })
  await port.listen()
  return port
}

/** So many calls are refused unseen, as a server that starts or stops does. */
let refusals = 0
/** Calls of Test.Cut so far; every other one loses its connection. */
let cuts = 0

let server: ServerPort
before(async () => {
  server = await serverOfDc1(identityOf(ca, 'dc1'))
})
after(() => server.close())

function member(status: Member['status']): Member {
  return {
    name: 's1.dc1',
    address: '192.0.2.1',
    port: 8302,
    status,
    tags: serverTags({
      datacenter: 'dc1',
      nodeId: 'n',
      rpcPort: 8300,
      bootstrap: true,
      useTls: true,
      acls: false,
      grpcPort: -1,
      grpcTlsPort: -1,
    }),
    protocolMin: 1,
    protocolMax: 5,
    protocolCur: 2,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 4,
  }
}

type WanMembers = Pick<GossipPool, 'members' | 'coordinate' | 'coordinateOf'>

/** dc2's way to dc1, by the gateways given. */
function wayToDc1(options: {
  readonly gateways: readonly number[]
  readonly members?: readonly Member[]
  readonly identity?: TlsIdentity
  readonly clock?: ManualClock
}) {
  const clock = options.clock ?? systemClock
  const modules = { clock, random: seededRandom(3), log: silentLogger, metrics: new Metrics() }
  const identity = options.identity ?? identityOf(ca, 'dc2')
  const link = createWanLink(
    {
      datacenter: 'dc2',
      primaryDatacenter: 'dc1',
      domain: 'consul',
      primaryGateways: options.gateways.map((port) => ({ host: '127.0.0.1', port })),
    },
    { ...modules, identity: () => identity },
  )
  const dialled: string[] = []
  const pool = new RpcConnectionPool({
    dial: ({ datacenter, node }, alpn, signal) => {
      dialled.push(node)
      return link.dialer.dial({ datacenter, node }, alpn, signal)
    },
  })
  const origin = { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 1e-5 }
  const wan: WanMembers = {
    members: () => options.members ?? [member('alive')],
    coordinate: () => origin,
    coordinateOf: () => origin,
  }
  const router = new WanRouter({ datacenter: 'dc2', primaryDatacenter: 'dc1' }, { ...modules, ...link, pool, wan })
  const call = (method: string, datacenter = 'dc1', probe = false, repeatable = false) =>
    router.forward({ datacenter, method, body: encode(string, ''), timeoutMs: 5_000, probe, repeatable })
  return { router, link, dialled, call, close: () => pool.close() }
}

const closedPort = 9

test('forward() reaches a server of the other datacenter through the gateway that answers', async () => {
  const way = wayToDc1({ gateways: [closedPort, server.address.port] })
  assert.deepEqual(await way.call('Test.Ask'), encode(string, 'answer to Test.Ask'))
  assert.equal(way.link.reachability.way('dc1')?.reachable, true)
  way.close()
})

test('forward() hands on the error of the other datacenter as it came', async () => {
  const way = wayToDc1({ gateways: [server.address.port] })
  await assert.rejects(
    way.call('Test.Fail'),
    (error) => error instanceof RpcRemoteError && error.message === 'ACL not found',
  )
  assert.equal(way.link.reachability.way('dc1')?.reachable, true)
  way.close()
})

test('forward() asks once more when a connection breaks in a read, and never sends a write twice', async () => {
  const way = wayToDc1({ gateways: [server.address.port] })
  cuts = 0
  assert.deepEqual(await way.call('Test.Cut', 'dc1', false, true), encode(string, 'answer to Test.Cut'))
  assert.equal(cuts, 2)
  await assert.rejects(way.call('Test.Cut'), /Remote DC has no server currently reachable.*connection closed/)
  assert.equal(cuts, 3)
  way.close()
})

const two = [member('alive'), { ...member('alive'), name: 's2.dc1' }]

test('forward() of a write whose server goes away fails that write, and not the datacenter of several servers', async () => {
  const way = wayToDc1({ gateways: [server.address.port], members: two })
  await way.call('Test.Ask')
  cuts = 0
  await assert.rejects(way.call('Test.Cut'), /Remote DC has no server currently reachable.*connection closed/)
  assert.equal(way.link.reachability.shut('dc1'), false)
  assert.deepEqual(await way.call('Test.Ask'), encode(string, 'answer to Test.Ask'))
  way.close()
})

test('forward() of a write that a server has not taken goes to another one', async () => {
  const way = wayToDc1({ gateways: [server.address.port], members: two })
  refusals = 1
  assert.deepEqual(await way.call('Test.Ask'), encode(string, 'answer to Test.Ask'))
  assert.deepEqual(way.dialled.toSorted(), ['s1', 's2'])
  assert.equal(way.link.reachability.way('dc1')?.reachable, true)
  way.close()
})

test('forward() to one server that gossip has lost says nothing of its datacenter', async () => {
  const clock = new ManualClock()
  const lost = [{ ...member('failed'), name: 's3.dc1' }]
  const way = wayToDc1({ gateways: [closedPort], members: lost, clock })
  way.link.dialer.isOnly = () => false
  way.link.reachability.succeeded('dc1')
  await way.router.lost({ datacenter: 'dc1', node: 's3' })
  assert.equal(way.link.reachability.way('dc1')?.reachable, true)
  way.close()
})

test('forward() keeps to the server that answered, for as long as load may lie on one', async () => {
  const clock = new ManualClock()
  const way = wayToDc1({ gateways: [server.address.port], members: two, clock })
  const asked: string[] = []
  const ask = async () => {
    await way.call('Test.Ask')
    asked.push(way.dialled.at(-1) ?? '')
  }
  for (let turn = 0; turn < 8; turn++) await ask()
  assert.equal(way.dialled.length, 1, 'one connection serves all')
  for (let turn = 0; turn < 12 && way.dialled.length === 1; turn++) {
    clock.advance(REBALANCE_MS)
    await ask()
  }
  assert.equal(way.dialled.length, 2, 'the other one has had its turn')
  way.close()
})

test('forward() to a datacenter that nobody knows says that there is no path', async () => {
  const way = wayToDc1({ gateways: [server.address.port] })
  await assert.rejects(way.call('Test.Ask', 'dc9'), { message: 'No path to datacenter' })
  way.close()
})

test('forward() with no gateway that answers names the primary, the gateways and the silence', async () => {
  const way = wayToDc1({ gateways: [closedPort] })
  await assert.rejects(way.call('Test.Ask'), {
    message:
      /^Remote DC has no server currently reachable: primary datacenter "dc1", mesh gateways tried: 127\.0\.0\.1:9, never reached \(cannot connect to "127\.0\.0\.1:9" .*refused\)$/,
  })
  way.close()
})

test('forward() fails at once while the way is shut, and a probe still tries', async () => {
  const clock = new ManualClock()
  const gateways = [closedPort]
  const way = wayToDc1({ gateways, clock })
  await assert.rejects(way.call('Test.Ask'), (error) => codeOf(error) === 'REMOTE_DC_UNREACHABLE')
  // The gateway is there now, but users' calls are not sent until the way has been seen open.
  way.link.locator.setPushed([
    CheckServiceNode.of({
      Service: NodeService.of({
        Meta: { 'consul-wan-federation': '1' },
        Address: '127.0.0.1',
        Port: server.address.port,
      }),
    }),
  ])
  await assert.rejects(way.call('Test.Ask'), (error) => codeOf(error) === 'REMOTE_DC_UNREACHABLE')
  await way.call('Status.Ping', 'dc1', true)
  assert.deepEqual(await way.call('Test.Ask'), encode(string, 'answer to Test.Ask'))
  way.close()
})

test('forward() with a certificate of another CA is diagnosed as such', async () => {
  const foreign = createCertificateAuthority()
  const way = wayToDc1({ gateways: [server.address.port], identity: identityOf(foreign, 'dc2') })
  await assert.rejects(way.call('Test.Ask'), /signed by another CA/)
  assert.equal(way.link.reachability.way('dc1')?.lastErrorCode, 'DIAL_UNKNOWN_CA')
  way.close()
})

test('datacenters() lists our own first, and none whose servers all left', () => {
  const left = wayToDc1({ gateways: [], members: [member('left')] })
  assert.deepEqual(left.router.datacenters(), ['dc2'])
  const failed = wayToDc1({ gateways: [], members: [member('failed')] })
  assert.deepEqual(failed.router.datacenters(), ['dc2', 'dc1'])
  left.close()
  failed.close()
})

test('a gateway of the federation state is used once the store holds it', async () => {
  const way = wayToDc1({ gateways: [] })
  await assert.rejects(way.call('Test.Ask'), /no mesh gateway known/)
  const gateway = CheckServiceNode.of({
    Service: NodeService.of({
      Kind: 'mesh-gateway',
      Meta: { 'consul-wan-federation': '1' },
      TaggedAddresses: { wan: { Address: '127.0.0.1', Port: server.address.port } },
    }),
  })
  way.link.locator.setStates([FederationState.of({ Datacenter: 'dc1', MeshGateways: [gateway] })])
  await way.call('Test.Ask', 'dc1', true)
  way.close()
})
