/**
 * Objects that every datacenter has from its first start: two policies and the anonymous token.
 *
 * Source: identities.json; HTTP recordings.
 */
import { ACLPolicy, ACLToken } from '#codec'
import { ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET, GLOBAL_MANAGEMENT_ID, GLOBAL_READ_ONLY_ID } from './builtin-ids.ts'
import { policyHash, tokenHash } from './hashes.ts'

/** Every resource, in the recorded order: `name` alone, or with the level of intentions too. */
const EVERYTHING = [
  { scalar: 'acl' },
  { prefix: 'agent' },
  { prefix: 'event' },
  { prefix: 'key' },
  { scalar: 'keyring' },
  { prefix: 'node' },
  { scalar: 'operator' },
  { scalar: 'mesh' },
  { scalar: 'peering' },
  { prefix: 'query' },
  { prefix: 'service' },
  { prefix: 'session' },
] as const

function everything(level: 'read' | 'write'): string {
  const lines = EVERYTHING.map((resource) => {
    if ('scalar' in resource) return `\n${resource.scalar} = "${level}"`
    const intentions = resource.prefix === 'service' ? `\n\tintentions = "${level}"` : ''
    return `\n${resource.prefix}_prefix "" {\n\tpolicy = "${level}"${intentions}\n}`
  })
  return lines.join('')
}

function builtinPolicy(ID: string, Name: string, Description: string, Rules: string): ACLPolicy {
  const policy = ACLPolicy.of({ ID, Name, Description, Rules })
  return { ...policy, Hash: policyHash(policy) }
}

export const globalManagementPolicy = builtinPolicy(
  GLOBAL_MANAGEMENT_ID,
  'global-management',
  'A built-in policy that grants read and write access to all Consul features',
  everything('write'),
)

export const globalReadOnlyPolicy = builtinPolicy(
  GLOBAL_READ_ONLY_ID,
  'builtin/global-read-only',
  'A built-in policy that grants read-only access to all Consul features',
  everything('read'),
)

export const builtinPolicies: readonly ACLPolicy[] = [globalManagementPolicy, globalReadOnlyPolicy]

/** The builtin policy with this ID. */
export function builtinPolicyById(id: string): ACLPolicy | undefined {
  return builtinPolicies.find((policy) => policy.ID === id)
}

/** What a request without a token is; users may give it policies. */
export function anonymousToken(createTime: string): ACLToken {
  const token = ACLToken.of({
    AccessorID: ANONYMOUS_ACCESSOR,
    SecretID: ANONYMOUS_SECRET,
    Description: 'Anonymous Token',
    CreateTime: createTime,
  })
  return { ...token, Hash: tokenHash(token) }
}

/** A token that may do everything: the answer to a bootstrap, or the one that the configuration names. */
export function managementToken(token: { accessor: string; secret: string; description: string; createTime: string }) {
  const made = ACLToken.of({
    AccessorID: token.accessor,
    SecretID: token.secret,
    Description: token.description,
    Policies: [{ ID: globalManagementPolicy.ID, Name: globalManagementPolicy.Name }],
    CreateTime: token.createTime,
  })
  return { ...made, Hash: tokenHash(made) }
}

export const BOOTSTRAP_DESCRIPTION = 'Bootstrap Token (Global Management)'
export const INITIAL_MANAGEMENT_DESCRIPTION = 'Initial Management Token'
