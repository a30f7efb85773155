/**
 * Catalog.Register and Catalog.Deregister: what may come into the catalog, and in what form.
 *
 * Everything is checked before anything is written, and one registration is one transaction.
 */
import { DeregisterRequest, Empty, type HealthCheck, Node, type NodeService, RegisterRequest, Weights } from '#codec'
import type { WriteTx } from '#state'
import { endpointError } from './errors.ts'
import { writeOperation } from './operation.ts'
import type { Look, Rights } from './rights.ts'

/** The check that says whether a node's agent is alive; what has it cannot be renamed over. */
const SERF_HEALTH = 'serfHealth'
/** More would not fit one transaction. */
const MAX_CHECKS_PER_REQUEST = 60

function invalid(text: string): Error {
  return endpointError('INVALID_REQUEST', { text })
}

/** Brings a node, a service on it and checks of both into the catalog; what is there already stays as it is. */
export const register = writeOperation({
  name: 'Catalog.Register',
  args: RegisterRequest,
  reply: Empty,
  scope: 'datacenter',
  authorize: (args, rights, { look }) => authorizeRegister(args, rights, look),
  async run(context, args) {
    checkNode(args)
    const service = args.Service === null ? undefined : completeService(args.Service)
    const checks = completeChecks(args)
    await context.state.write((tx) => {
      const name = writeNode(tx, args, context.datacenter)
      if (service !== undefined) tx.putService(name, service)
      for (const check of checks) tx.putCheck({ ...check, Node: name })
    })
    return Empty.of()
  },
})

/**
 * A service needs `service:write` on its name, and on the name that its ID had before; a node `node:write` where the
 * request would change it, and for checks of its own.
 */
function authorizeRegister(args: RegisterRequest, rights: Rights, look: Look): void {
  const { allows } = rights
  const needService = (name: string) => rights.need(allows.serviceWrite(name), 'service:write', name)
  const known = look((tx) => ({
    node: tx.nodes.get(args.Node),
    service: args.Service === null ? undefined : tx.services.get(args.Node, args.Service.ID || args.Service.Service),
    named: (args.Checks ?? [])
      .concat(args.Check ?? [])
      .map((check) => (check.ServiceID === '' ? undefined : tx.services.get(args.Node, check.ServiceID)?.Service)),
  }))
  if (args.Service !== null) {
    needService(args.Service.Service)
    if (known.service !== undefined && known.service.Service !== args.Service.Service)
      needService(known.service.Service)
  }
  const needNode = () => rights.need(allows.nodeWrite(args.Node), 'node:write', args.Node)
  if (changesNode(args, known.node)) needNode()
  for (const [index, check] of (args.Checks ?? []).concat(args.Check ?? []).entries()) {
    if (check.ServiceID === '') needNode()
    else {
      const ours = args.Service !== null && (args.Service.ID || args.Service.Service) === check.ServiceID
      needService(ours ? (args.Service?.Service ?? '') : (known.named[index] ?? check.ServiceName))
    }
  }
}

/** Whether a registration says anything new of its node. */
function changesNode(args: RegisterRequest, known: Node | undefined): boolean {
  if (known === undefined) return true
  if (args.SkipNodeUpdate) return false
  const said = JSON.stringify([args.Address, args.TaggedAddresses, args.NodeMeta, args.ID.toLowerCase() || known.ID])
  return said !== JSON.stringify([known.Address, known.TaggedAddresses, known.Meta, known.ID])
}

export function checkNode(args: RegisterRequest): void {
  if (args.Node === '') throw invalid('Must provide node')
  if (args.Address === '' && !args.SkipNodeUpdate) throw invalid('Must provide address if SkipNodeUpdate is not set')
  if (args.ID !== '') checkNodeId(args.ID)
}

const UUID_LENGTH = 36

function checkNodeId(id: string): void {
  if (id.length !== UUID_LENGTH) throw invalid('Bad node ID: uuid string is wrong length')
  if (!/^[^-]{8}-[^-]{4}-[^-]{4}-[^-]{4}-[^-]{12}$/.test(id)) throw invalid('Bad node ID: uuid is improperly formatted')
  const bad = /[^0-9a-fA-F-]/u.exec(id)?.[0]
  if (bad !== undefined) throw invalid(`Bad node ID: encoding/hex: invalid byte: ${runeName(bad)}`)
}

/** As Go prints a rune: U+007A 'z'. */
function runeName(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')} '${character}'`
}

export function completeService(service: NodeService): NodeService {
  if (service.Service === '') {
    throw invalid('Must provide service name (Service.Service) when service ID is provided')
  }
  if (service.Kind === 'connect-proxy' && service.Proxy.DestinationServiceName === '') {
    throw invalid('Proxy.DestinationServiceName must be non-empty for Connect proxy services')
  }
  const weights = service.Weights
  if (weights !== null && (weights.Passing < 0 || weights.Warning < 0)) {
    throw invalid(`Invalid weight definition for service "${service.Service}": weights must not be negative`)
  }
  return {
    ...service,
    ID: service.ID === '' ? service.Service : service.ID,
    Weights: weights ?? Weights.of({ Passing: 1, Warning: 1 }),
  }
}

function completeChecks(args: RegisterRequest): readonly HealthCheck[] {
  const given = args.Check === null ? (args.Checks ?? []) : [...(args.Checks ?? []), args.Check]
  if (given.length > MAX_CHECKS_PER_REQUEST) {
    throw invalid(
      `Cannot register node "${args.Node}": ${given.length} checks are given and the limit is ${MAX_CHECKS_PER_REQUEST}`,
    )
  }
  return given.map((check) => completeCheck(check, args.Node))
}

export function completeCheck(check: HealthCheck, node: string): HealthCheck {
  const CheckID = check.CheckID === '' ? check.Name : check.CheckID
  if (CheckID === '') throw invalid(`Cannot register check of node "${node}": it has neither CheckID nor Name`)
  if (check.Node !== '' && check.Node.toLowerCase() !== node.toLowerCase()) {
    throw invalid(`check's node "${check.Node}" does not match request's node "${node}"`)
  }
  return { ...check, CheckID, Node: node, Status: check.Status === '' ? 'critical' : check.Status }
}

/** Writes the node where the request changes it. @returns its name */
export function writeNode(tx: WriteTx, args: RegisterRequest, datacenter: string): string {
  const known = tx.nodes.get(args.Node)
  if (known !== undefined && args.SkipNodeUpdate) return known.Node
  refuseTakenName(known, tx, args)
  const renamed = args.ID === '' ? undefined : tx.nodes.byId(args.ID)
  const moving = renamed !== undefined && renamed.Node !== args.Node ? takeAlong(tx, renamed.Node) : undefined
  tx.putNode(
    Node.of({
      ID: args.ID === '' ? (known?.ID ?? '') : args.ID.toLowerCase(),
      Node: args.Node,
      Address: args.Address,
      Datacenter: datacenter,
      TaggedAddresses: args.TaggedAddresses,
      Meta: args.NodeMeta,
      Locality: args.Locality,
    }),
  )
  for (const service of moving?.services ?? []) tx.putService(args.Node, service)
  for (const check of moving?.checks ?? []) tx.putCheck({ ...check, Node: args.Node })
  return args.Node
}

/** What a renamed node keeps: all that runs on it. */
function takeAlong(tx: WriteTx, node: string): { services: readonly NodeService[]; checks: readonly HealthCheck[] } {
  return { services: tx.services.ofNode(node), checks: tx.checks.ofNode(node) }
}

/** A living node with another ID keeps its name. */
function refuseTakenName(known: Node | undefined, tx: WriteTx, args: RegisterRequest): void {
  if (known === undefined || known.ID === '' || args.ID === '' || known.ID === args.ID.toLowerCase()) return
  const alive = tx.checks.get(known.Node, SERF_HEALTH)
  if (alive === undefined || alive.Status === 'critical') return
  throw invalid(
    `Error while renaming Node ID: "${args.ID}": Node name ${args.Node} is reserved by node ${known.ID} with name ${known.Node} (${known.Address})`,
  )
}

/** Takes a service, a check or a whole node out of the catalog. What is not there is no error. */
export const deregister = writeOperation({
  name: 'Catalog.Deregister',
  args: DeregisterRequest,
  reply: Empty,
  scope: 'datacenter',
  authorize: (args, rights, { look }) => authorizeDeregister(args, rights, look),
  async run(context, args) {
    if (args.Node === '') throw invalid('Must provide node')
    await context.state.write((tx) => {
      if (args.ServiceID !== '') tx.deleteService(args.Node, args.ServiceID)
      else if (args.CheckID !== '') tx.deleteCheck(args.Node, args.CheckID)
      else tx.deleteNode(args.Node)
    })
    return Empty.of()
  },
})

/** Who may write the node may take everything from it; of a service, and of its checks, who may write the service. */
function authorizeDeregister(args: DeregisterRequest, rights: Rights, look: Look): void {
  const { allows } = rights
  if (allows.nodeWrite(args.Node)) return
  const service = look((tx) => {
    const id = args.ServiceID || tx.checks.get(args.Node, args.CheckID)?.ServiceID || ''
    return id === '' ? undefined : tx.services.get(args.Node, id)?.Service
  })
  if (service === undefined) rights.need(false, 'node:write', args.Node)
  else rights.need(allows.serviceWrite(service), 'service:write', service)
}
