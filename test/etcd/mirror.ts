/** What one engine has in memory: follows its stream, and loads again where that is lost. */
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf } from '#base'
import type { EtcdEngine } from '#store'

const RETRY_MS = 20

export class Mirror {
  readonly engine: EtcdEngine
  #records = new Map<string, { text: string; modRevision: number }>()
  #revision = 0

  private constructor(engine: EtcdEngine) {
    this.engine = engine
  }

  static async of(engine: EtcdEngine): Promise<Mirror> {
    const mirror = new Mirror(engine)
    await mirror.#follow()
    return mirror
  }

  async #follow(): Promise<void> {
    const records = new Map<string, { text: string; modRevision: number }>()
    const { revision } = await this.engine.load((batch) => {
      for (const { key, value, modRevision } of batch)
        records.set(key, { text: Buffer.from(value).toString(), modRevision })
    })
    this.#records = records
    this.#revision = revision
    this.engine.subscribe(
      revision,
      (batch) => {
        this.#revision = batch.revision
        for (const { key, value, modRevision } of batch.changes) {
          if (value === null) records.delete(key)
          else records.set(key, { text: Buffer.from(value).toString(), modRevision })
        }
      },
      () => void this.#again(),
    )
  }

  async #again(): Promise<void> {
    for (;;) {
      try {
        return await this.#follow()
      } catch (error) {
        if (codeOf(error) === 'STORE_CLOSED') return
        await delay(RETRY_MS)
      }
    }
  }

  /** What is known here of a key, however old. */
  get(key: string): { text: string; modRevision: number } {
    return this.#records.get(key) ?? { text: '', modRevision: 0 }
  }

  /** Waits until everything that was answered before is here. */
  async fresh(): Promise<void> {
    const revision = await this.engine.barrier()
    while (this.#revision < revision) await delay(RETRY_MS)
  }
}
