/**
 * Leases inside one process: for an engine that only one process can have open, so that its lock is the real lease.
 *
 * First come, first served. There is no time in it: the holder is in this process, and if that dies all is over.
 */
import type { Lease, LeaseOptions } from './engine.ts'
import { storeError } from './errors.ts'

interface Claim {
  readonly holder: string
  readonly duty: AbortController
  readonly granted: () => void
}

export class LocalLeases {
  readonly #path: string
  /** Per name: the holder first, then those who wait. */
  readonly #claims = new Map<string, Claim[]>()
  #closed = false

  /** @param path - named in errors */
  constructor(path: string) {
    this.#path = path
  }

  lease(name: string, { holder }: LeaseOptions): Lease {
    let own: { claim: Claim; wait: Promise<void> } | undefined
    const acquire = async (signal?: AbortSignal): Promise<AbortSignal> => {
      signal?.throwIfAborted()
      if (this.#closed) throw storeError('STORE_CLOSED', { path: this.#path })
      if (!own || own.claim.duty.signal.aborted) own = this.#claim(name, holder)
      const { claim, wait } = own
      const cancel = () => this.#remove(name, claim, signal?.reason)
      signal?.addEventListener('abort', cancel, { once: true })
      await wait
      signal?.removeEventListener('abort', cancel)
      claim.duty.signal.throwIfAborted()
      return claim.duty.signal
    }
    return {
      name,
      acquire,
      release: async () => {
        if (own) this.#remove(name, own.claim, new DOMException(`Lease "${name}" was released`, 'AbortError'))
      },
      holder: async () => this.#claims.get(name)?.[0]?.holder,
    }
  }

  #claim(name: string, holder: string): { claim: Claim; wait: Promise<void> } {
    const { promise: wait, resolve: granted } = Promise.withResolvers<void>()
    const claim: Claim = { holder, duty: new AbortController(), granted }
    const queue = this.#claims.get(name)
    if (queue) {
      queue.push(claim)
    } else {
      this.#claims.set(name, [claim])
      granted()
    }
    return { claim, wait }
  }

  /** Takes a claim out, ends its duty or its wait, and lets the next one in. */
  #remove(name: string, claim: Claim, reason: unknown): void {
    const queue = this.#claims.get(name)
    const position = queue?.indexOf(claim) ?? -1
    if (!queue || position < 0) return
    queue.splice(position, 1)
    claim.duty.abort(reason)
    claim.granted()
    if (queue.length === 0) this.#claims.delete(name)
    else if (position === 0) queue[0]?.granted()
  }

  close(): void {
    this.#closed = true
    for (const [name, queue] of [...this.#claims]) {
      for (const claim of [...queue].reverse())
        this.#remove(name, claim, storeError('STORE_CLOSED', { path: this.#path }))
    }
  }
}
