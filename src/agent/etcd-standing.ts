/**
 * How this server stands to etcd as the LAN pool is told, and how the others do.
 */
import type { Clock } from '#base'
import type { GossipPool } from '#gossip'
import { candidatesAmong, ETCD_TAG, type EtcdCandidate, type Standing, tagOf } from './etcd-candidates.ts'

export interface EtcdPlaceInNetwork {
  readonly clientUrl: string
  readonly peerUrl: string
}

export class EtcdStanding {
  readonly #own: EtcdPlaceInNetwork
  readonly #datacenter: string
  readonly #lan: GossipPool
  readonly #clock: Clock
  #told = ''

  constructor(
    { own, datacenter }: { own: EtcdPlaceInNetwork; datacenter: string },
    { lan, clock }: { lan: GossipPool; clock: Clock },
  ) {
    this.#own = own
    this.#datacenter = datacenter
    this.#lan = lan
    this.#clock = clock
  }

  async say(standing: Standing, nonce = '', says = ''): Promise<void> {
    const tag = tagOf({ ...this.#own, standing, nonce, says })
    if (tag === this.#told) return
    const own = this.#lan.members().find(({ name }) => name === this.#lan.localName)
    await this.#lan.setTags({ ...own?.tags, [ETCD_TAG]: tag })
    this.#told = tag
  }

  /** The others that are alive and say how they stand. */
  others(): readonly EtcdCandidate[] {
    return candidatesAmong(this.#lan.members(), this.#datacenter).filter(({ name }) => name !== this.#lan.localName)
  }

  /** Client URLs of the others that are members. */
  memberUrls(): readonly string[] {
    return this.others().flatMap(({ standing, clientUrl }) => (standing === 'member' ? clientUrl : []))
  }

  isAlive(name: string): boolean {
    return this.#lan.members().some((member) => member.name === name && member.status === 'alive')
  }

  /** Resolves when the pool has changed, at the latest after `atMostMs`. @throws the reason of the signal */
  async changed(atMostMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const timer = this.#clock.after(atMostMs, resolve)
    const off = this.#lan.on((event) => {
      if (event.type.startsWith('member-')) resolve()
    })
    try {
      await promise
    } finally {
      off()
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }
}
