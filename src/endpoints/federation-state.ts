/**
 * FederationState.*: which mesh gateways each datacenter has. Written in the primary only; every secondary has a copy,
 * so reads are answered from the tables here also while the primary is away.
 *
 * Source: federation wire notes §5.
 */
import {
  bool,
  DatacenterIndexedCheckServiceNodes,
  DCSpecificRequest,
  type FederationState,
  FederationStateQuery,
  FederationStateRequest,
  FederationStateResponse,
  IndexedFederationStates,
  ZERO_TIME,
} from '#codec'
import { endpointError } from './errors.ts'
import { type ReadContext, readOperation, writeOperation } from './operation.ts'
import { keep, type Rights } from './rights.ts'
import { seesCheckedInstance } from './visible.ts'

/** Writes or deletes one datacenter's state, in the primary. */
export const apply = writeOperation({
  name: 'FederationState.Apply',
  args: FederationStateRequest,
  reply: bool,
  scope: 'primary',
  authorize: (_, rights) => rights.need(rights.allows.operatorWrite(), 'operator:write'),
  async run(context, { Op, State }) {
    if (State === null || State.Datacenter === '') throw invalid('Must provide a federation state with a datacenter')
    if (Op === 'delete') {
      await context.state.write((tx) => tx.deleteFederationState(State.Datacenter))
      return true
    }
    if (Op !== 'upsert') throw invalid(`Invalid federation state operation "${Op}"`)
    const UpdatedAt = State.UpdatedAt === ZERO_TIME ? new Date(context.clock.wallMs()).toISOString() : State.UpdatedAt
    await context.state.write((tx) => tx.putFederationState({ ...State, UpdatedAt, PrimaryModifyIndex: 0 }))
    return true
  },
})

function needsOperatorRead(rights: Rights): void {
  rights.need(rights.allows.operatorRead(), 'operator:read')
}

function invalid(text: string): Error {
  return endpointError('INVALID_REQUEST', { text })
}

/** One datacenter's state. On the wire `Datacenter` says whose, `TargetDatacenter` who is asked. */
export const get = readOperation({
  name: 'FederationState.Get',
  args: FederationStateQuery,
  reply: FederationStateResponse,
  scope: 'datacenter',
  route: {
    get: (args) => args.TargetDatacenter,
    with: (args, TargetDatacenter) => ({ ...args, TargetDatacenter }),
  },
  authorize: (_, rights) => needsOperatorRead(rights),
  query(tx, args, context) {
    const state = tx.federationStates.get(args.Datacenter)
    return FederationStateResponse.of({ State: state === undefined ? null : asSeenHere(state, context) })
  },
})

/** All states; what a secondary's replication follows. */
export const list = readOperation({
  name: 'FederationState.List',
  args: DCSpecificRequest,
  reply: IndexedFederationStates,
  scope: 'datacenter',
  authorize: (_, rights) => needsOperatorRead(rights),
  query(tx, _args, context) {
    const States = tx.federationStates.all().map((state) => asSeenHere(state, context))
    return IndexedFederationStates.of({ States })
  },
})

/** The mesh gateways of every datacenter that has some. */
export const listMeshGateways = readOperation({
  name: 'FederationState.ListMeshGateways',
  args: DCSpecificRequest,
  reply: DatacenterIndexedCheckServiceNodes,
  scope: 'datacenter',
  query(tx) {
    const having = tx.federationStates
      .all()
      .filter(({ MeshGateways }) => MeshGateways !== null && MeshGateways.length > 0)
    const DatacenterNodes = Object.fromEntries(having.map((state) => [state.Datacenter, state.MeshGateways]))
    return DatacenterIndexedCheckServiceNodes.of({ DatacenterNodes })
  },
  filter(reply, rights) {
    let filtered = false
    const entries = Object.entries(reply.DatacenterNodes ?? {}).flatMap(([datacenter, gateways]) => {
      const seen = keep(gateways, (gateway) => seesCheckedInstance(rights, gateway))
      filtered ||= seen.filtered
      return seen.items === null || seen.items.length === 0 ? [] : [[datacenter, seen.items] as const]
    })
    return { reply: { ...reply, DatacenterNodes: Object.fromEntries(entries) }, filtered }
  },
})

/** In the primary the primary's index is the state's own, which only its commit knows. */
function asSeenHere(state: FederationState, { datacenter, primaryDatacenter }: ReadContext): FederationState {
  return datacenter === primaryDatacenter ? { ...state, PrimaryModifyIndex: state.ModifyIndex } : state
}
