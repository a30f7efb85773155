/**
 * The primary tells secondaries where its mesh gateways are, whenever that changes.
 *
 * A secondary learns of a gateway that was replaced at another address by replication, which travels through the very
 * gateway that is gone. The way from the primary to the secondary is still whole then, so the primary says it that way.
 * Ours alone (peers that do not know the method answer an error, which is fine: they have `primary_gateways`).
 *
 * The caller is trusted as far as its certificate: only servers of the federation hold one, and what they can do with
 * this is name addresses, at which a server's certificate is checked again.
 */
import { type Clock, type Logger, messageOf, sleep } from '#base'
import { CheckServiceNode, Empty, encode, list, string, struct } from '#codec'
import type { CallOperation } from '#endpoints'
import { RpcRemoteError } from '#net'
import type { State } from '#state'
import { catalogGateways } from './federation-states.ts'
import type { GatewayLocator } from './gateway-locator.ts'
import type { WanRouter } from './router.ts'

export const PrimaryGatewaysRequest = struct('PrimaryGatewaysRequest', {
  Datacenter: string,
  PrimaryDatacenter: string,
  MeshGateways: list(CheckServiceNode),
})
export type PrimaryGatewaysRequest = ReturnType<typeof PrimaryGatewaysRequest.of>

const METHOD = 'Hanse.PrimaryGateways'
const PUSH_TIMEOUT_MS = 10_000
const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 10_000

/** The receiving side. `onPushed` runs after the locator knows. */
export function primaryGatewaysOperation(
  locator: GatewayLocator,
  onPushed: () => void,
): CallOperation<PrimaryGatewaysRequest, Empty> {
  return {
    name: METHOD,
    access: 'call',
    args: PrimaryGatewaysRequest,
    reply: Empty,
    scope: 'here',
    anyone: 'trusted as far as the certificate of its caller, see above',
    run: async ({ primaryDatacenter, datacenter }, args) => {
      if (args.PrimaryDatacenter === primaryDatacenter && datacenter !== primaryDatacenter) {
        locator.setPushed(args.MeshGateways ?? [])
        onPushed()
      }
      return Empty.of()
    },
  }
}

export interface PusherModules {
  readonly state: State
  readonly router: WanRouter
  readonly clock: Clock
  readonly log: Logger
}

/** The sending side, in the primary. */
export class PrimaryGatewaysPusher {
  readonly #datacenter: string
  readonly #modules: PusherModules
  readonly #stop = new AbortController()
  /** Secondary → the push that is under way; a newer one replaces it. */
  readonly #pushes = new Map<string, AbortController>()
  #cancelWatch: () => void = () => {}

  constructor(datacenter: string, modules: PusherModules) {
    this.#datacenter = datacenter
    this.#modules = modules
  }

  start(): void {
    this.pushToAll()
    const { watch } = this.#modules.state.read(catalogGateways)
    this.#cancelWatch = watch.onFire(() => {
      if (!this.#stop.signal.aborted) this.start()
    })
  }

  stop(): void {
    this.#stop.abort(new Error('the server is stopping'))
    this.#cancelWatch()
    for (const push of this.#pushes.values()) push.abort(this.#stop.signal.reason)
  }

  pushToAll(): void {
    for (const datacenter of this.#modules.router.datacenters()) {
      if (datacenter !== this.#datacenter) this.pushTo(datacenter)
    }
  }

  /** Sends what the catalog holds now, until the secondary has it or says that it does not care. */
  pushTo(datacenter: string): void {
    this.#pushes.get(datacenter)?.abort(new Error('replaced by a newer push'))
    const push = new AbortController()
    this.#pushes.set(datacenter, push)
    void this.#push(datacenter, push.signal).finally(() => {
      if (this.#pushes.get(datacenter) === push) this.#pushes.delete(datacenter)
    })
  }

  /** Each server of the secondary keeps what it is told to itself, so all are told. */
  async #push(datacenter: string, signal: AbortSignal): Promise<void> {
    const { state, router, clock, log } = this.#modules
    const told = new Set<string>()
    for (let failures = 0; !signal.aborted; failures++) {
      const gateways = state.read(catalogGateways).value
      if (gateways.length === 0) return
      const body = encode(
        PrimaryGatewaysRequest,
        PrimaryGatewaysRequest.of({ PrimaryDatacenter: this.#datacenter, MeshGateways: gateways }),
      )
      const untold = router.servers(datacenter).filter(({ node, status }) => status === 'alive' && !told.has(node))
      await Promise.all(
        untold.map(async ({ node }) => {
          try {
            await router.forward({ datacenter, node, method: METHOD, body, timeoutMs: PUSH_TIMEOUT_MS, signal })
            told.add(node)
          } catch (error) {
            if (error instanceof RpcRemoteError) told.add(node)
            else log.trace('a secondary could not be told of our mesh gateways', { node, error: messageOf(error) })
          }
        }),
      )
      const all = router.servers(datacenter)
      if (signal.aborted || !router.datacenters().includes(datacenter)) return
      if (all.length > 0 && all.every(({ node, status }) => status !== 'alive' || told.has(node)) && told.size > 0)
        return
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10))
      await sleep(clock, delayMs, signal).catch(() => undefined)
    }
  }
}
