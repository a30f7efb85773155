/**
 * Federation states: written in the primary, stamped, deleted, and what each side shows of them.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CheckServiceNode, encode, FederationState, Node, NodeService, ZERO_TIME } from '#codec'
import { type Datacenter, type Federation, federation } from './fixture.ts'
import { federationState } from './index.ts'

let all: Federation
let dc1: Datacenter
let dc2: Datacenter
before(async () => {
  all = await federation(['dc1', 'dc2'])
  dc1 = all.of('dc1')
  dc2 = all.of('dc2')
})
after(() => all.close())

const apply = (where: Datacenter, Op: string, State: FederationState | null) =>
  where.endpoints.call(federationState.apply, federationState.apply.args.of({ Op, State }))
const list = (where: Datacenter) => where.endpoints.call(federationState.list, federationState.list.args.of())
const gateways = (where: Datacenter) =>
  where.endpoints.call(federationState.listMeshGateways, federationState.listMeshGateways.args.of())

const gateway = CheckServiceNode.of({
  Node: Node.of({ Node: 'g', Address: '192.0.2.9' }),
  Service: NodeService.of({ Kind: 'mesh-gateway', ID: 'gw', Service: 'mesh-gateway', Port: 8443 }),
})

test('FederationState.Apply from a secondary is stored in the primary, stamped where it had no time', async () => {
  assert.equal(await apply(dc2, 'upsert', FederationState.of({ Datacenter: 'dc2', MeshGateways: [gateway] })), true)
  const [state] = (await list(dc1)).States ?? []
  assert.equal(state?.Datacenter, 'dc2')
  assert.notEqual(state?.UpdatedAt, ZERO_TIME)
  assert.equal(state?.PrimaryModifyIndex, state?.ModifyIndex)
})

test('FederationState.ListMeshGateways shows datacenters that have some, in a secondary from its own copy', async () => {
  await apply(dc1, 'upsert', FederationState.of({ Datacenter: 'dc1' }))
  assert.deepEqual(Object.keys((await gateways(dc1)).DatacenterNodes ?? {}), ['dc2'])
  assert.deepEqual((await gateways(dc2)).DatacenterNodes, {})
  await dc2.state.write((tx) =>
    tx.putFederationState(FederationState.of({ Datacenter: 'dc2', MeshGateways: [gateway], PrimaryModifyIndex: 77 })),
  )
  assert.equal((await gateways(dc2)).DatacenterNodes?.dc2?.[0]?.Service?.Port, 8443)
  assert.equal((await list(dc2)).States?.[0]?.PrimaryModifyIndex, 77)
})

test('a secondary says that the primary cannot be reached and writes nothing of its own', async () => {
  all.silent.add('dc1')
  const before = dc2.state.index
  const state = FederationState.of({ Datacenter: 'dc2' })
  await assert.rejects(apply(dc2, 'upsert', state), { message: 'Remote DC has no server currently reachable' })
  assert.equal(dc2.state.index, before)
  assert.equal((await list(dc2)).States?.length, 1, 'reads go on')
  all.silent.delete('dc1')
})

test('a datacenter that is taken for the primary says who it is, instead of passing the call round', async () => {
  const shape = federationState.apply.args
  const args = shape.of({ Op: 'upsert', Datacenter: 'dc2', State: FederationState.of({ Datacenter: 'dc3' }) })
  await assert.rejects(dc2.endpoints.handle('FederationState.Apply', encode(shape, args), { remote: 'test' }), {
    message: 'Cannot run FederationState.Apply in "dc2": not the primary datacenter, which is "dc1"',
  })
})

test('FederationState.Apply deletes, and refuses what it does not know', async () => {
  assert.equal(await apply(dc1, 'delete', FederationState.of({ Datacenter: 'dc2' })), true)
  assert.deepEqual((await gateways(dc1)).DatacenterNodes, {})
  await assert.rejects(apply(dc1, 'merge', FederationState.of({ Datacenter: 'dc2' })), /operation "merge"/)
  await assert.rejects(apply(dc1, 'upsert', null), /Must provide a federation state/)
  await assert.rejects(apply(dc1, 'upsert', FederationState.of()), /Must provide a federation state/)
})
