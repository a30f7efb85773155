/**
 * A token's secret → what its bearer may do, here and now.
 *
 * What this datacenter knows is answered from the tables, and kept until something that it was made of changes (a watch
 * tells), or the token ends. A secondary asks the primary about a token, or a policy of one, that has not arrived yet:
 * so a token that was made a moment ago, by a login too, is good at once. That answer counts for a while; when the
 * primary cannot be asked, the down policy decides.
 *
 * Source: RPC wire notes §10 "ACL"; federation wire notes §11.
 */
import {
  ANONYMOUS_ACCESSOR,
  ANONYMOUS_SECRET,
  type Authorizer,
  AuthorizerCache,
  aclError,
  builtinPolicyById,
  compileAuthorizer,
  expandToken,
  isExpired,
  policiesInForce,
} from '#acl'
import { type Clock, codeOf, type Logger, messageOf } from '#base'
import type { ACLPolicy, ACLRole, ACLToken, ACLTokenResponse } from '#codec'
import type { ReadTx, State, Watch } from '#state'
import type { AclPort } from './acl-port.ts'
import { ALL_RIGHTS, Rights } from './rights.ts'

/** Tokens whose rights are kept; the one that was used longest ago goes. */
export const MAX_RESOLVED_TOKENS = 8192
/** Tokens that the primary is asked about at a time; beyond it the down policy decides. */
export const MAX_ASKED_TOKENS = 256
/** Ends that are farther away than timers go wait for who asks again. */
const MAX_TIMER_MS = 24 * 3_600_000

const DENY_ALL = compileAuthorizer([], { defaultPolicy: 'deny' })
const ALLOW_ALL = compileAuthorizer([], { defaultPolicy: 'allow' })

interface Resolved {
  readonly rights: Rights
  readonly watch: Watch
  /** Wall time at which the token ends. */
  readonly endsWallMs: number
  /** When the primary has to be asked again; never, for what is known here. */
  readonly askAgainMs: number
}

export interface TokenResolverOptions {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly acl: AclPort
  readonly state: State
  readonly clock: Clock
  readonly log: Logger
  /** Asks the primary about a token by its secret, with all that it links to. */
  readonly askPrimary: (secret: string) => Promise<ACLTokenResponse>
}

export class TokenResolver {
  readonly #options: TokenResolverOptions
  readonly #authorizers: AuthorizerCache
  readonly #keys = new WeakMap<Authorizer, string>()
  /** In the order of use, oldest first. */
  readonly #resolved = new Map<string, Resolved>()
  readonly #asking = new Map<string, Promise<Rights>>()
  #lastKey = 0
  #primaryAnswers = true

  constructor(options: TokenResolverOptions) {
    this.#options = options
    this.#authorizers = new AuthorizerCache({ defaultPolicy: options.acl.defaultPolicy })
  }

  /**
   * @param token - the secret; empty for nobody in particular
   * @returns undefined when the primary has to be asked: use resolve()
   * @throws HanseError ACL_NOT_FOUND
   */
  now(token: string): Rights | undefined {
    const { acl } = this.#options
    if (!acl.enabled) return ALL_RIGHTS
    const secret = token === '' ? ANONYMOUS_SECRET : token
    return this.#valid(secret)?.rights ?? this.#fromTables(secret)
  }

  /** The same, asking the primary where that is needed. @throws HanseError ACL_NOT_FOUND */
  resolve(token: string): Rights | Promise<Rights> {
    const known = this.now(token)
    if (known !== undefined) return known
    const asked = this.#asking.get(token)
    if (asked !== undefined) return asked
    if (this.#asking.size >= MAX_ASKED_TOKENS) {
      return this.#withoutPrimary(token, undefined, new Error(`${MAX_ASKED_TOKENS} tokens are asked about already`))
    }
    const asking = this.#ask(token).finally(() => this.#asking.delete(token))
    this.#asking.set(token, asking)
    return asking
  }

  /**
   * Calls back once when the rights of a token may have become others, or none: resolve() says which.
   *
   * Not for rights that only the down policy gives: whoever waits asks again from time to time.
   *
   * @returns cancels
   */
  onChange(token: string, callback: () => void): () => void {
    const { clock, acl } = this.#options
    const known = acl.enabled ? this.#resolved.get(token === '' ? ANONYMOUS_SECRET : token) : undefined
    if (known === undefined) return () => {}
    const leftMs = Math.min(known.endsWallMs - clock.wallMs(), known.askAgainMs - clock.nowMs())
    const timer = leftMs <= MAX_TIMER_MS ? clock.after(Math.max(0, leftMs), callback) : undefined
    const unwatch = known.watch.onFire(callback)
    return () => {
      timer?.cancel()
      unwatch()
    }
  }

  /** The token as another datacenter may see it: one that is good only here stays here. */
  forwarded(token: string): string {
    if (token === '' || !this.#options.acl.enabled) return token
    const known = this.#options.state.read((tx) => tx.aclTokens.bySecret(token)).value
    return known?.Local === true ? '' : token
  }

  get #secondary(): boolean {
    return this.#options.datacenter !== this.#options.primaryDatacenter
  }

  #valid(secret: string): Resolved | undefined {
    const known = this.#resolved.get(secret)
    if (known === undefined) return undefined
    const { clock } = this.#options
    if (known.watch.fired || clock.wallMs() >= known.endsWallMs || clock.nowMs() >= known.askAgainMs) return undefined
    this.#resolved.delete(secret)
    this.#resolved.set(secret, known)
    return known
  }

  #fromTables(secret: string): Rights | undefined {
    const { value, watch } = this.#options.state.read((tx) => {
      const token = tx.aclTokens.bySecret(secret)
      return token && { token, ...linked(tx, token) }
    })
    if (value === undefined) {
      if (secret === ANONYMOUS_SECRET) return this.#nobody(watch)
      if (this.#secondary) return undefined
      throw aclError('ACL_NOT_FOUND', { subject: '' })
    }
    this.#refuseExpired(value.token)
    // In a secondary what is missing may only not have arrived yet.
    if (this.#secondary && !value.token.Local && value.missing) return undefined
    return this.#keep(secret, value.token, value.policies, watch, Number.POSITIVE_INFINITY)
  }

  /** The anonymous token before there is one. */
  #nobody(watch: Watch): Rights {
    const none = { AccessorID: ANONYMOUS_ACCESSOR, ExpirationTime: null }
    return this.#keep(ANONYMOUS_SECRET, none, [], watch, Number.POSITIVE_INFINITY)
  }

  async #ask(secret: string): Promise<Rights> {
    const { askPrimary, state, clock, acl } = this.#options
    const local = state.read((tx) => {
      const token = tx.aclTokens.bySecret(secret)
      return token && { token, ...linked(tx, token) }
    })
    try {
      const { Token, ExpandedPolicies, ExpandedRoles } = await askPrimary(secret)
      this.#primaryAnswers = true
      if (Token === null || Token.Local) throw aclError('ACL_NOT_FOUND', { subject: '' })
      this.#refuseExpired(Token)
      const { policies } = state.read((tx) => linked(tx, Token, ExpandedPolicies ?? [], ExpandedRoles ?? [])).value
      return this.#keep(secret, Token, policies, local.watch, clock.nowMs() + acl.tokenTtlMs)
    } catch (error) {
      if (codeOf(error) === 'ACL_NOT_FOUND' || /ACL not found/.test(messageOf(error))) {
        this.#resolved.delete(secret)
        throw aclError('ACL_NOT_FOUND', { subject: '' })
      }
      return this.#withoutPrimary(secret, local.value, error)
    }
  }

  /** What counts while the primary does not answer. */
  #withoutPrimary(
    secret: string,
    local: { token: ACLToken; policies: readonly ACLPolicy[] } | undefined,
    error: unknown,
  ): Rights {
    const { acl, clock, log, datacenter } = this.#options
    // Once, not for every request.
    if (this.#primaryAnswers) {
      const policy = acl.downPolicy
      log.warn('tokens of the primary are decided by the down policy', { policy, error: messageOf(error) })
    }
    this.#primaryAnswers = false
    if (local !== undefined) return this.#rights(local.token, policiesInForce(local.policies, datacenter))
    const before = this.#resolved.get(secret)
    const extends_ = acl.downPolicy === 'extend-cache' || acl.downPolicy === 'async-cache'
    if (extends_ && before !== undefined && clock.wallMs() < before.endsWallMs) return before.rights
    const authorizer = acl.downPolicy === 'allow' ? ALLOW_ALL : DENY_ALL
    return new Rights('', authorizer, this.#keyOf(authorizer, true), true)
  }

  #refuseExpired(token: ACLToken): void {
    if (isExpired(token, this.#options.clock.wallMs())) throw aclError('ACL_NOT_FOUND', { subject: '' })
  }

  #keep(
    secret: string,
    token: Pick<ACLToken, 'AccessorID' | 'ExpirationTime'>,
    policies: readonly ACLPolicy[],
    watch: Watch,
    askAgainMs: number,
  ): Rights {
    const rights = this.#rights(token, policiesInForce(policies, this.#options.datacenter))
    const endsWallMs = token.ExpirationTime === null ? Number.POSITIVE_INFINITY : Date.parse(token.ExpirationTime)
    this.#resolved.delete(secret)
    this.#resolved.set(secret, { rights, watch, endsWallMs, askAgainMs })
    const oldest = this.#resolved.size > MAX_RESOLVED_TOKENS ? this.#resolved.keys().next().value : undefined
    if (oldest !== undefined) this.#resolved.delete(oldest)
    return rights
  }

  #rights(token: Pick<ACLToken, 'AccessorID'>, policies: readonly ACLPolicy[]): Rights {
    const authorizer = this.#authorizers.of(policies)
    const authenticated = token.AccessorID !== ANONYMOUS_ACCESSOR
    return new Rights(token.AccessorID, authorizer, this.#keyOf(authorizer, authenticated), authenticated)
  }

  #keyOf(authorizer: Authorizer, authenticated: boolean): string {
    let key = this.#keys.get(authorizer)
    if (key === undefined) {
      key = `${++this.#lastKey}`
      this.#keys.set(authorizer, key)
    }
    return authenticated ? key : `${key}?`
  }
}

/** Policies and roles of a token, from the tables and from what came with it; `missing`: some are in neither. */
export function linked(
  tx: ReadTx,
  token: ACLToken,
  withPolicies: readonly ACLPolicy[] = [],
  withRoles: readonly ACLRole[] = [],
): { policies: readonly ACLPolicy[]; roles: readonly ACLRole[]; missing: boolean } {
  let missing = false
  const found = <T>(value: T | undefined): T | undefined => {
    missing ||= value === undefined
    return value
  }
  const { policies, roles } = expandToken(token, {
    policy: (id) => found(withPolicies.find(({ ID }) => ID === id) ?? tx.aclPolicies.get(id) ?? builtinPolicyById(id)),
    role: (id) => found(withRoles.find(({ ID }) => ID === id) ?? tx.aclRoles.get(id)),
  })
  return { policies, roles, missing }
}
