/**
 * Snapshots: this datacenter as one archive, and one archive as this datacenter; or the same of another one.
 *
 * No operation of the table, because they are streams. What is saved is gathered on disk first, so that whoever reads it
 * slowly holds up no write; what is restored is gathered and checked whole before anything is changed, so that a bad
 * archive changes nothing.
 */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { type Clock, type Logger, type Metrics, messageOf } from '#base'
import { SNAPSHOT_OP, SnapshotRequest } from '#codec'
import {
  encodeRecords,
  MAX_STATE_BYTES,
  metaOf,
  RecordReader,
  readArchive,
  type SnapshotMeta,
  type SnapshotRecord,
  Spool,
  snapshotError,
  writeArchive,
} from '#snapshot'
import { RecordCheck, SCHEMA, type State } from '#state'
import type { Router } from './ports.ts'
import type { Rights } from './rights.ts'
import { askSnapshot, type SavedSnapshot } from './snapshot-call.ts'
import { Run, watched } from './snapshot-run.ts'

/** Snapshots that are saved or restored at a time. */
export const MAX_SNAPSHOTS = 2

export interface SnapshotsModules {
  readonly datacenter: string
  readonly state: State
  readonly router: Router
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Where the records are kept meanwhile. */
  readonly directory: string | undefined
  /** @throws HanseError ACL_NOT_FOUND */
  readonly rightsOf: (token: string) => Rights | Promise<Rights>
  /** The token as another datacenter may see it. */
  readonly forwarded: (token: string) => string
}

export interface SnapshotOptions {
  /** Empty: this one. */
  readonly datacenter: string
  readonly token: string
  readonly signal?: AbortSignal | undefined
}

export class Snapshots {
  readonly #modules: SnapshotsModules
  #running = 0

  constructor(modules: SnapshotsModules) {
    this.#modules = modules
  }

  /**
   * Everything of a datacenter, as of one index.
   *
   * @throws HanseError PERMISSION_DENIED, SNAPSHOT_BUSY, SNAPSHOT_TOO_LARGE, SNAPSHOT_NO_SPACE; of another datacenter
   *   REMOTE_ERROR, NO_PATH_TO_DATACENTER and others
   */
  async save(options: SnapshotOptions): Promise<SavedSnapshot> {
    const elsewhere = this.#elsewhere(options, SNAPSHOT_OP.save)
    if (elsewhere !== undefined) return askSnapshot(this.#modules.router, elsewhere, options.signal)
    await this.#authorize(options)
    const run = await this.#begin()
    try {
      const { state, clock, datacenter, log } = this.#modules
      const { spool } = run
      const sum = createHash('sha256')
      let Records = 0
      const { index, schema } = await state.dump((records) => {
        const bytes = encodeRecords(records)
        if (spool.bytes + bytes.length > MAX_STATE_BYTES) throw tooLarge()
        sum.update(bytes)
        spool.writeNow(bytes)
        Records += records.length
      })
      const facts = { Index: index, Size: spool.bytes, Schema: schema, Datacenter: datacenter, Records }
      const wallMs = clock.wallMs()
      const chunks = () => watched(clock, spool.read(), () => archive.destroy(idle('reader')))
      const archive = writeArchive(metaOf(facts, wallMs), { chunks, sum: sum.digest('hex') }, wallMs, run.end)
      log.info('snapshot saved', { index, records: Records, bytes: spool.bytes })
      return { index, archive }
    } catch (error) {
      run.end()
      throw error
    }
  }

  /**
   * Puts a snapshot in the place of everything in a datacenter. Resolves when the tables hold it.
   *
   * @throws HanseError PERMISSION_DENIED, SNAPSHOT_…, STORE_…; nothing was changed then, except that after STORE_FAILED it
   *   is unknown
   */
  async restore(options: SnapshotOptions, archive: AsyncIterable<Uint8Array>): Promise<void> {
    const elsewhere = this.#elsewhere(options, SNAPSHOT_OP.restore)
    if (elsewhere !== undefined) {
      await askSnapshot(this.#modules.router, elsewhere, options.signal, archive)
      return
    }
    await this.#authorize(options)
    const run = await this.#begin()
    try {
      const { state, log, metrics } = this.#modules
      const meta = await this.#gather(run, archive)
      await state.restore(recordsOf(run.spool), meta.Index)
      metrics.count('hanse.snapshot.restored')
      log.warn('snapshot restored', { id: meta.ID, index: state.index, records: meta.Records })
    } finally {
      run.end()
    }
  }

  async #gather({ spool }: Run, archive: AsyncIterable<Uint8Array>): Promise<SnapshotMeta> {
    const { datacenter, clock } = this.#modules
    const check = new RecordCheck()
    const gaveUp = Promise.withResolvers<never>()
    const reading = readArchive(
      watched(clock, archive, () => gaveUp.reject(idle('sender'))),
      {
        onMeta: ({ Datacenter, Schema }) => {
          if (Schema > SCHEMA) throw snapshotError('SNAPSHOT_NEWER', { what: 'schema', found: Schema, known: SCHEMA })
          if (Datacenter !== datacenter) {
            throw snapshotError('SNAPSHOT_OF_ANOTHER_DATACENTER', { found: Datacenter, datacenter })
          }
        },
        onState: async (bytes, records) => {
          for (const record of records) checkRecord(check, record)
          await spool.write(bytes)
        },
      },
    )
    reading.catch(() => {})
    return Promise.race([reading, gaveUp.promise])
  }

  /** The request for the datacenter that has to do it, if it is not this one. */
  #elsewhere({ datacenter, token }: SnapshotOptions, Op: number): SnapshotRequest | undefined {
    if (datacenter === '' || datacenter === this.#modules.datacenter) return undefined
    return SnapshotRequest.of({ Datacenter: datacenter, Op, Token: this.#modules.forwarded(token) })
  }

  async #authorize({ token }: SnapshotOptions): Promise<void> {
    const rights = await this.#modules.rightsOf(token)
    rights.need(rights.allows.snapshot(), 'acl:write')
  }

  /** @throws SNAPSHOT_BUSY, SNAPSHOT_NO_SPACE */
  async #begin(): Promise<Run> {
    if (this.#running >= MAX_SNAPSHOTS) throw snapshotError('SNAPSHOT_BUSY', { limit: MAX_SNAPSHOTS })
    this.#running++
    try {
      const spool = await Spool.open(this.#modules.directory ?? tmpdir())
      return new Run(spool, () => {
        this.#running--
      })
    } catch (error) {
      this.#running--
      throw error
    }
  }
}

const tooLarge = () => snapshotError('SNAPSHOT_TOO_LARGE', { what: 'the datacenter', limitBytes: MAX_STATE_BYTES })
const idle = (who: string) => snapshotError('SNAPSHOT_DAMAGED', { reason: `its ${who} stood still for too long` })

function checkRecord(check: RecordCheck, record: SnapshotRecord): void {
  try {
    check.check(record)
  } catch (error) {
    throw snapshotError('SNAPSHOT_UNREADABLE', { reason: messageOf(error) }, error)
  }
}

async function* recordsOf(spool: Spool): AsyncGenerator<readonly SnapshotRecord[]> {
  const reader = new RecordReader()
  for await (const chunk of spool.read()) {
    const records = reader.push(chunk)
    if (records.length > 0) yield records
  }
}
