/**
 * The LAN pool in the catalog: every member is a node with a `serfHealth` check, every server also the service "consul".
 *
 * Each server says of itself where it is; all that concerns others, and whether a node is alive, is the leader's. Runs
 * on each change of the pool, after a restore and fully once a minute; a node that has such a check and is no member any
 * more is removed. What a member is to look like is pure; only the difference is written.
 *
 * Source: RPC wire notes and the recorded catalog of a real server.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Clock, CONSUL_VERSION, type Logger, messageOf, type Timer } from '#base'
import { DeregisterRequest, HealthCheck, type Node, NodeService, RegisterRequest, Weights } from '#codec'
import { catalog, type Endpoints } from '#endpoints'
import { asServer } from '#federation'
import type { GossipPool, Member } from '#gossip'
import type { ReadTx, State } from '#state'

const FULL_INTERVAL_MS = 60_000
const SETTLE_MS = 10
const RETRY_MS = 1_000
export const SERF_HEALTH = 'serfHealth'
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** What this server says of itself beyond gossip: the other nodes' own agents do the same for theirs. */
export interface OwnNode {
  readonly name: string
  readonly address: string
  readonly taggedAddresses: Readonly<Record<string, string>>
  readonly meta: Readonly<Record<string, string>>
  /** Ports in the meta of the service "consul". */
  readonly grpcPort: number
  readonly grpcTlsPort: number
}

function consulService(member: Member, own: OwnNode): NodeService | null {
  const server = asServer(member)
  if (!server) return null
  const ours = member.name === own.name
  const port = (tag: string, mine: number) => (ours ? mine : Number(member.tags[tag] ?? 0))
  return NodeService.of({
    ID: 'consul',
    Service: 'consul',
    Tags: [],
    Port: server.rpcPort,
    Weights: Weights.of({ Passing: 1, Warning: 1 }),
    Meta: {
      grpc_port: String(Math.max(0, port('grpc_port', own.grpcPort))),
      grpc_tls_port: String(Math.max(0, port('grpc_tls_port', own.grpcTlsPort))),
      non_voter: 'false',
      raft_version: '3',
      read_replica: 'false',
      serf_protocol_current: String(member.protocolCur),
      serf_protocol_max: String(member.protocolMax),
      serf_protocol_min: String(member.protocolMin),
      version: server.build || CONSUL_VERSION,
    },
  })
}

/** What a server that does not lead says of itself: that it is alive, and serves, is the leader's to say. */
export function ownRegistration(member: Member, own: OwnNode): RegisterRequest {
  return { ...registrationOf(member, own, undefined), Service: null, Check: null }
}

/** The registration of a member that is in the pool, alive or not. */
export function registrationOf(member: Member, own: OwnNode, registered: Node | undefined): RegisterRequest {
  const alive = member.status === 'alive'
  const ours = member.name === own.name
  const id = UUID.test(member.tags.id ?? '') ? (member.tags.id ?? '').toLowerCase() : ''
  return RegisterRequest.of({
    Node: member.name,
    ID: id,
    Address: ours ? own.address : member.address,
    TaggedAddresses: ours ? own.taggedAddresses : null,
    NodeMeta: ours ? own.meta : null,
    // What a node says of itself (addresses by tag, meta) comes from its own agent and is left alone here.
    SkipNodeUpdate: !ours && registered?.ID === id && registered.Address === member.address,
    Service: alive ? consulService(member, own) : null,
    Check: HealthCheck.of({
      Node: member.name,
      CheckID: SERF_HEALTH,
      Name: 'Serf Health Status',
      Status: alive ? 'passing' : 'critical',
      Output: alive ? 'Agent alive and reachable' : 'Agent not live or unreachable',
    }),
  })
}

/** Whether the catalog holds all that a registration says. */
function isHeld(tx: ReadTx, request: RegisterRequest): boolean {
  const { Node, Service, Check } = request
  const node = tx.nodes.get(Node)
  const check = tx.checks.get(Node, SERF_HEALTH)
  if (!node || (Check && (check?.Status !== Check.Status || check.Output !== Check.Output))) return false
  if (!request.SkipNodeUpdate) {
    const same = (key: 'ID' | 'Address' | 'TaggedAddresses') => isDeepStrictEqual(node[key], request[key])
    if (!same('ID') || !same('Address') || !same('TaggedAddresses')) return false
    if (!isDeepStrictEqual(node.Meta, request.NodeMeta)) return false
  }
  if (Service === null) return true
  const held = tx.services.get(Node, Service.ID)
  const plain = (service: NodeService | undefined) => service && { ...service, CreateIndex: 0, ModifyIndex: 0 }
  return isDeepStrictEqual(plain(held), plain(Service))
}

export interface ReconcileModules {
  readonly lan: Pick<GossipPool, 'members' | 'on'>
  readonly state: State
  readonly endpoints: Endpoints
  readonly clock: Clock
  readonly log: Logger
}

export class MemberReconcile {
  readonly #own: OwnNode
  readonly #modules: ReconcileModules
  #running: Promise<void> = Promise.resolve()
  #cancelEvents: () => void = () => {}
  /** The next run: a full one in a minute, or a quick one after a change. */
  #next: Timer | undefined
  /** The pool has changed since the run that goes on now has looked at it. */
  #changed = false
  #stopped = false
  #leading = false

  constructor(own: OwnNode, modules: ReconcileModules) {
    this.#own = own
    this.#modules = modules
  }

  /** Resolves when the catalog holds ourselves, and where we lead the whole pool, as it is now. */
  async start({ leading }: { readonly leading: boolean }): Promise<void> {
    this.#leading = leading
    const soon = () => {
      this.#changed = true
      this.#schedule(SETTLE_MS)
    }
    const cancelMembers = this.#modules.lan.on((event) => {
      if (event.type.startsWith('member-')) soon()
    })
    const cancelRestores = this.#modules.state.onRestored(soon)
    this.#cancelEvents = () => {
      cancelMembers()
      cancelRestores()
    }
    await this.#run()
  }

  /** Looks after all members until the answer is called. */
  lead(): () => void {
    if (!this.#leading) {
      this.#leading = true
      this.#changed = true
      this.#schedule(SETTLE_MS)
    }
    return () => {
      this.#leading = false
    }
  }

  stop(): void {
    this.#stopped = true
    this.#cancelEvents()
    this.#next?.cancel()
  }

  #schedule(delayMs: number): void {
    this.#next?.cancel()
    if (!this.#stopped) this.#next = this.#modules.clock.after(delayMs, () => void this.#run())
  }

  /** One run at a time; the next one is set when it ends. */
  #run(): Promise<void> {
    this.#running = this.#running.then(async () => {
      if (this.#stopped) return
      this.#changed = false
      const worked = await this.#reconcile()
      this.#schedule(this.#changed ? SETTLE_MS : worked ? FULL_INTERVAL_MS : RETRY_MS)
    })
    return this.#running
  }

  /** @returns whether all is in the catalog now. One member that is refused keeps no other out. */
  async #reconcile(): Promise<boolean> {
    const { lan, log } = this.#modules
    const members = lan.members().filter((member) => member.status !== 'left' && member.status !== 'none')
    const own = members.find(({ name }) => name === this.#own.name)
    const failed: string[] = []
    const attempt = async (node: string, work: () => Promise<void>) => {
      if (this.#stopped) return
      try {
        await work()
      } catch (error) {
        failed.push(node)
        log.warn('the catalog could not be brought in line with the LAN pool, trying again', {
          node,
          error: messageOf(error),
        })
      }
    }
    if (own && !this.#leading) await attempt(own.name, () => this.#register(own))
    for (const member of this.#leading ? members : []) await attempt(member.name, () => this.#register(member))
    for (const node of this.#leading ? this.#goneNodes(members) : []) await attempt(node, () => this.#deregister(node))
    return failed.length === 0
  }

  async #register(member: Member): Promise<void> {
    const { endpoints, state } = this.#modules
    const request = state.read((tx) => {
      const registered = tx.nodes.get(member.name)
      if (member.status === 'failed' && !registered) return undefined
      const ours = member.name === this.#own.name && !this.#leading
      const wanted = ours ? ownRegistration(member, this.#own) : registrationOf(member, this.#own, registered)
      return isHeld(tx, wanted) ? undefined : wanted
    }).value
    if (request) await endpoints.call(catalog.register, request, { internal: true })
  }

  /**
   * Nodes that were members and are none any more. Ourselves never: a server that is leaving would take its own services
   * out of what its next start resumes from.
   */
  #goneNodes(members: readonly Member[]): readonly string[] {
    const names = new Set([this.#own.name, ...members.map((member) => member.name)].map((name) => name.toLowerCase()))
    return this.#modules.state
      .read((tx) => tx.nodes.all().filter(({ Node }) => tx.checks.get(Node, SERF_HEALTH) !== undefined))
      .value.map(({ Node }) => Node)
      .filter((name) => !names.has(name.toLowerCase()))
  }

  async #deregister(node: string): Promise<void> {
    this.#modules.log.info('removing a node that is no member any more', { node })
    await this.#modules.endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: node }), { internal: true })
  }
}
