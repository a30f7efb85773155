/**
 * Federation states: each datacenter tells the primary which mesh gateways it has, and copies what all others told it.
 *
 * Telling is anti-entropy: whenever our catalog's gateways and our stored state differ, the state is written in the
 * primary. Copying is a replicated type of the secondaries.
 *
 * Source: federation wire notes §5, RPC wire notes §11.
 */
import { type Clock, type Logger, messageOf, sleep } from '#base'
import { CheckServiceNode, FederationState, type FederationStateRequest } from '#codec'
import type { ReadTx, State } from '#state'
import type { Difference, ReplicatedType } from './replication.ts'

const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 5_000
/** Changes that come in a burst (a gateway and its check registering) are told together. */
const SETTLE_MS = 25

/** The mesh gateways of this datacenter's catalog, in a stable order. */
export function catalogGateways(tx: ReadTx): readonly CheckServiceNode[] {
  return tx.services
    .ofKind('mesh-gateway')
    .map(({ node, service }) => ({
      Node: node,
      Service: service,
      Checks: tx.checks.forInstance(node.Node, service.ID),
    }))
    .sort((a, b) => (`${a.Node.Node}/${a.Service.ID}` < `${b.Node.Node}/${b.Service.ID}` ? -1 : 1))
}

/** What two states are compared by: nodes, services and checks, without indexes. */
function essence(gateways: readonly CheckServiceNode[] | null): string {
  return JSON.stringify((gateways ?? []).map(CheckServiceNode.toJson), (key, value: unknown) =>
    key === 'CreateIndex' || key === 'ModifyIndex' ? undefined : value,
  )
}

export interface AntiEntropyModules {
  readonly state: State
  /** Writes in the primary, wherever that is. */
  readonly apply: (request: Pick<FederationStateRequest, 'Op' | 'State'>) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

/** Keeps our record in the primary equal to our catalog. */
export class FederationStateAntiEntropy {
  readonly #datacenter: string
  readonly #modules: AntiEntropyModules
  readonly #stop = new AbortController()
  #wake: () => void = () => {}

  constructor(datacenter: string, modules: AntiEntropyModules) {
    this.#datacenter = datacenter
    this.#modules = modules
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stop.abort(new Error('anti-entropy was stopped'))
  }

  /** Ends a wait after a failure: the primary has just become reachable. */
  wake(): void {
    this.#wake()
  }

  async #run(): Promise<void> {
    const { state, clock, log, apply } = this.#modules
    const { signal } = this.#stop
    let failures = 0
    while (!signal.aborted) {
      const { value, watch } = state.read((tx) => ({
        ours: catalogGateways(tx),
        stored: tx.federationStates.get(this.#datacenter),
      }))
      const same = value.stored !== undefined && essence(value.stored.MeshGateways) === essence(value.ours)
      try {
        if (same) {
          await this.#untilFired(watch, signal)
          await sleep(clock, SETTLE_MS, signal)
          continue
        }
        await apply({
          Op: 'upsert',
          State: FederationState.of({
            Datacenter: this.#datacenter,
            MeshGateways: value.ours.length === 0 ? null : value.ours,
            UpdatedAt: new Date(clock.wallMs()).toISOString(),
          }),
        })
        failures = 0
        log.debug('told the primary of our mesh gateways', { gateways: value.ours.length })
        // Our copy follows by replication; until it does, or the catalog moves again, there is nothing to tell.
        await this.#untilFired(watch, signal)
        await sleep(clock, SETTLE_MS, signal)
      } catch (error) {
        if (signal.aborted) return
        failures++
        if (failures === 1) log.warn('the primary could not be told of our mesh gateways', { error: messageOf(error) })
        await this.#pause(Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10)), signal)
      }
    }
  }

  #untilFired(
    watch: { onFire(callback: () => void): () => void; readonly fired: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      if (watch.fired) return resolve()
      const cancel = watch.onFire(() => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = () => {
        cancel()
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    return sleep(this.#modules.clock, delayMs, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
  }
}

/** By datacenter: written where the primary's record is not the one we copied, deleted where the primary has none. */
export function compareFederationStates(
  local: readonly FederationState[],
  remote: readonly FederationState[],
): Difference<FederationState> {
  const theirs = new Set(remote.map((state) => state.Datacenter))
  const copied = new Map(local.map((state) => [state.Datacenter, state.PrimaryModifyIndex]))
  return {
    deletions: local.filter((state) => !theirs.has(state.Datacenter)),
    upserts: remote.filter((state) => copied.get(state.Datacenter) !== state.ModifyIndex),
  }
}

/** The replicated type of the secondaries. `list` is the primary's FederationState.List. */
export function replicatedFederationStates(
  state: State,
  list: ReplicatedType<FederationState>['list'],
): ReplicatedType<FederationState> {
  return {
    name: 'federation-state',
    list,
    local: () => state.read((tx) => tx.federationStates.all()).value,
    compare: compareFederationStates,
    apply: async ({ deletions, upserts }) => {
      await state.write((tx) => {
        for (const entry of deletions) tx.deleteFederationState(entry.Datacenter)
        for (const entry of upserts) {
          tx.putFederationState({
            ...entry,
            PrimaryModifyIndex: entry.ModifyIndex,
            CreateIndex: 0,
            ModifyIndex: 0,
          })
        }
      })
    },
  }
}
