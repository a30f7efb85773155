/**
 * The rules of a policy: HCL or JSON text → typed rules.
 *
 * `acl = "write"` grants a resource that has no names; `key "a" {…}` and `key_prefix "a/" {…}` grant by exact name and by
 * prefix. Words that are no resource are skipped, as recorded: a policy may be written for a newer server. `sentinel`
 * blocks are skipped too.
 *
 * Source: HTTP recordings "acl policy"; the public ACL rules reference.
 */
import { HanseError } from '#base'
import { parseHcl, parseJson } from '#codec'
import { aclError } from './errors.ts'

/** What a rule says. `list` is for keys only: listing as well as reading. */
export type Level = 'deny' | 'read' | 'list' | 'write'

export const SCALAR_RESOURCES = ['acl', 'keyring', 'mesh', 'operator', 'peering'] as const
export type ScalarResource = (typeof SCALAR_RESOURCES)[number]

export const NAMED_RESOURCES = ['agent', 'event', 'identity', 'key', 'node', 'query', 'service', 'session'] as const
export type NamedResource = (typeof NAMED_RESOURCES)[number]

export interface NamedRule {
  readonly resource: NamedResource
  /** The whole name, or its beginning when `prefix`. */
  readonly name: string
  readonly prefix: boolean
  readonly policy: Level
  /** Of services and identities; what is not said follows from `policy`. */
  readonly intentions?: Level
}

export interface PolicyRules {
  readonly scalars: ReadonlyMap<ScalarResource, Level>
  readonly named: readonly NamedRule[]
}

/** Longest rules of one policy, in characters; the store's largest entry is 512 KB. */
export const MAX_RULES_CHARACTERS = 512 * 1024

type RuleValue = ReturnType<typeof parseJson>
type RuleObject = { readonly [key: string]: RuleValue }

/**
 * Parses the rules of a policy.
 *
 * @throws HanseError RULES_SYNTAX, RULES_INVALID, RULES_TOO_LARGE
 */
export function parseRules(text: string): PolicyRules {
  const scalars = new Map<ScalarResource, Level>()
  const named: NamedRule[] = []
  for (const [word, value] of Object.entries(parseText(text))) {
    const keyword = word.toLowerCase()
    const scalar = SCALAR_RESOURCES.find((resource) => resource === keyword)
    if (scalar !== undefined) scalars.set(scalar, scalarLevel(scalar, value))
    const resource = NAMED_RESOURCES.find((name) => keyword === name || keyword === `${name}_prefix`)
    if (resource === undefined) continue
    for (const [name, body] of blocks(resource, value)) {
      named.push(namedRule(resource, name, keyword !== resource, body))
    }
  }
  return { scalars, named }
}

function parseText(text: string): RuleObject {
  if (text.length > MAX_RULES_CHARACTERS) {
    throw aclError('RULES_TOO_LARGE', { size: text.length, limit: MAX_RULES_CHARACTERS })
  }
  const source = { file: 'rules' }
  try {
    const parsed = text.trimStart().startsWith('{') ? parseJson(text, source) : parseHcl(text, source)
    return isObject(parsed) ? parsed : {}
  } catch (thrown) {
    if (!(thrown instanceof HanseError)) throw thrown
    const { line, column, problem } = thrown.facts
    throw aclError('RULES_SYNTAX', { line: Number(line), column: Number(column), problem: String(problem) })
  }
}

/** `{name: body}`, or lists of them where a word or a name is repeated → each name with each of its bodies. */
function blocks(resource: NamedResource, value: RuleValue): [name: string, body: RuleObject][] {
  const found: [string, RuleObject][] = []
  for (const holder of listed(value)) {
    if (!isObject(holder)) throw invalid(resource, `it needs a name and a block, such as ${resource} "x" {…}`)
    for (const [name, bodies] of Object.entries(holder)) {
      for (const body of listed(bodies)) {
        if (!isObject(body)) throw invalid(resource, `it needs a name and a block, such as ${resource} "x" {…}`)
        found.push([name, body])
      }
    }
  }
  return found
}

function namedRule(resource: NamedResource, name: string, prefix: boolean, body: RuleObject): NamedRule {
  const policy = textOf(body, 'policy')
  const level = levelOf(policy, resource === 'key')
  if (level === undefined) throw invalid(resource, badPolicy(resource, name, policy))
  const intentions = resource === 'service' || resource === 'identity' ? textOf(body, 'intentions') : ''
  if (intentions === '') return { resource, name, prefix, policy: level }
  const granted = levelOf(intentions, false)
  if (granted === undefined) {
    throw aclError('RULES_INVALID', {
      text: `Invalid ${resource} intentions policy: "${intentions}" on "${name}": it is none of read, write, deny`,
    })
  }
  return { resource, name, prefix, policy: level, intentions: granted }
}

/** The recorded text shows the parser's own structure; only that of keys is known. */
function badPolicy(resource: NamedResource, name: string, policy: string): string {
  if (resource === 'key') {
    return `&acl.KeyRule{Prefix:${JSON.stringify(name)}, Policy:${JSON.stringify(policy)}, EnterpriseRule:acl.EnterpriseRule{}}`
  }
  return `"${policy}" on "${name}": it is none of read, write, deny`
}

function scalarLevel(resource: ScalarResource, value: RuleValue): Level {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const level = levelOf(text, false)
  if (level === undefined) throw invalid(resource, `"${text}": it is none of read, write, deny`)
  return level
}

function levelOf(text: string, canList: boolean): Level | undefined {
  if (text === 'read' || text === 'write' || text === 'deny') return text
  return text === 'list' && canList ? text : undefined
}

function invalid(resource: string, problem: string): HanseError {
  return aclError('RULES_INVALID', { text: `Invalid ${resource} policy: ${problem}` })
}

function textOf(body: RuleObject, field: string): string {
  for (const [key, value] of Object.entries(body)) {
    if (key.toLowerCase() === field) return typeof value === 'string' ? value : JSON.stringify(value)
  }
  return ''
}

function listed(value: RuleValue): readonly RuleValue[] {
  return Array.isArray(value) ? value : [value]
}

function isObject(value: RuleValue): value is RuleValue & RuleObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
