/**
 * What a service's proxy is told by defaults, against recorded answers and the order of strength in the documentation.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decode, PeeredServiceName, ServiceConfigRequest, ServiceConfigResponse } from '#codec'
import { EntrySet, entryFromValue, resolveServiceConfig, storedEntry } from './index.ts'

interface Call {
  readonly method: string
  readonly request_body_hex: string
  readonly response_body_hex: string
}
const recorded: { captured: Call[]; hand_made: Call[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/rpc-cross-dc-2.json', import.meta.url), 'utf8'),
)

const entries = (...bodies: object[]) => new EntrySet(bodies.map((body) => storedEntry(entryFromValue(body))))

test('resolveServiceConfig() gives the recorded answers: nothing, own defaults, defaults for all', () => {
  const before = [
    entries(),
    entries({ Kind: 'service-defaults', Name: 'web', Protocol: 'http', Meta: { owner: 'a' } }),
    entries({ Kind: 'service-defaults', Name: 'api', Protocol: 'http' }),
  ]
  const calls = [...recorded.captured, ...recorded.hand_made].filter(
    ({ method }) => method === 'ConfigEntry.ResolveServiceConfig',
  )
  assert.equal(calls.length, 3)
  for (const [index, call] of calls.entries()) {
    const question = decode(ServiceConfigRequest, Buffer.from(call.request_body_hex, 'hex'))
    const answer = decode(ServiceConfigResponse, Buffer.from(call.response_body_hex, 'hex'))
    const resolved = resolveServiceConfig(before[index]!, {
      service: question.Name,
      mode: question.Mode,
      meshGatewayMode: question.MeshGateway.Mode,
      upstreams: question.UpstreamServiceNames ?? [],
    })
    assert.deepEqual({ ...resolved, Index: answer.Index, KnownLeader: true }, answer)
  }
})

const upstream = (name: string) => PeeredServiceName.of({ ServiceName: { Name: name } })
const everyone = {
  Kind: 'proxy-defaults',
  Name: 'global',
  Config: { protocol: 'http', local_connect_timeout_ms: 1000, own: 'kept' },
  MeshGateway: { Mode: 'local' },
  Expose: { Checks: true },
  AccessLogs: { Enabled: true },
}
const web = {
  Kind: 'service-defaults',
  Name: 'web',
  Protocol: 'grpc',
  LocalConnectTimeoutMs: 300,
  MaxInboundConnections: 9,
  MeshGateway: { Mode: 'remote' },
  Meta: { a: 'b' },
  UpstreamConfig: {
    Defaults: { ConnectTimeoutMs: 100, Limits: { MaxConnections: 3 } },
    Overrides: [{ Name: 'db', ConnectTimeoutMs: 200, Protocol: 'tcp', MeshGateway: { Mode: 'none' } }],
  },
}

test('a service\u2019s own defaults are stronger than those for all, key by key', () => {
  const resolved = resolveServiceConfig(entries(everyone, web), {
    service: 'web',
    mode: '',
    meshGatewayMode: '',
    upstreams: [],
  })
  assert.deepEqual(resolved.ProxyConfig, {
    protocol: 'grpc',
    local_connect_timeout_ms: 300n,
    own: 'kept',
    max_inbound_connections: 9n,
  })
  assert.equal(resolved.MeshGateway.Mode, 'remote')
  assert.deepEqual([resolved.Expose.Checks, resolved.AccessLogs.Enabled, resolved.Meta], [true, true, { a: 'b' }])
  assert.equal(resolved.UpstreamConfigs, null)
})

test('for an upstream: what is said about it, then about all upstreams, then its own protocol', () => {
  const resolved = resolveServiceConfig(entries(everyone, web), {
    service: 'web',
    mode: '',
    meshGatewayMode: '',
    upstreams: [upstream('db'), upstream('other')],
  })
  assert.deepEqual(
    resolved.UpstreamConfigs?.map(({ Upstream, Config }) => [Upstream.ServiceName.Name, Config]),
    [
      [
        'db',
        { protocol: 'tcp', mesh_gateway: { Mode: 'none' }, connect_timeout_ms: 200n, limits: { MaxConnections: 3n } },
      ],
      [
        'other',
        {
          protocol: 'http',
          mesh_gateway: { Mode: 'remote' },
          connect_timeout_ms: 100n,
          limits: { MaxConnections: 3n },
        },
      ],
    ],
  )
})

test('a transparent proxy is told about upstreams that it did not name', () => {
  const resolved = resolveServiceConfig(entries(web), {
    service: 'web',
    mode: 'transparent',
    meshGatewayMode: 'local',
    upstreams: [],
  })
  assert.deepEqual(
    resolved.UpstreamConfigs?.map(({ Upstream }) => Upstream.ServiceName.Name),
    ['db', '*'],
  )
})
