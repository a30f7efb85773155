/**
 * The parts of /v1/agent that no recorded exchange shows: log and metrics as streams and text, waiting on a hash.
 */
import assert from 'node:assert/strict'
import { get } from 'node:http'
import { after, before, test } from 'node:test'
import { LogSink, Metrics, seededRandom, silentLogger, systemClock } from '#base'
import { NodeService } from '#codec'
import type { AgentPort } from '../agent-port.ts'
import { ask, emptyAgent, type TwoDatacenters, twoDatacenters } from '../fixture.ts'
import type { HttpServer } from '../http/server.ts'
import { httpApi } from '../http-api.ts'

let federation: TwoDatacenters
const servers: HttpServer[] = []

before(async () => {
  federation = await twoDatacenters()
})

after(async () => {
  for (const server of servers) await server.close()
  await federation.close()
})

async function serve(agent: Partial<AgentPort>): Promise<number> {
  const base = { clock: systemClock, random: seededRandom(1), log: silentLogger, metrics: new Metrics() }
  const server = httpApi({ ...base, endpoints: federation.dc1.endpoints, agent: { ...emptyAgent(), ...agent } })
  servers.push(server)
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port
}

test('monitor sends lines of the level asked for until the caller leaves', async () => {
  const sink = new LogSink({ level: 'error', write: () => {} })
  let listeners = 0
  const left = Promise.withResolvers<void>()
  const port = await serve({
    monitor: (listener) => {
      listeners++
      const stop = sink.listen(listener)
      return () => {
        stop()
        listeners--
        left.resolve()
      }
    },
  })
  const text = await new Promise<string>((resolve, reject) => {
    const out = get({ host: '127.0.0.1', port, path: '/v1/agent/monitor?loglevel=warn', agent: false }, (response) => {
      const log = sink.logger('agent')
      log.debug('hidden')
      log.warn('shown', { a: 1 })
      response.once('data', (chunk: Buffer) => {
        resolve(chunk.toString())
        out.destroy()
      })
    })
    out.once('error', reject)
  })
  assert.match(text, /\[WARN\] {2}agent: shown: a=1\n$/)
  assert.doesNotMatch(text, /hidden/)
  await left.promise
  assert.equal(listeners, 0)
  assert.equal((await ask(port, 'GET', '/v1/agent/monitor?loglevel=zz')).body.toString(), 'Unknown log level: zz')
})

test('metrics are shown as JSON and, where a retention time is set, as Prometheus text', async () => {
  const metrics = new Metrics()
  metrics.gauge('consul.members', 3, { pool: 'lan' })
  metrics.count('consul.joins', 2)
  metrics.sample('consul.rpc', 4)
  metrics.sample('consul.rpc', 6)
  const port = await serve({ metrics, prometheusRetentionMs: 1000 })
  const json = JSON.parse((await ask(port, 'GET', '/v1/agent/metrics')).body.toString())
  assert.deepEqual(json.Gauges, [{ Name: 'consul.members', Value: 3, Labels: { pool: 'lan' } }])
  assert.equal(json.Counters[0].Sum, 2)
  assert.equal(json.Samples[0].Mean, 5)
  assert.ok(Math.abs(json.Samples[0].Stddev - Math.SQRT2) < 1e-9)
  const text = (await ask(port, 'GET', '/v1/agent/metrics?format=prometheus')).body.toString()
  assert.match(text, /# TYPE consul_members gauge\nconsul_members\{pool="lan"\} 3\n/)
  assert.match(text, /consul_rpc_sum 10\nconsul_rpc_count 2\n/)
})

test('agent/service/:id waits until its content is another, or the service is gone', async () => {
  let service: NodeService | undefined = NodeService.of({ ID: 'web', Service: 'web', Port: 1 })
  const callbacks = new Set<() => void>()
  const port = await serve({
    service: () => service,
    onServiceChange: (callback) => {
      callbacks.add(callback)
      return () => callbacks.delete(callback)
    },
  })
  const change = (next: NodeService | undefined) => {
    service = next
    for (const callback of [...callbacks]) callback()
  }
  const hashOf = async () => (await ask(port, 'GET', '/v1/agent/service/web')).headers['x-consul-contenthash']
  const parked = async () => {
    while (callbacks.size === 0) await new Promise(setImmediate)
  }
  const first = ask(port, 'GET', `/v1/agent/service/web?hash=${await hashOf()}&wait=60s`)
  await parked()
  change(NodeService.of({ ID: 'web', Service: 'web', Port: 2 }))
  assert.equal(JSON.parse((await first).body.toString()).Port, 2)
  const second = ask(port, 'GET', `/v1/agent/service/web?hash=${await hashOf()}&wait=60s`)
  await parked()
  change(undefined)
  const { status, body } = await second
  assert.equal(status, 404)
  assert.equal(body.toString(), 'unknown service ID: web')
  assert.equal(callbacks.size, 0)
})
