/**
 * The mesh gateway with a source that fails, recovers and hangs.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { ManualClock } from '#base'
import { MeshGateway } from './mesh-gateway.ts'
import type { GatewaySnapshot } from './routes.ts'

const server = createServer((socket: Socket) => socket.on('error', () => {}).on('data', () => socket.destroy()))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
after(() => server.close())

const snapshot: GatewaySnapshot = {
  datacenter: 'dc1',
  domain: 'consul',
  localServers: [{ node: 's1', address: '127.0.0.1', port: (server.address() as AddressInfo).port }],
  localServices: [],
  remoteGateways: new Map(),
}

async function knock(gateway: MeshGateway): Promise<void> {
  const socket = connectTls({ ...gateway.gateway.address, servername: 's1.server.dc1.consul' })
  socket.on('error', () => {})
  await once(socket, 'close').catch(() => {})
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('MeshGateway keeps the last good routes while its source fails, and asks it again', async () => {
  const clock = new ManualClock()
  let asked = 0
  const gateway = new MeshGateway({
    host: '127.0.0.1',
    port: 0,
    clock,
    source: async function* () {
      asked++
      if (asked === 1) throw new Error('server is starting')
      yield snapshot
      if (asked === 2) throw new Error('server went away')
      await new Promise(() => {})
    },
  })
  await gateway.start()
  await turn()
  assert.deepEqual(gateway.status, { ready: false, sourceError: 'server is starting', updates: 0 })
  await knock(gateway)
  assert.equal(gateway.gateway.counters.size, 0)
  clock.advance(250)
  await turn()
  assert.deepEqual(gateway.status, { ready: true, sourceError: 'server went away', updates: 1 })
  await knock(gateway)
  assert.equal(gateway.gateway.counters.get('s1.server.dc1.consul')?.connections, 1)
  clock.advance(10_000)
  await turn()
  assert.deepEqual(gateway.status, { ready: true, sourceError: undefined, updates: 2 })
  assert.equal(asked, 3)
  await gateway.close()
})

test('MeshGateway.close() stops following and listening', async () => {
  const signals: AbortSignal[] = []
  const gateway = new MeshGateway({
    host: '127.0.0.1',
    port: 0,
    source: async function* (signal) {
      signals.push(signal)
      yield snapshot
      await once(signal, 'abort')
    },
  })
  await gateway.start()
  await turn()
  assert.equal(gateway.status.ready, true)
  await gateway.close()
  assert.equal(signals[0]?.aborted, true)
})
