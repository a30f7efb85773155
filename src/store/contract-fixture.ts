/**
 * What the contract's tests share: short words for transactions, and a follower that holds what the stream left behind.
 */
import assert from 'node:assert/strict'
import { codeOf } from '#base'
import type { ChangeBatch, Content, Engine, StoredRecord, Transaction } from './engine.ts'

/** An engine with an empty store. `reopen` closes it and opens the same data again; undefined: nothing is kept. */
export interface EngineUnderTest {
  readonly engine: Engine
  readonly reopen?: () => Promise<Engine>
  readonly dispose: () => Promise<void>
}

/** Declares one test, which gets an engine of its own. */
export type Check = (criterion: string, body: (engine: Engine, under: EngineUnderTest) => Promise<void>) => void

export const bytes = (text: string): Uint8Array => Buffer.from(text)
export const textOf = (value: Uint8Array | null): string | null => value && Buffer.from(value).toString()
export const put = (key: string, value: string, expect?: number) => ({ key, value: bytes(value), expect })
export const content = (key: string, value: string): Content => ({ key, value: bytes(value) })
export const drop = (key: string, expect?: number) => ({ key, value: null, expect })

export async function committed(engine: Engine, transaction: Transaction): Promise<number> {
  const result = await engine.commit(transaction)
  assert.ok(result.ok, 'the transaction met a conflict')
  return result.revision
}

/** Records as replaceAll() takes them. */
export async function* inBatches(...batches: readonly (readonly Content[])[]): AsyncGenerator<readonly Content[]> {
  yield* batches
}

export async function loaded(engine: Engine): Promise<{ records: StoredRecord[]; revision: number }> {
  const records: StoredRecord[] = []
  const { revision } = await engine.load((batch) => records.push(...batch))
  return { records, revision }
}

export const plain = (records: readonly StoredRecord[]) =>
  records.map(({ key, value, createRevision, modRevision }) => [key, textOf(value), createRevision, modRevision])

export function refusal(code: string) {
  return (error: unknown) => codeOf(error) === code
}

/** What a follower of the stream holds: the least that a state does. */
export class Follower {
  readonly batches: ChangeBatch[] = []
  readonly records = new Map<string, StoredRecord>()
  lost: unknown

  readonly onBatch = (batch: ChangeBatch): void => {
    assert.ok(batch.revision > (this.batches.at(-1)?.revision ?? -1), 'a batch came out of order')
    this.batches.push(batch)
    for (const { key, value, createRevision, modRevision } of batch.changes) {
      assert.equal(modRevision, batch.revision)
      if (value) this.records.set(key, { key, value, createRevision, modRevision })
      else this.records.delete(key)
    }
  }

  readonly onLost = (error: unknown): void => {
    this.lost = error
  }

  sorted(): StoredRecord[] {
    return [...this.records.values()].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  }
}

export function follow(engine: Engine, after: number): { follower: Follower; stop: () => void } {
  const follower = new Follower()
  const stop = engine.subscribe(after, follower.onBatch, follower.onLost)
  return { follower, stop }
}
