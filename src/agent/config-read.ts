/**
 * Typed reads from the merged tree: a path, a default, the kind that decoding has already made sure of.
 */
import { parseDuration } from '#base'
import { placeOf, type Tree, type TreeValue } from './config-decode.ts'

/** The merged tree with reads by path (`tls.defaults.ca_file`). */
export class TreeReader {
  readonly #root: Tree

  constructor(root: Tree) {
    this.#root = root
  }

  get(path: string): TreeValue | undefined {
    let value: TreeValue | undefined = this.#root
    for (const key of path.split('.')) {
      if (typeof value !== 'object' || Array.isArray(value)) return undefined
      value = Object.hasOwn(value, key) ? value[key] : undefined
    }
    return value
  }

  has(path: string): boolean {
    return this.get(path) !== undefined
  }

  /** Where the value came from, for messages. */
  place(path: string): string {
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    const holder = keys.length === 0 ? this.#root : this.get(keys.join('.'))
    return typeof holder === 'object' && !Array.isArray(holder) ? placeOf(holder, last) : 'its default'
  }

  string(path: string, otherwise: string): string
  string(path: string): string | undefined
  string(path: string, otherwise?: string): string | undefined {
    const value = this.get(path)
    return typeof value === 'string' ? value : otherwise
  }

  bool(path: string, otherwise: boolean): boolean {
    const value = this.get(path)
    return typeof value === 'boolean' ? value : otherwise
  }

  number(path: string, otherwise: number): number {
    const value = this.get(path)
    return typeof value === 'number' ? value : otherwise
  }

  /** A duration in milliseconds. */
  durationMs(path: string, otherwiseMs: number): number {
    const value = this.get(path)
    return typeof value === 'string' ? durationMs(value) : otherwiseMs
  }

  strings(path: string): string[] {
    const value = this.get(path)
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
  }

  stringMap(path: string): Record<string, string> {
    const value = this.get(path)
    if (typeof value !== 'object' || Array.isArray(value)) return {}
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, item]) => (typeof item === 'string' ? [[key, item] as const] : [])),
    )
  }
}

/** A duration text that decoding has accepted, in milliseconds. */
export function durationMs(text: string): number {
  return (parseDuration(text) ?? 0) / 1e6
}
