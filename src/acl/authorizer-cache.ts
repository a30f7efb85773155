/**
 * One authorizer per set of policies, so that tokens with equal rights share it, and answers made for one can be shared
 * by all of them: the object itself stands for the set.
 */
import type { ACLPolicy } from '#codec'
import type { Authorizer, DefaultPolicy } from './authorizer.ts'
import { compileAuthorizer } from './compile-authorizer.ts'
import { type PolicyRules, parseRules } from './rules.ts'

/** Compiled sets that are kept; the one that was used longest ago goes. */
export const MAX_AUTHORIZERS = 4096
/** Parsed policies that are kept. */
export const MAX_PARSED_POLICIES = 8192

export class AuthorizerCache {
  readonly #defaultPolicy: DefaultPolicy
  readonly #sets = new Map<string, Authorizer>()
  readonly #parsed = new Map<string, PolicyRules>()

  constructor(options: { readonly defaultPolicy: DefaultPolicy }) {
    this.#defaultPolicy = options.defaultPolicy
  }

  /**
   * The authorizer of policies that are in force here. Their order does not matter.
   *
   * A policy whose rules cannot be parsed (written by another version) would grant too much if it were skipped: it may
   * deny. So it is an error.
   *
   * @throws HanseError RULES_SYNTAX, RULES_INVALID
   */
  of(policies: readonly ACLPolicy[]): Authorizer {
    // The index too: a hash that came from elsewhere is that datacenter's word, and no proof of what the rules are.
    const keys = policies.map(({ ID, ModifyIndex, Hash, Rules }) => {
      return `${ID}:${ModifyIndex}:${Hash?.toString('base64') ?? Rules}`
    })
    const set = [...new Set(keys)].sort().join(' ')
    return remembered(this.#sets, set, MAX_AUTHORIZERS, () => {
      const rules = policies.map((policy, index) =>
        remembered(this.#parsed, keys[index] ?? '', MAX_PARSED_POLICIES, () => parseRules(policy.Rules)),
      )
      return compileAuthorizer(rules, { defaultPolicy: this.#defaultPolicy })
    })
  }
}

function remembered<T>(cache: Map<string, T>, key: string, limit: number, make: () => T): T {
  const known = cache.get(key)
  const value = known ?? make()
  if (known !== undefined) cache.delete(key)
  cache.set(key, value)
  const oldest = cache.size > limit ? cache.keys().next().value : undefined
  if (oldest !== undefined) cache.delete(oldest)
  return value
}
