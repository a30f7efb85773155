/**
 * The shapes against recorded bodies: each is decoded by its schema and encoded again to the same bytes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as codec from './index.ts'
import { encode, type Kind, MsgpackReader, MsgpackWriter, writeValue } from './index.ts'

interface Call {
  readonly method: string
  readonly request_body_hex: string
  readonly response_body_hex: string
  readonly response_header: { readonly Error: string }
}

/** Method → its argument's and reply's schema. */
const SHAPES: Record<string, readonly [Kind<unknown>, Kind<unknown>]> = {
  'ACL.AuthMethodDelete': [codec.ACLAuthMethodDeleteRequest, codec.bool],
  'ACL.AuthMethodList': [codec.ACLAuthMethodListRequest, codec.ACLAuthMethodListResponse],
  'ACL.AuthMethodRead': [codec.ACLAuthMethodGetRequest, codec.ACLAuthMethodResponse],
  'ACL.AuthMethodSet': [codec.ACLAuthMethodSetRequest, codec.ACLAuthMethod],
  'ACL.Authorize': [codec.RemoteACLAuthorizationRequest, codec.list(codec.ACLAuthorizationResponse)],
  'ACL.BindingRuleDelete': [codec.ACLBindingRuleDeleteRequest, codec.bool],
  'ACL.BindingRuleList': [codec.ACLBindingRuleListRequest, codec.ACLBindingRuleListResponse],
  'ACL.BindingRuleRead': [codec.ACLBindingRuleGetRequest, codec.ACLBindingRuleResponse],
  'ACL.BindingRuleSet': [codec.ACLBindingRuleSetRequest, codec.ACLBindingRule],
  'ACL.BootstrapTokens': [codec.ACLInitialTokenBootstrapRequest, codec.ACLToken],
  'ACL.Login': [codec.ACLLoginRequest, codec.ACLToken],
  'ACL.Logout': [codec.ACLLogoutRequest, codec.bool],
  'ACL.PolicyBatchRead': [codec.ACLPolicyBatchGetRequest, codec.ACLPolicyBatchResponse],
  'ACL.PolicyDelete': [codec.ACLPolicyDeleteRequest, codec.string],
  'ACL.PolicyList': [codec.ACLPolicyListRequest, codec.ACLPolicyListResponse],
  'ACL.PolicyRead': [codec.ACLPolicyGetRequest, codec.ACLPolicyResponse],
  'ACL.PolicyResolve': [codec.ACLPolicyBatchGetRequest, codec.ACLPolicyBatchResponse],
  'ACL.PolicySet': [codec.ACLPolicySetRequest, codec.ACLPolicy],
  'ACL.ReplicationStatus': [codec.DCSpecificRequest, codec.ACLReplicationStatus],
  'ACL.RoleBatchRead': [codec.ACLRoleBatchGetRequest, codec.ACLRoleListResponse],
  'ACL.RoleDelete': [codec.ACLRoleDeleteRequest, codec.string],
  'ACL.RoleList': [codec.ACLRoleListRequest, codec.ACLRoleListResponse],
  'ACL.RoleRead': [codec.ACLRoleGetRequest, codec.ACLRoleResponse],
  'ACL.RoleResolve': [codec.ACLRoleBatchGetRequest, codec.ACLRoleListResponse],
  'ACL.RoleSet': [codec.ACLRoleSetRequest, codec.ACLRole],
  'ACL.TokenBatchRead': [codec.ACLTokenBatchGetRequest, codec.ACLTokenBatchResponse],
  'ACL.TokenDelete': [codec.ACLTokenDeleteRequest, codec.string],
  'ACL.TokenList': [codec.ACLTokenListRequest, codec.ACLTokenListResponse],
  'ACL.TokenRead': [codec.ACLTokenGetRequest, codec.ACLTokenResponse],
  'ACL.TokenSet': [codec.ACLTokenSetRequest, codec.ACLToken],
  'Catalog.ListNodes': [codec.DCSpecificRequest, codec.IndexedNodes],
  'Catalog.ListServices': [codec.DCSpecificRequest, codec.IndexedServices],
  'Catalog.ServiceNodes': [codec.ServiceSpecificRequest, codec.IndexedServiceNodes],
  'Catalog.NodeServices': [codec.NodeSpecificRequest, codec.IndexedNodeServices],
  'Catalog.NodeServiceList': [codec.NodeSpecificRequest, codec.IndexedNodeServiceList],
  'Catalog.Register': [codec.RegisterRequest, codec.Empty],
  'Catalog.Deregister': [codec.DeregisterRequest, codec.Empty],
  'Catalog.ListDatacenters': [codec.DatacentersRequest, codec.list(codec.string)],
  'Catalog.ServiceList': [codec.DCSpecificRequest, codec.IndexedServiceList],
  'Catalog.GatewayServices': [codec.ServiceSpecificRequest, codec.IndexedGatewayServices],
  'Health.ServiceNodes': [codec.ServiceSpecificRequest, codec.IndexedCheckServiceNodes],
  'Health.ServiceChecks': [codec.ServiceSpecificRequest, codec.IndexedHealthChecks],
  'Health.NodeChecks': [codec.NodeSpecificRequest, codec.IndexedHealthChecks],
  'Health.ChecksInState': [codec.ChecksInStateRequest, codec.IndexedHealthChecks],
  'KVS.Apply': [codec.KVSRequest, codec.bool],
  'Session.Apply': [codec.SessionRequest, codec.string],
  'Session.Get': [codec.SessionSpecificRequest, codec.IndexedSessions],
  'Session.List': [codec.SessionSpecificRequest, codec.IndexedSessions],
  'Session.NodeSessions': [codec.NodeSpecificRequest, codec.IndexedSessions],
  'Session.Renew': [codec.SessionSpecificRequest, codec.IndexedSessions],
  'Txn.Apply': [codec.TxnRequest, codec.TxnResponse],
  'Txn.Read': [codec.TxnReadRequest, codec.TxnReadResponse],
  'KVS.Get': [codec.KeyRequest, codec.IndexedDirEntries],
  'KVS.List': [codec.KeyRequest, codec.IndexedDirEntries],
  'KVS.ListKeys': [codec.KeyListRequest, codec.IndexedKeyList],
  'Coordinate.ListNodes': [codec.DCSpecificRequest, codec.IndexedCoordinates],
  'Coordinate.Node': [codec.NodeSpecificRequest, codec.IndexedCoordinates],
  'Coordinate.Update': [codec.CoordinateUpdateRequest, codec.Empty],
  'FederationState.Apply': [codec.FederationStateRequest, codec.bool],
  'FederationState.Get': [codec.FederationStateQuery, codec.FederationStateResponse],
  'FederationState.List': [codec.DCSpecificRequest, codec.IndexedFederationStates],
  'FederationState.ListMeshGateways': [codec.DCSpecificRequest, codec.DatacenterIndexedCheckServiceNodes],
  'Internal.ServiceDump': [codec.ServiceDumpRequest, codec.IndexedNodesWithGateways],
  'Internal.NodeDump': [codec.DCSpecificRequest, codec.IndexedNodeDump],
  'Internal.NodeInfo': [codec.NodeSpecificRequest, codec.IndexedNodeDump],
  'Internal.KeyringOperation': [codec.KeyringRequest, codec.KeyringResponses],
  'Internal.EventFire': [codec.EventFireRequest, codec.QueryMeta],
  'Internal.CatalogOverview': [codec.DCSpecificRequest, codec.CatalogSummary],
  'Status.Leader': [codec.DCSpecificRequest, codec.string],
  'Status.Peers': [codec.DCSpecificRequest, codec.list(codec.string)],
}

function vector<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../test/vectors/${name}`, import.meta.url), 'utf8'))
}

/** Go writes the keys of its maps in any order; this is the same value with all keys sorted, as we write them. */
function sorted(encoded: Buffer): Buffer {
  const writer = new MsgpackWriter()
  writeFloatsAsRead(writer, new MsgpackReader(encoded))
  return writer.finish()
}

function writeFloatsAsRead(writer: MsgpackWriter, reader: MsgpackReader): void {
  const code = reader.peek()
  if ((code >= 0x80 && code <= 0x8f) || code === 0xde || code === 0xdf) {
    const entries = new Map<string, Buffer>()
    const count = reader.mapHeader()
    for (let i = 0; i < count; i++) {
      const key = reader.string()
      const value = new MsgpackWriter()
      writeFloatsAsRead(value, reader)
      entries.set(key, value.finish())
    }
    writer.mapHeader(count)
    for (const key of [...entries.keys()].sort()) {
      writer.string(key)
      writer.append(entries.get(key) ?? Buffer.alloc(0))
    }
  } else if ((code >= 0x90 && code <= 0x9f) || code === 0xdc || code === 0xdd) {
    const count = reader.arrayHeader()
    writer.arrayHeader(count)
    for (let i = 0; i < count; i++) writeFloatsAsRead(writer, reader)
  } else {
    const start = reader.offset
    reader.skip()
    writer.append(utc(reader.buffer.subarray(start, reader.offset)))
  }
}

/** A peer whose local zone is +00:00 writes that zone into its times (0); we write UTC (-1): the same instant. */
function utc(scalar: Buffer): Buffer {
  const isTime = scalar.length === 16 && scalar[0] === 0xaf && scalar[1] === 1
  return isTime && scalar.readInt16BE(14) === 0 ? Buffer.concat([scalar.subarray(0, 14), Buffer.of(255, 255)]) : scalar
}

function assertSame(kind: Kind<unknown>, hex: string, what: string): void {
  const recorded = Buffer.from(hex, 'hex')
  const value = codec.decode(kind, recorded)
  assert.equal(encode(kind, value).toString('hex'), sorted(recorded).toString('hex'), what)
}

const calls = vector<{ calls: Call[] }>('rpc-cross-dc.json').calls
const second = vector<{ captured: Call[]; hand_made: Call[] }>('rpc-cross-dc-2.json')

test('every recorded request of the acl, catalog, health, kv, coordinate and federation methods encodes to its bytes', () => {
  let checked = 0
  for (const call of [...calls, ...second.captured, ...second.hand_made]) {
    const shapes = SHAPES[call.method]
    if (!shapes) continue
    const handMade = second.hand_made.includes(call)
    if (!handMade) assertSame(shapes[0], call.request_body_hex, `${call.method} request`)
    if (call.response_header?.Error === '') assertSame(shapes[1], call.response_body_hex, `${call.method} response`)
    checked++
  }
  assert.ok(checked >= 80, `only ${checked} calls were checked`)
})

test('writeValue() encodes plain values as the recorded dialect does', () => {
  const { vectors } = vector<{ vectors: { name: string; hex: string }[] }>('msgpack.json')
  let checked = 0
  for (const { name, hex } of vectors) {
    const encoded = Buffer.from(hex, 'hex')
    const reader = new MsgpackReader(encoded)
    reader.skip()
    assert.equal(reader.offset, encoded.length, `${name}: skip() ends at the end`)
    if (/float|time/.test(name)) continue
    const writer = new MsgpackWriter()
    writeValue(writer, new MsgpackReader(encoded).value())
    assert.equal(writer.finish().toString('hex'), sorted(encoded).toString('hex'), name)
    checked++
  }
  assert.ok(checked > 25)
})

test('a reader fed damaged messages throws its own errors only', () => {
  const bodies = calls.map((call) => Buffer.from(call.response_body_hex, 'hex'))
  let seed = 7
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return seed % below
  }
  for (let round = 0; round < 1500; round++) {
    const call = calls[next(calls.length)]!
    const kind = SHAPES[call.method]?.[1] ?? codec.any
    const damaged = Buffer.from(bodies[calls.indexOf(call)]!.subarray(0, 1 + next(4000)))
    for (let hits = next(4); hits >= 0; hits--) damaged[next(damaged.length)] = next(256)
    try {
      codec.decode(kind, damaged)
    } catch (error) {
      assert.match(String(error instanceof Error && 'code' in error && error.code), /^MSGPACK_/, String(error))
    }
  }
})
