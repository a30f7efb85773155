/**
 * Test helpers: objects in memory as a writing transaction would show them, and recorded vectors.
 */
import { readFileSync } from 'node:fs'
import { type ACLAuthMethod, type ACLBindingRule, ACLPolicy, ACLRole, type ACLToken } from '#codec'
import type { LinkedObjects } from './resolve.ts'
import type { StoredObjects } from './stored-objects.ts'

export class MemoryObjects implements StoredObjects, LinkedObjects {
  readonly policies = new Map<string, ACLPolicy>()
  readonly roles = new Map<string, ACLRole>()
  readonly tokens = new Map<string, ACLToken>()
  readonly authMethods = new Map<string, ACLAuthMethod>()
  readonly bindingRules = new Map<string, ACLBindingRule>()

  policyById = (id: string) => this.policies.get(id)
  policyByName = (name: string) => [...this.policies.values()].find((policy) => policy.Name === name)
  roleById = (id: string) => this.roles.get(id)
  roleByName = (name: string) => [...this.roles.values()].find((role) => role.Name === name)
  tokenByAccessor = (accessor: string) => this.tokens.get(accessor)
  tokenBySecret = (secret: string) => [...this.tokens.values()].find((token) => token.SecretID === secret)
  authMethodByName = (name: string) => this.authMethods.get(name)
  bindingRuleById = (id: string) => this.bindingRules.get(id)
  policy = this.policyById
  role = this.roleById

  /** Stores a policy, named as its ID. */
  withPolicy(id: string, given: Partial<ACLPolicy> = {}): this {
    this.policies.set(id, ACLPolicy.of({ ID: id, Name: id, ...given }))
    return this
  }

  withRole(id: string, given: Partial<ACLRole> = {}): this {
    this.roles.set(id, ACLRole.of({ ID: id, Name: id, ...given }))
    return this
  }
}

/** A file of test/vectors/. */
export function vector<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../test/vectors/${name}`, import.meta.url), 'utf8')) as T
}

export interface Exchange {
  readonly n: number
  readonly request: {
    readonly to: string
    readonly method: string
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
  }
  readonly response: { readonly status: number; readonly body: string }
}

export const recordedExchanges = vector<{ exchanges: Exchange[] }>('http-acl.json').exchanges
