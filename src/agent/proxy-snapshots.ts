/**
 * The snapshots of this agent's sidecars: all that one of them must know, built again whenever any of it changes.
 *
 * Entries, intentions and gateways come from the tables (every datacenter holds the same), instances from the datacenter
 * where a target is, the leaf from this agent. A proxy asks with the hash of what it has and gets an answer when there is
 * something else. What another datacenter said last stays in use while it does not answer.
 */
import { createHash } from 'node:crypto'
import { type Clock, type Logger, messageOf } from '#base'
import { trustDomainOf } from '#ca'
import {
  type CheckServiceNode,
  type CompiledDiscoveryChain,
  type DiscoveryTarget,
  type Intention,
  type Node,
  type NodeService,
  PeeredServiceName,
  type ServiceConfigResponse,
  ServiceName,
  ServiceSpecificRequest,
} from '#codec'
import { type Endpoints, entrySource, health } from '#endpoints'
import {
  buildSnapshot,
  compileChain,
  gatewayOf,
  matchIntentions,
  ProxySnapshot,
  resolveServiceConfig,
  upstreamQuestions,
} from '#mesh'
import type { ReadTx, State, Watch } from '#state'
import { agentError } from './agent-errors.ts'
import type { Leafs } from './leafs.ts'

/** How long a first leaf may take before the proxy is told to ask again. */
const FIRST_LEAF_MS = 10_000
/** Changes that come together make one snapshot. */
const SETTLE_MS = 10
/** How long one question for instances waits for a change. */
const INSTANCES_WAIT_NS = 300 * 1e9
const RETRY_MS = 2_000
/** Instances of other datacenters' services that are remembered for when these do not answer. */
const MAX_REMEMBERED = 4_096

export interface ProxySnapshotsModules {
  readonly state: State
  readonly endpoints: Endpoints
  readonly leafs: Leafs
  readonly clock: Clock
  readonly log: Logger
}

export interface SnapshotAnswer {
  /** JSON of a ProxySnapshot. */
  readonly snapshot: object
  /** Names its content. */
  readonly hash: string
}

/** One building of a snapshot: until when it is followed, who asks, what to do when any of it changes. */
interface Round {
  readonly signal: AbortSignal
  readonly token: string
  readonly onChange: () => void
}

/** What the tables say about one proxy. */
interface Facts {
  readonly node: Node
  readonly proxy: NodeService
  readonly trustDomain: string
  readonly roots: readonly string[]
  readonly defaults: ServiceConfigResponse
  readonly chains: ReadonlyMap<string, CompiledDiscoveryChain>
  readonly intentions: readonly Intention[]
  readonly gateways: ReadonlyMap<string, readonly CheckServiceNode[]>
}

const keyOf = (target: DiscoveryTarget): string => `${target.Datacenter}/${target.Service}/${target.Subset.Filter}`

export class ProxySnapshots {
  readonly #here: { readonly datacenter: string; readonly nodeName: string; readonly defaultAllow: boolean }
  readonly #modules: ProxySnapshotsModules
  readonly #remembered = new Map<string, readonly CheckServiceNode[]>()

  constructor(here: { datacenter: string; nodeName: string; defaultAllow: boolean }, modules: ProxySnapshotsModules) {
    this.#here = here
    this.#modules = modules
  }

  /**
   * The snapshot of a registered sidecar, at once when it is not the one of `hash`, else when it changes or after the wait.
   *
   * @throws UNKNOWN_PROXY; CA_NOT_READY while there is no authority; SNAPSHOT_INCOMPLETE for what is no sidecar
   */
  async get(
    proxyId: string,
    options: { readonly hash: string; readonly waitMs: number; readonly signal: AbortSignal; readonly token: string },
  ): Promise<SnapshotAnswer> {
    const { clock } = this.#modules
    const deadline = clock.nowMs() + options.waitMs
    for (;;) {
      const round = new AbortController()
      const signal = AbortSignal.any([options.signal, round.signal])
      try {
        const changed = Promise.withResolvers<void>()
        const answer = await this.#build(proxyId, { signal, token: options.token, onChange: () => changed.resolve() })
        const waitMs = deadline - clock.nowMs()
        if (answer.hash !== options.hash || waitMs <= 0 || options.signal.aborted) return answer
        const timer = clock.after(waitMs, () => changed.resolve())
        options.signal.addEventListener('abort', () => changed.resolve(), { once: true, signal })
        await changed.promise
        timer.cancel()
      } finally {
        round.abort(new Error('built again'))
      }
      await new Promise<void>((resolve) => clock.after(SETTLE_MS, resolve))
    }
  }

  async #build(proxyId: string, round: Round): Promise<SnapshotAnswer> {
    const { signal, onChange } = round
    const { state, leafs } = this.#modules
    const { value: facts, watch } = state.read((tx) => this.#facts(tx, proxyId))
    follow(watch, signal, onChange)
    const service = facts.proxy.Proxy.DestinationServiceName
    const leaf = await leafs.get(service, { minIndex: 0, waitMs: FIRST_LEAF_MS, signal })
    this.#followLeaf(service, leaf.index, signal, onChange)
    const targets = [...facts.chains.values()].flatMap((chain) => Object.values(chain.Targets ?? {}))
    const direct = new Map(
      targets.flatMap((target) => (target && this.#isDirect(target) ? [[keyOf(target), target]] : [])),
    )
    const instances = new Map(
      await Promise.all(
        [...direct].map(async ([key, target]) => [key, await this.#instances(key, target, round)] as const),
      ),
    )
    const built = buildSnapshot({
      ...facts,
      datacenter: this.#here.datacenter,
      defaultAllow: this.#here.defaultAllow,
      leaf: {
        CertPEM: leaf.certificate.CertPEM,
        PrivateKeyPEM: leaf.certificate.PrivateKeyPEM,
        ValidBefore: leaf.certificate.ValidBefore,
      },
      instances: (target) => instances.get(keyOf(target)) ?? [],
      gateways: (datacenter) => facts.gateways.get(datacenter) ?? [],
    })
    const snapshot = ProxySnapshot.toJson(built) as object
    const hash = createHash('sha256').update(JSON.stringify(snapshot)).digest('hex').slice(0, 16)
    return { snapshot, hash }
  }

  #isDirect(target: DiscoveryTarget): boolean {
    return gatewayOf(target, this.#here.datacenter) === 'none'
  }

  #facts(tx: ReadTx, proxyId: string): Facts {
    const { datacenter, nodeName } = this.#here
    const proxy = tx.services.get(nodeName, proxyId)
    const node = tx.nodes.get(nodeName)
    if (!proxy || !node) throw agentError('UNKNOWN_PROXY', { id: proxyId })
    const authority = tx.caRoots()
    const trustDomain = trustDomainOf(authority?.ClusterID ?? '')
    const source = entrySource(tx)
    const upstreams = (proxy.Proxy.Upstreams ?? []).map(({ DestinationName, DestinationPeer }) =>
      PeeredServiceName.of({ ServiceName: ServiceName.of({ Name: DestinationName }), Peer: DestinationPeer }),
    )
    const service = proxy.Proxy.DestinationServiceName
    const defaults = resolveServiceConfig(source, {
      service,
      mode: proxy.Proxy.Mode,
      meshGatewayMode: proxy.Proxy.MeshGateway.Mode,
      upstreams,
    })
    const questions = upstreamQuestions({ datacenter, trustDomain, proxy, defaults })
    const states = tx.federationStates.all()
    return {
      node,
      proxy,
      trustDomain,
      roots: (authority?.Roots ?? []).map((root) => root.RootCert),
      defaults,
      chains: new Map(questions.map(({ id, chain }) => [id, compileChain(source, chain)])),
      intentions: matchIntentions(source, { by: 'destination', name: service }),
      gateways: new Map(states.map((state) => [state.Datacenter, state.MeshGateways ?? []])),
    }
  }

  #followLeaf(service: string, index: number, signal: AbortSignal, onChange: () => void): void {
    this.#modules.leafs
      .get(service, { minIndex: index, waitMs: INSTANCES_WAIT_NS / 1e6, signal })
      .then(onChange, () => undefined)
  }

  /** Instances of a target where it is, and from then on their changes. */
  async #instances(
    key: string,
    target: DiscoveryTarget,
    { signal, token, onChange }: Round,
  ): Promise<readonly CheckServiceNode[]> {
    const { endpoints, clock, log } = this.#modules
    const args = ServiceSpecificRequest.of({
      Datacenter: target.Datacenter,
      ServiceName: target.Service,
      Connect: true,
      Filter: target.Subset.Filter,
    })
    try {
      const reply = await endpoints.call(health.serviceNodes, args, { signal, token })
      const wait = { ...args, MinQueryIndex: reply.Index, MaxQueryTime: INSTANCES_WAIT_NS }
      endpoints.call(health.serviceNodes, wait, { signal, token }).then(onChange, () => {
        if (!signal.aborted) clock.after(RETRY_MS, onChange)
      })
      this.#remember(`${token} ${key}`, reply.Nodes ?? [])
    } catch (error) {
      if (!signal.aborted) {
        log.debug('instances of an upstream could not be read', { service: target.Service, error: messageOf(error) })
        clock.after(RETRY_MS, onChange)
      }
    }
    // Never what another token was shown.
    return this.#remembered.get(`${token} ${key}`) ?? []
  }

  #remember(key: string, instances: readonly CheckServiceNode[]): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, instances)
    const oldest = this.#remembered.size > MAX_REMEMBERED ? this.#remembered.keys().next() : undefined
    if (oldest && !oldest.done) this.#remembered.delete(oldest.value)
  }
}

function follow(watch: Watch, signal: AbortSignal, onChange: () => void): void {
  const cancel = watch.onFire(onChange)
  signal.addEventListener('abort', cancel, { once: true })
}
