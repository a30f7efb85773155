/**
 * The LAN pool in the catalog: every member is a node with a `serfHealth` check, every server also the service "consul".
 *
 * Runs on each change of the pool and fully once a minute; a node that has such a check and is no member any more is
 * removed. What a member is to look like is pure; only the difference is written.
 *
 * Source: RPC wire notes and the recorded catalog of a real server.
 */
import { type Clock, CONSUL_VERSION, type Logger, messageOf, type Timer } from '#base'
import { DeregisterRequest, HealthCheck, type Node, NodeService, RegisterRequest, Weights } from '#codec'
import { catalog, type Endpoints } from '#endpoints'
import { asServer } from '#federation'
import type { GossipPool, Member } from '#gossip'
import type { State } from '#state'

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

/** The registration of a member that is in the pool, alive or not. */
export function registrationOf(member: Member, own: OwnNode, registered: Node | undefined): RegisterRequest {
  const alive = member.status === 'alive'
  const ours = member.name === own.name
  const id = member.tags.id ?? ''
  return RegisterRequest.of({
    Node: member.name,
    ID: UUID.test(id) ? id : '',
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

export interface ReconcileModules {
  readonly lan: GossipPool
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
  #stopped = false

  constructor(own: OwnNode, modules: ReconcileModules) {
    this.#own = own
    this.#modules = modules
  }

  /** Resolves when the catalog holds the pool as it is now. */
  async start(): Promise<void> {
    this.#cancelEvents = this.#modules.lan.on((event) => {
      if (event.type.startsWith('member-')) this.#schedule(SETTLE_MS)
    })
    await this.#run()
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

  /** One run at a time; the next full one is set when it ends. */
  #run(): Promise<void> {
    this.#running = this.#running.then(async () => {
      if (this.#stopped) return
      const worked = await this.#reconcile()
      this.#schedule(worked ? FULL_INTERVAL_MS : RETRY_MS)
    })
    return this.#running
  }

  async #reconcile(): Promise<boolean> {
    const { lan, endpoints, log, state } = this.#modules
    const members = lan.members().filter((member) => member.status !== 'left' && member.status !== 'none')
    try {
      for (const member of members) {
        const registered = state.read((tx) => tx.nodes.get(member.name)).value
        if (member.status === 'failed' && !registered) continue
        await endpoints.call(catalog.register, registrationOf(member, this.#own, registered))
      }
      // Ourselves never: a server that is leaving would take its own services out of what its next start resumes from.
      const names = new Set([this.#own.name, ...members.map((member) => member.name)].map((name) => name.toLowerCase()))
      const gone = state
        .read((tx) =>
          tx.nodes.all().filter((node) => tx.checks.ofNode(node.Node).some((check) => check.CheckID === SERF_HEALTH)),
        )
        .value.filter((node) => !names.has(node.Node.toLowerCase()))
      for (const node of gone) {
        log.info('removing a node that is no member any more', { node: node.Node })
        await endpoints.call(catalog.deregister, DeregisterRequest.of({ Node: node.Node }))
      }
      return true
    } catch (error) {
      log.warn('the catalog could not be brought in line with the LAN pool, trying again', { error: messageOf(error) })
      return false
    }
  }
}
