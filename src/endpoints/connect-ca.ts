/**
 * ConnectCA.*: the federation's roots, and what this datacenter's authority signs.
 *
 * Roots are read from the tables, so they are there while the primary is away. The authority itself is behind a port:
 * what it signs depends on keys and time, not on tables alone.
 *
 * Source: federation wire notes §9, RPC wire notes §10.
 */
import { csrIdentity } from '#ca'
import {
  any,
  CAConfiguration,
  CARequest,
  CARoot,
  CASignRequest,
  DCSpecificRequest,
  IndexedCARoots,
  IssuedCert,
  string,
} from '#codec'
import { endpointError } from './errors.ts'
import { type CallContext, callOperation, readOperation, writeOperation } from './operation.ts'
import type { CAPort } from './ports.ts'
import type { Rights } from './rights.ts'

function needsOperatorWrite(rights: Rights): void {
  rights.need(rights.allows.operatorWrite(), 'operator:write')
}

/** @throws CONNECT_DISABLED */
function portOf({ ports }: CallContext): CAPort {
  if (!ports.ca) throw endpointError('CONNECT_DISABLED', {})
  return ports.ca
}

/** Trust anchors of the whole federation; empty until they are known here. */
export const roots = readOperation({
  name: 'ConnectCA.Roots',
  args: DCSpecificRequest,
  reply: IndexedCARoots,
  scope: 'datacenter',
  anyone: 'whoever verifies a certificate needs them, and they hold nothing secret',
  query(tx) {
    const stored = tx.caRoots()
    if (!stored) return IndexedCARoots.of()
    const { CreateIndex, ModifyIndex } = stored
    const Roots = (stored.Roots ?? []).map((root) => CARoot.of({ ...root, CreateIndex, ModifyIndex }))
    return IndexedCARoots.of({
      ActiveRootID: Roots.find((root) => root.Active)?.ID ?? '',
      TrustDomain: stored.ClusterID === '' ? '' : `${stored.ClusterID}.consul`,
      Roots,
    })
  },
})

export const configurationGet = callOperation({
  name: 'ConnectCA.ConfigurationGet',
  args: DCSpecificRequest,
  reply: CAConfiguration,
  scope: 'datacenter',
  // Recorded: reading it needs the right to write.
  authorize: (_, rights) => needsOperatorWrite(rights),
  async run(context) {
    portOf(context)
    const stored = context.state.read((tx) => tx.caRoots()).value
    if (!stored) return CAConfiguration.of()
    const { ClusterID, Configuration, CreateIndex, ModifyIndex } = stored
    return CAConfiguration.of({ ...Configuration, ClusterID, CreateIndex, ModifyIndex })
  },
})

/** Changes the configuration of the datacenter asked; another kind of key makes a new root or intermediate. */
export const configurationSet = writeOperation({
  name: 'ConnectCA.ConfigurationSet',
  args: CARequest,
  reply: any,
  scope: 'datacenter',
  authorize: (_, rights) => needsOperatorWrite(rights),
  async run(context, { Config }) {
    if (Config === null) throw endpointError('INVALID_REQUEST', { text: 'Must provide a CA configuration' })
    await portOf(context).configure(Config)
    return null
  },
})

/** Signs a leaf of this datacenter for whoever may have its name. */
export const sign = callOperation({
  name: 'ConnectCA.Sign',
  args: CASignRequest,
  reply: IssuedCert,
  scope: 'datacenter',
  authorize({ CSR }, rights) {
    const { id } = csrIdentity(CSR)
    const { allows } = rights
    if (id.kind === 'service') rights.need(allows.serviceWrite(id.service), 'service:write', id.service)
    else if (id.kind === 'agent') rights.need(allows.nodeWrite(id.node), 'node:write', id.node)
    else if (id.kind === 'mesh-gateway') rights.need(allows.meshWrite(), 'mesh:write')
    else needsOperatorWrite(rights)
  },
  run: (context, { CSR }) => portOf(context).sign(CSR),
})

/** Signs the intermediate of a secondary; only the primary does. */
export const signIntermediate = callOperation({
  name: 'ConnectCA.SignIntermediate',
  args: CASignRequest,
  reply: string,
  scope: 'datacenter',
  authorize: (_, rights) => needsOperatorWrite(rights),
  run: (context, { CSR }) => portOf(context).signIntermediate(CSR),
})
