/**
 * The order of attempts: splits by weight, failover in order, never an unhealthy endpoint.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base'
import {
  type ClusterSnapshot,
  dialPlan,
  type EndpointSnapshot,
  ProxySnapshot,
  type TargetSnapshot,
  type UpstreamSnapshot,
} from './index.ts'

const endpoint = (Port: number, Weight = 1, Healthy = true): EndpointSnapshot => ({
  Address: '10.0.0.1',
  Port,
  Healthy,
  Weight,
})
const target = (TargetID: string, ...Endpoints: EndpointSnapshot[]): TargetSnapshot => ({
  Name: TargetID,
  TargetID,
  Datacenter: 'dc1',
  SNI: TargetID,
  SpiffeIDs: [],
  Gateway: 'none',
  ConnectTimeoutMs: 5000,
  Endpoints,
})
const cluster = (Name: string, ...Targets: TargetSnapshot[]): ClusterSnapshot => ({
  Name,
  ConnectTimeoutMs: 5000,
  Targets,
})

function snapshot(splits: Record<string, number>, ...Clusters: ClusterSnapshot[]): [ProxySnapshot, UpstreamSnapshot] {
  const Splits = Object.entries(splits).map(([Cluster, Weight]) => ({ Cluster, Weight }))
  const base = ProxySnapshot.of({ Clusters })
  const blank = ProxySnapshot.fromJson({ Upstreams: [{}] }, '', { unknownKeys: 'refuse' }).Upstreams[0]!
  const upstream = { ...blank, Splits }
  return [{ ...base, Upstreams: [upstream] }, upstream]
}

const ids = (plan: ReturnType<typeof dialPlan>) =>
  plan.map(({ target: { TargetID }, endpoint: { Port } }) => `${TargetID}:${Port}`)

test('dialPlan() goes on to the next target of the failover, and never to an unhealthy endpoint', () => {
  const [all, upstream] = snapshot(
    { web: 100 },
    cluster('web', target('dc1', endpoint(1, 1, false)), target('dc2', endpoint(2)), target('dc3', endpoint(3))),
  )
  assert.deepEqual(ids(dialPlan(all, upstream, seededRandom(1))), ['dc2:2', 'dc3:3'])
  const [none, nowhere] = snapshot({ web: 100 }, cluster('web', target('dc1', endpoint(1, 1, false))))
  assert.deepEqual(dialPlan(none, nowhere, seededRandom(1)), [])
  assert.deepEqual(dialPlan(none, { ...nowhere, Splits: [] }, seededRandom(1)), [])
})

test('dialPlan() tries at most three endpoints of a target, each once', () => {
  const endpoints = Array.from({ length: 50 }, (_, i) => endpoint(i + 1))
  const [all, upstream] = snapshot(
    { web: 100 },
    cluster('web', target('dc1', ...endpoints), target('dc2', endpoint(99))),
  )
  const plan = ids(dialPlan(all, upstream, seededRandom(3)))
  assert.equal(plan.length, 4)
  assert.equal(new Set(plan).size, 4)
  assert.equal(plan.at(-1), 'dc2:99')
})

test('dialPlan() follows the weights of splits and of endpoints', () => {
  const [all, upstream] = snapshot(
    { v1: 90, v2: 10 },
    cluster('v1', target('v1', endpoint(1, 9), endpoint(2, 1))),
    cluster('v2', target('v2', endpoint(3))),
  )
  const random = seededRandom(7)
  const counts = new Map<string, number>()
  for (let i = 0; i < 5000; i++) {
    const first = ids(dialPlan(all, upstream, random))[0]!
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  const share = (id: string) => Math.round(((counts.get(id) ?? 0) / 5000) * 100)
  assert.ok(Math.abs(share('v1:1') - 81) <= 3 && Math.abs(share('v1:2') - 9) <= 3 && Math.abs(share('v2:3') - 10) <= 3)
})
