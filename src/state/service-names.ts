/**
 * The list of services: names and the tags of their instances, kept so that it changes only when one of these does.
 *
 * The order of tags is that of the instances, so it is made anew for a name whose instances changed, and compared.
 */
import type { NodeService } from '#codec'
import { foldCase } from './keys.ts'
import type { Row, Table } from './table.ts'
import type { Topic } from './watches.ts'

type Names = ReadonlyMap<string, readonly string[]>

export const NAMES_TOPIC = 'service-names'

export class ServiceNames {
  readonly #services: Table<NodeService>
  /** By folded name: the spellings in use and their tags. */
  readonly #tags = new Map<string, Names>()
  readonly #suspects = new Set<string>()
  #list: Names | undefined
  #index = 0

  constructor(services: Table<NodeService>) {
    this.#services = services
  }

  /** Notes a change of an instance; update() looks what it means. */
  suspect(old: Row<NodeService> | undefined, next: Row<NodeService> | undefined): void {
    const sameList =
      old && next && old.value.Service === next.value.Service && sameTags(old.value.Tags ?? [], next.value.Tags ?? [])
    if (sameList) return
    for (const row of [old, next]) if (row) this.#suspects.add(foldCase(row.value.Service))
  }

  /** Once all changes are in the table. @returns whether the list changed */
  update(index: number): boolean {
    let changed = false
    for (const name of this.#suspects) {
      const tags = this.#tagsOf(name)
      if (sameNames(this.#tags.get(name), tags)) continue
      changed = true
      if (tags === undefined) this.#tags.delete(name)
      else this.#tags.set(name, tags)
    }
    this.#suspects.clear()
    if (changed) {
      this.#list = undefined
      this.#index = Math.max(this.#index, index)
    }
    return changed
  }

  /** The list is at least as new as this. */
  raise(index: number): void {
    this.#index = Math.max(this.#index, index)
  }

  #tagsOf(name: string): Names | undefined {
    const rows = this.#services.bucket('name', name)
    if (rows === undefined || rows.size === 0) return undefined
    const tags = new Map<string, Set<string>>()
    for (const { value } of rows) {
      const own = tags.get(value.Service) ?? new Set()
      for (const tag of value.Tags ?? []) own.add(tag)
      tags.set(value.Service, own)
    }
    return new Map([...tags].map(([spelling, own]) => [spelling, Object.freeze([...own])]))
  }

  /** Sorted by name. */
  list(): Names {
    this.#list ??= sortedList(this.#tags.values())
    return this.#list
  }

  /** The list as the table is now, with what a write is trying out. */
  tryList(): Names {
    const names = new Set([...this.#services.rows].map(({ value }) => foldCase(value.Service)))
    return sortedList([...names].map((name) => this.#tagsOf(name) ?? new Map()))
  }

  topic(): Topic {
    return { id: NAMES_TOPIC, index: () => this.#index }
  }
}

function sortedList(parts: Iterable<Names>): Names {
  return new Map([...parts].flatMap((names) => [...names]).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function sameTags(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((tag, position) => tag === b[position])
}

function sameNames(a: Names | undefined, b: Names | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  const entries = [...b]
  return (
    a.size === b.size &&
    [...a].every(([name, tags], at) => entries[at]?.[0] === name && sameTags(tags, entries[at]?.[1] ?? []))
  )
}
