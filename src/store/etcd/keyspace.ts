/**
 * Where a datacenter's data is in etcd. Below a prefix of its own, `hanse/dc1/` unless configured otherwise:
 *
 * - `id`: what this is: the layout's version, the datacenter and a name that no other store has, as JSON
 * - `generation`: a number; the records of one generation are the datacenter's, those of others are being written
 *   (a restore) or removed
 * - `draft/<generation>`: names, under a lease, a generation that is being written
 * - `g/<generation>/r/<key>`: the records
 * - `g/<generation>/w/<writer>`: one small key for every server, changed by each of its commits (see commits.ts); the
 *   highest of their revisions is the revision of the last commit of all
 * - `lease/<name>`: who has a duty, written again and again by whoever has it
 *
 * A watch of `g/<generation>/` is therefore all that changes.
 */

/** Version of this layout. */
export const LAYOUT = 1

export class Keyspace {
  readonly prefix: string

  /** @param prefix - ends with a slash */
  constructor(prefix: string) {
    this.prefix = prefix
  }

  get id(): string {
    return `${this.prefix}id`
  }

  get generation(): string {
    return `${this.prefix}generation`
  }

  lease(name: string): string {
    return `${this.prefix}lease/${name}`
  }

  get drafts(): string {
    return `${this.prefix}draft/`
  }

  draft(number: number): string {
    return this.drafts + number
  }

  get generations(): string {
    return `${this.prefix}g/`
  }

  /** The generation that a key belongs to; undefined for one that belongs to none. */
  numberIn(stored: string): number | undefined {
    if (!stored.startsWith(this.generations)) return undefined
    return Number(stored.slice(this.generations.length).split('/')[0])
  }

  of(place: GenerationPlace): Generation {
    return new Generation(`${this.generations}${place.number}/`, place)
  }
}

export interface GenerationPlace {
  readonly number: number
  /** The revision that made it the datacenter's: records that were written before count as written then. */
  readonly floor: number
}

/** The keys of one generation. */
export class Generation {
  readonly number: number
  readonly floor: number
  /** All of its keys begin so. */
  readonly prefix: string
  readonly writers: string
  readonly #records: string

  /** Mod revisions, in etcd, of the records that were written before the floor and have not changed since. */
  readonly #early = new Map<string, number>()

  constructor(prefix: string, { number, floor }: GenerationPlace) {
    this.number = number
    this.floor = floor
    this.prefix = prefix
    this.writers = `${prefix}w/`
    this.#records = `${prefix}r/`
  }

  get records(): string {
    return this.#records
  }

  record(key: string): string {
    return this.#records + key
  }

  /** Takes note of where etcd has a record that counts as written at the floor. */
  noteEarly(key: string, modRevision: number): void {
    if (modRevision < this.floor) this.#early.set(key, modRevision)
  }

  forgetEarly(key: string): void {
    this.#early.delete(key)
  }

  /** The revision that etcd knows a record by, of which callers know `revision`. */
  inEtcd(key: string, revision: number): number {
    return revision === this.floor ? (this.#early.get(key) ?? revision) : revision
  }

  /** The record's key; undefined for a key that is none. */
  keyOf(stored: string): string | undefined {
    return stored.startsWith(this.#records) ? stored.slice(this.#records.length) : undefined
  }

  writer(name: string): string {
    return this.writers + name
  }
}

/** The end of the range of all keys with a prefix that ends in a slash. */
export function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`
}
