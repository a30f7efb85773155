/**
 * What a secondary holds copies of, kept by the server that leads: federation states, config entries and, where there is access control, its policies,
 * roles and tokens. One replicator for each, all with the replication token.
 */
import { type Clock, type Logger, type Metrics, messageOf } from '#base'
import {
  type ACLReplicationStatus,
  CONFIG_ENTRY_KINDS,
  ConfigEntryListAllRequest,
  CopiesReply,
  CopiesRequest,
  DCSpecificRequest,
} from '#codec'
import { type AclPort, type CallOperation, configEntry, type Endpoints, federationState } from '#endpoints'
import type { State } from '#state'
import { aclReplicationStatus, replicatedPolicies, replicatedRoles, replicatedTokens } from './acl-replication.ts'
import { replicatedConfigEntries } from './config-entries.ts'
import { federationError } from './errors.ts'
import { replicatedFederationStates } from './federation-states.ts'
import type { GatewayLocator } from './gateway-locator.ts'
import { type ReplicatedType, type ReplicationStatus, Replicator } from './replication.ts'

/** How long one question for the primary's list may wait for a change. */
const LIST_WAIT_NS = 300 * 1e9

/** A replicator of any type, once it runs. */
type RunningReplicator = Pick<Replicator<unknown>, 'name' | 'status' | 'stop' | 'wake' | 'again'>

export interface CopiesModules {
  readonly state: State
  readonly locator: Pick<GatewayLocator, 'replicationSucceeded' | 'replicationFailed'>
  /** Throws where a server does not know federation states yet. */
  readonly requireFederationStates: () => void
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export class Copies {
  readonly #primaryDatacenter: string
  readonly #modules: CopiesModules
  readonly #replicators: RunningReplicator[] = []
  #told: Readonly<Record<string, ReplicationStatus>> = {}
  #forget = () => {}

  constructor(primaryDatacenter: string, modules: CopiesModules) {
    this.#primaryDatacenter = primaryDatacenter
    this.#modules = modules
  }

  start(endpoints: Endpoints): void {
    const { state, requireFederationStates } = this.#modules
    const asking = (minIndex: number) => ({
      Token: replicationToken(endpoints.acl),
      Datacenter: this.#primaryDatacenter,
      AllowStale: true,
      MinQueryIndex: minIndex,
      MaxQueryTime: LIST_WAIT_NS,
    })
    this.#replicate(
      replicatedFederationStates(state, async (minIndex, signal) => {
        requireFederationStates()
        const reply = await endpoints.call(federationState.list, DCSpecificRequest.of(asking(minIndex)), { signal })
        return { index: reply.Index, items: reply.States ?? [] }
      }),
    )
    this.#replicate(
      replicatedConfigEntries(state, async (minIndex, signal) => {
        const args = ConfigEntryListAllRequest.of({ ...asking(minIndex), Kinds: CONFIG_ENTRY_KINDS })
        const reply = await endpoints.call(configEntry.listAll, args, { signal })
        // What is left out would be taken for deleted.
        if (reply.ResultsFilteredByACLs) throw federationError('REPLICATION_FILTERED', { type: 'config entries' })
        return { index: reply.Index, items: reply.Entries }
      }),
    )
    this.#forget = state.onRestored(() => {
      for (const replicator of this.#replicators) replicator.again()
    })
    if (!endpoints.acl.enabled) return
    const modules = { state, endpoints, asking }
    this.#replicate(replicatedPolicies(modules))
    this.#replicate(replicatedRoles(modules))
    if (endpoints.acl.replicatesTokens) this.#replicate(replicatedTokens(modules))
  }

  stop(): void {
    this.#forget()
    for (const replicator of this.#replicators.splice(0)) replicator.stop()
  }

  /** Asks again at once: what failed may work now. */
  wake(): void {
    for (const replicator of this.#replicators) replicator.wake()
  }

  /** By type; of the server that copies where that is another one, as it last told us. */
  get status(): Readonly<Record<string, ReplicationStatus>> {
    if (this.#replicators.length === 0) return this.#told
    return Object.fromEntries(this.#replicators.map((each) => [each.name, each.status]))
  }

  /** How far copies are; the leader answers, who makes them. Ours alone. */
  get operation(): CallOperation<CopiesRequest, CopiesReply> {
    return {
      name: 'Hanse.Copies',
      access: 'call',
      args: CopiesRequest,
      reply: CopiesReply,
      scope: 'here',
      onLeader: true,
      anyone: 'how far copies are, without what is in them',
      run: async () => {
        const types = Object.entries(this.status).map(([name, type]) => [
          name,
          {
            Running: type.running,
            Index: type.index,
            LastSuccessWallMs: type.lastSuccessWallMs ?? 0,
            LastErrorWallMs: type.lastErrorWallMs ?? 0,
            LastError: type.lastError,
          },
        ])
        return CopiesReply.of({ Types: Object.fromEntries(types) })
      },
    }
  }

  /** Asks the server that copies. Harmless where that is this one, or none answers. */
  async learn(endpoints: Endpoints): Promise<void> {
    if (this.#replicators.length > 0) return
    try {
      const { Types } = await endpoints.call(this.operation, CopiesRequest.of(), { internal: true })
      this.#told = Object.fromEntries(
        Object.entries(Types ?? {}).map(([name, type]) => [
          name,
          {
            running: type.Running,
            index: type.Index,
            lastSuccessWallMs: type.LastSuccessWallMs || undefined,
            lastErrorWallMs: type.LastErrorWallMs || undefined,
            lastError: type.LastError,
          },
        ]),
      )
    } catch (error) {
      this.#modules.log.debug('how far copies are is not known here', { error: messageOf(error) })
    }
  }

  /** GET /v1/acl/replication. */
  get aclStatus(): ACLReplicationStatus {
    return aclReplicationStatus(this.#primaryDatacenter, new Map(Object.entries(this.status)))
  }

  #replicate<T>(type: ReplicatedType<T>): void {
    const { clock, log, metrics, locator } = this.#modules
    const replicator = new Replicator(type, {
      clock,
      log: log.named('replication'),
      metrics,
      onRound: (worked) => (worked ? locator.replicationSucceeded() : locator.replicationFailed()),
    })
    this.#replicators.push(replicator)
    replicator.start()
  }
}

/** The token that a secondary copies with. @throws REPLICATION_TOKEN_MISSING where nothing is shown without one */
function replicationToken(acl: AclPort): string {
  const token = acl.replicationToken()
  if (token === '' && acl.enabled && acl.defaultPolicy === 'deny') {
    throw federationError('REPLICATION_TOKEN_MISSING', {})
  }
  return token
}
