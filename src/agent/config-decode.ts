/**
 * A parsed file → a tree with canonical keys whose values have the kinds of the key table.
 *
 * Here unknown keys and wrong types are found and warnings for unused keys made, each with file and line. Merging and
 * meaning come later (config-merge.ts, config-build.ts).
 */
import { parseDuration } from '#base'
import { type ConfigProblems, configError } from './config-errors.ts'
import { type ConfigKind, findKey, type KeySpec, type KeyTable, nearestKey } from './config-spec.ts'
import { positionOf, type TextObject, type TextValue } from './config-text.ts'

/** A value after decoding: kinds are as the table says, `null` is gone. */
export type TreeValue = string | number | boolean | TreeValue[] | Tree
export interface Tree {
  [key: string]: TreeValue
}

/** Deepest nesting in free-form values (`any`), for example options of a proxy. */
const MAX_ANY_DEPTH = 50

const places = new WeakMap<object, Map<string, string>>()

/** Where a key of a tree came from: `server.hcl:3`, `flag -bind`; `its default` when nothing set it. */
export function placeOf(tree: Tree, key: string): string {
  return places.get(tree)?.get(key) ?? 'its default'
}

/** Notes where a key of a tree came from. */
export function setPlace(tree: Tree, key: string, place: string): void {
  const known = places.get(tree) ?? new Map<string, string>()
  known.set(key, place)
  places.set(tree, known)
}

export interface DecodeContext {
  readonly file: string
  readonly problems: ConfigProblems
  readonly warnings: string[]
}

const EXPECTED: Readonly<Record<ConfigKind, string>> = {
  string: 'a string',
  bool: 'true or false',
  int: 'a whole number',
  float: 'a number',
  duration: 'a duration such as "30s"',
  strings: 'a list of strings',
  'string map': 'an object of strings',
  'lists by name': 'an object of lists of strings',
  'durations by name': 'an object of durations',
  object: 'an object',
  objects: 'a list of objects',
  'objects by name': 'an object of objects',
  any: 'any value',
}

/** Decodes an object against a table. Faults go to `context.problems`; what is left is usable. */
export function decodeTree(source: TextObject, table: KeyTable, context: DecodeContext, path = ''): Tree {
  const tree: Tree = {}
  const inDefinition = /^(services?|checks?)\b/.test(path)
  for (const [key, value] of Object.entries(source)) {
    if (value === null || key.startsWith('//')) continue
    const position = positionOf(source, key)
    const place = position ? `${context.file}:${position.line}` : context.file
    const name = findKey(table, key, inDefinition)
    const spec = name === undefined ? undefined : table[name]
    const fullKey = path === '' ? (name ?? key) : `${path}.${name ?? key}`
    if (name === undefined || !spec) {
      const nearest = nearestKey(table, key)
      context.problems.add(configError('CONFIG_UNKNOWN_KEY', { key: fullKey, place, nearest }))
      continue
    }
    if (spec.status === 'known') {
      context.warnings.push(`Key "${fullKey}" at ${place} has no effect: Consul knows it, Hanse does not use it`)
    }
    const decoded = decodeValue(
      value,
      spec,
      { ...context, ...(spec.status === 'known' ? { warnings: [] } : {}) },
      fullKey,
    )
    if (decoded === undefined) {
      context.problems.add(
        configError('CONFIG_WRONG_TYPE', { key: fullKey, place, expected: EXPECTED[spec.kind], got: nameOf(value) }),
      )
      continue
    }
    tree[name] = decoded
    setPlace(tree, name, place)
  }
  return tree
}

/** The value in the kind of its key; undefined when it is of another. */
function decodeValue(value: TextValue, spec: KeySpec, context: DecodeContext, path: string): TreeValue | undefined {
  switch (spec.kind) {
    case 'string':
      return typeof value === 'string' ? value : undefined
    case 'bool':
      return typeof value === 'boolean' ? value : undefined
    case 'int':
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
    case 'float':
      return typeof value === 'number' ? value : undefined
    case 'duration':
      return isDuration(value) ? value : undefined
    case 'strings':
      return stringList(value)
    case 'string map':
      return mapOf(value, (item) => (typeof item === 'string' ? item : undefined))
    case 'lists by name':
      return mapOf(value, stringList)
    case 'durations by name':
      return mapOf(value, (item) => (isDuration(item) ? item : undefined))
    case 'object': {
      const object = oneObject(value)
      return object && decodeTree(object, spec.keys ?? {}, context, path)
    }
    case 'objects': {
      const list = Array.isArray(value) ? value : [value]
      if (!list.every(isObject)) return undefined
      return list.map((item) => decodeTree(item, spec.keys ?? {}, context, path))
    }
    case 'objects by name':
      return mapOf(value, (item) => {
        const object = oneObject(item)
        return object && decodeTree(object, spec.keys ?? {}, context, path)
      })
    case 'any':
      return value === null ? undefined : plain(value, 0)
  }
}

function isObject(value: TextValue): value is TextObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object, or a list of one, which HCL writers make of a block. */
function oneObject(value: TextValue): TextObject | undefined {
  const only = Array.isArray(value) && value.length === 1 ? value[0] : value
  return only !== undefined && isObject(only) ? only : undefined
}

function isDuration(value: TextValue): value is string {
  return typeof value === 'string' && parseDuration(value) !== undefined
}

function stringList(value: TextValue): string[] | undefined {
  const list = Array.isArray(value) ? value : [value]
  return list.every((item) => typeof item === 'string') ? list : undefined
}

function mapOf(value: TextValue, decode: (item: TextValue) => TreeValue | undefined): Tree | undefined {
  const object = oneObject(value)
  if (!object) return undefined
  const out: Tree = {}
  for (const [key, item] of Object.entries(object)) {
    const decoded = key === '__proto__' ? undefined : decode(item)
    if (decoded === undefined) return undefined
    out[key] = decoded
  }
  return out
}

/** Free-form values: `null` members are left out; undefined for one nested too deep or with a key `__proto__`. */
function plain(value: Exclude<TextValue, null>, depth: number): TreeValue | undefined {
  if (depth > MAX_ANY_DEPTH) return undefined
  if (typeof value !== 'object') return value
  const out: Tree = {}
  const list: TreeValue[] = []
  for (const [key, item] of Object.entries(value)) {
    if (item === null) continue
    const decoded = key === '__proto__' ? undefined : plain(item, depth + 1)
    if (decoded === undefined) return undefined
    if (Array.isArray(value)) list.push(decoded)
    else out[key] = decoded
  }
  return Array.isArray(value) ? list : out
}

function nameOf(value: TextValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'boolean') return String(value)
  return typeof value === 'number' ? `the number ${value}` : 'a string'
}
