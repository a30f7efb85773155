/** The client of etcd without an engine: the yardstick of bench/etcd.ts. */
import { systemClock } from '#base'
import type { EtcdWatchReply } from '#codec'
import { EtcdClient } from './client.ts'
import { encodeFold } from './fold.ts'
import { Keyspace } from './keyspace.ts'
import { txn, watch } from './methods.ts'
import { putOf } from './operations.ts'

const CALL_MS = 10_000

export function bareClient(endpoints: readonly string[]): EtcdClient {
  return new EtcdClient({ endpoints, identity: () => undefined, clock: systemClock })
}

export async function barePut(client: EtcdClient, key: string, value: Buffer): Promise<void> {
  await client.call(txn, { compare: [], success: [putOf(key, value)], failure: [] }, { timeoutMs: CALL_MS })
}

/** Calls `onChange` whenever the key has changed. @returns a function that ends it */
export function bareWatch(client: EtcdClient, key: string, onChange: () => void): () => void {
  const { stream } = client.stream(watch)
  stream.on('error', () => {})
  stream.on('data', ({ events }: EtcdWatchReply) => {
    if (events !== null) onChange()
  })
  stream.write({ create: { key, rangeEnd: '', startRevision: 0, fragment: true } })
  return () => stream.cancel()
}

/** Writers that wait for one client: all that gathered go into the next transaction. */
export class BareFolder {
  readonly #client: EtcdClient
  readonly #keys: ReturnType<Keyspace['of']>
  readonly #mark: string
  #modRevision = 0
  #waiting: { readonly key: string; readonly value: Buffer; readonly done: () => void }[] = []
  #sending = false

  constructor(client: EtcdClient, name: string) {
    this.#client = client
    this.#keys = new Keyspace('direct/').of({ number: 1, floor: 0 })
    this.#mark = this.#keys.writer(name)
  }

  put(key: string, value: Buffer): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ key, value, done })
      if (!this.#sending) void this.#send()
    })
  }

  async #send(): Promise<void> {
    this.#sending = true
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const fold = this.#waiting
      this.#waiting = []
      const transactions = fold.map(({ key, value }) => ({ writes: [{ key, value }] }))
      const mark = { key: this.#mark, expect: this.#modRevision, value: Buffer.from('bench') }
      const reply = await this.#client.call(txn, encodeFold(transactions, this.#keys, mark), { timeoutMs: CALL_MS })
      if (!reply.succeeded) throw new Error('the mark of the benchmark has moved')
      this.#modRevision = reply.header?.revision ?? 0
      for (const { done } of fold) done()
    }
    this.#sending = false
  }
}
