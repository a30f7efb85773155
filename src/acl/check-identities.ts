/**
 * Checks of the identities in a token or role that someone writes.
 *
 * Source: HTTP recordings "acl role", "acl token".
 */
import type { ACLRole } from '#codec'
import { aclError } from './errors.ts'
import { isIdentityName } from './names.ts'
import { checkTemplatedPolicy } from './templated-policies.ts'

type Identities = Pick<ACLRole, 'ServiceIdentities' | 'NodeIdentities' | 'TemplatedPolicies'>

/** Who holds the identities: `local` for tokens that live in one datacenter, where lists of datacenters make no sense. */
export interface Holder {
  readonly kind: 'token' | 'role'
  readonly local: boolean
}

/**
 * @returns the identities, templates completed by ID and name; nil where there are none
 * @throws HanseError IDENTITY_INVALID
 */
export function checkIdentities(given: Identities, holder: Holder): Identities {
  return {
    ServiceIdentities: each(given.ServiceIdentities, (identity) => {
      checkServiceName(identity.ServiceName, holder)
      if (holder.local && (identity.Datacenters ?? []).length > 0) {
        refuse(`Service identity "${identity.ServiceName}" cannot specify a list of datacenters on a local token`)
      }
      return { ...identity, Datacenters: distinct(identity.Datacenters) }
    }),
    NodeIdentities: each(given.NodeIdentities, (identity) => {
      if (identity.NodeName === '') refuse(`Node identity is missing the node name field on this ${holder.kind}`)
      if (identity.Datacenter === '') refuse(`Node identity is missing the datacenter field on this ${holder.kind}`)
      if (!isIdentityName(identity.NodeName)) {
        refuse("Node identity has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed")
      }
      return identity
    }),
    TemplatedPolicies: each(given.TemplatedPolicies, (templated) => {
      if (holder.local && (templated.Datacenters ?? []).length > 0) {
        refuse(`Templated Policy "${templated.TemplateName}" cannot specify a list of datacenters on a local token`)
      }
      return { ...checkTemplatedPolicy(templated, holder.kind), Datacenters: distinct(templated.Datacenters) }
    }),
  }
}

function checkServiceName(name: string, holder: Holder): void {
  if (name === '') refuse(`Service identity is missing the service name field on this ${holder.kind}`)
  if (!isIdentityName(name)) {
    refuse(
      `Service identity "${name}" has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed`,
    )
  }
}

function each<T>(list: readonly T[] | null, check: (one: T) => T): readonly T[] | null {
  return list === null || list.length === 0 ? null : list.map(check)
}

function distinct(names: readonly string[] | null): readonly string[] | null {
  return names === null || names.length === 0 ? null : [...new Set(names)]
}

function refuse(text: string): never {
  throw aclError('IDENTITY_INVALID', { text })
}
