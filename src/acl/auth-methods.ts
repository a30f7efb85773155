/**
 * Auth methods: who they trust, checked when they are written, and the login through them.
 *
 * Source: RPC wire notes §10 "ACL"; HTTP recordings "acl auth methods and login".
 */
import { type Clock, formatDuration } from '#base'
import type { ACLAuthMethod } from '#codec'
import type { IdentityShape, LoginIdentity } from './bindings.ts'
import { aclError } from './errors.ts'
import type { HttpTransport } from './http-transport.ts'
import { jwtConfig, jwtShape } from './jwt-config.ts'
import { KeySource } from './jwt-keys.ts'
import { jwtLogin } from './jwt-login.ts'
import { KUBERNETES_SHAPE, kubernetesConfig, kubernetesLogin } from './kubernetes-login.ts'
import { authMethodNameProblem } from './names.ts'
import type { ExpirationBounds } from './prepare-token.ts'

export interface AuthMethodModules {
  readonly transport: HttpTransport
  readonly clock: Clock
}

/** One auth method, ready for logins. Keep it as long as the method is unchanged: it holds fetched keys. */
export interface AuthMethod {
  readonly name: string
  readonly shape: IdentityShape
  /** @throws HanseError LOGIN_REFUSED, LOGIN_UNAVAILABLE */
  login(bearerToken: string, signal?: AbortSignal): Promise<LoginIdentity>
}

/** Longest bearer token that is looked at. */
export const MAX_BEARER_CHARACTERS = 64 * 1024

const TYPES = ['jwt', 'kubernetes'] as const
type AuthMethodType = (typeof TYPES)[number]

/** @throws HanseError AUTH_METHOD_INVALID */
export function authMethod(stored: ACLAuthMethod, modules: AuthMethodModules): AuthMethod {
  const { shape, login } = MAKERS[typeOf(stored)](stored, modules)
  return {
    name: stored.Name,
    shape,
    login: async (bearerToken, signal) => {
      if (bearerToken.length > MAX_BEARER_CHARACTERS) {
        throw aclError('LOGIN_REFUSED', {
          method: stored.Name,
          reason: `it has ${bearerToken.length} characters and the limit is ${MAX_BEARER_CHARACTERS}`,
        })
      }
      return await login(bearerToken.trim(), signal)
    },
  }
}

/** What selectors and names of a method's binding rules may refer to. */
export function identityShape(stored: ACLAuthMethod): IdentityShape {
  return typeOf(stored) === 'kubernetes' ? KUBERNETES_SHAPE : jwtShape(jwtConfig(stored.Config))
}

type Maker = (stored: ACLAuthMethod, modules: AuthMethodModules) => Pick<AuthMethod, 'shape' | 'login'>

const MAKERS: Readonly<Record<AuthMethodType, Maker>> = {
  kubernetes: (stored, { transport }) => {
    const config = kubernetesConfig(stored.Config)
    return {
      shape: KUBERNETES_SHAPE,
      login: (bearerToken, signal) => kubernetesLogin(stored.Name, config, bearerToken, transport, signal),
    }
  },
  jwt: (stored, modules) => {
    const config = jwtConfig(stored.Config)
    const keys = new KeySource(config.keys, modules)
    return {
      shape: jwtShape(config),
      login: (bearerToken) => jwtLogin(stored.Name, config, bearerToken, keys, modules.clock.wallMs()),
    }
  },
}

export interface AuthMethodRules {
  /** The method of that name as it is; undefined for a new one. */
  readonly before: ACLAuthMethod | undefined
  /** Whether this is the primary datacenter. */
  readonly primary: boolean
  readonly bounds: ExpirationBounds
}

/**
 * An auth method that someone writes → what is stored.
 *
 * @throws HanseError AUTH_METHOD_INVALID
 */
export function prepareAuthMethod(given: ACLAuthMethod, rules: AuthMethodRules): ACLAuthMethod {
  const nameProblem = authMethodNameProblem(given.Name)
  if (nameProblem !== undefined) throw invalid(nameProblem)
  const Type = given.Type === '' ? (rules.before?.Type ?? '') : given.Type
  if (rules.before !== undefined && Type !== rules.before.Type) {
    throw invalid("Changing an auth method's type is not permitted")
  }
  const method = { ...given, Type }
  typeOf(method)
  const locality = localityProblem(method.TokenLocality, rules.primary) ?? ttlProblem(method.MaxTokenTTL, rules.bounds)
  if (locality !== undefined) throw invalid(locality)
  identityShape(method)
  if (Type === 'kubernetes') kubernetesConfig(method.Config)
  return method
}

function localityProblem(locality: string, primary: boolean): string | undefined {
  if (locality === '' || locality === 'local') return undefined
  if (locality !== 'global') return `TokenLocality should be one of 'local' or 'global'`
  return primary ? undefined : "TokenLocality 'global' can only be used in the primary datacenter"
}

function ttlProblem(ttlNs: number, { minTtlNs, maxTtlNs }: ExpirationBounds): string | undefined {
  if (ttlNs === 0) return undefined
  if (ttlNs < minTtlNs) return `MaxTokenTTL ${formatDuration(ttlNs)} cannot be less than ${formatDuration(minTtlNs)}`
  return ttlNs > maxTtlNs
    ? `MaxTokenTTL ${formatDuration(ttlNs)} cannot be more than ${formatDuration(maxTtlNs)}`
    : undefined
}

function typeOf(method: ACLAuthMethod): AuthMethodType {
  const type = TYPES.find((name) => name === method.Type)
  if (type === undefined) throw invalid(`Type should be one of: [${TYPES.join(' ')}]`)
  return type
}

function invalid(problem: string) {
  return aclError('AUTH_METHOD_INVALID', { problem })
}
