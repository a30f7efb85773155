/**
 * Content hashes of policies, roles and tokens: how a secondary sees that its copy is old.
 *
 * The parts and their order are those of recorded objects, so that a mixed federation does not rewrite what is equal.
 * Not in the hash: accessors, secrets, times and indexes.
 *
 * Source: RPC wire notes §4 "Hash fields"; order found from recorded objects.
 */
import type { ACLPolicy, ACLRole, ACLToken } from '#codec'
import { blake2b256 } from './blake2b.ts'

type Identified = Pick<ACLRole, 'ServiceIdentities' | 'NodeIdentities' | 'TemplatedPolicies'>

export function policyHash(policy: Pick<ACLPolicy, 'Name' | 'Description' | 'Rules' | 'Datacenters'>): Buffer {
  return hash([policy.Name, policy.Description, policy.Rules, ...(policy.Datacenters ?? [])])
}

export function roleHash(role: Identified & Pick<ACLRole, 'Name' | 'Description' | 'Policies'>): Buffer {
  return hash([role.Name, role.Description, ...ids(role.Policies), ...identityParts(role)])
}

export function tokenHash(token: Identified & Pick<ACLToken, 'Description' | 'Local' | 'Policies' | 'Roles'>): Buffer {
  const locality = token.Local ? 'local' : 'global'
  return hash([token.Description, locality, ...ids(token.Policies), ...ids(token.Roles), ...identityParts(token)])
}

function ids(links: ACLRole['Policies']): string[] {
  return (links ?? []).map((link) => link.ID)
}

function identityParts(holder: Identified): string[] {
  return [
    ...(holder.ServiceIdentities ?? []).flatMap((one) => [one.ServiceName, ...(one.Datacenters ?? [])]),
    ...(holder.NodeIdentities ?? []).flatMap((one) => [one.NodeName, one.Datacenter]),
    ...(holder.TemplatedPolicies ?? []).flatMap((one) => [
      one.TemplateID,
      one.TemplateName,
      one.TemplateVariables?.Name ?? '',
      ...(one.Datacenters ?? []),
    ]),
  ]
}

function hash(parts: readonly string[]): Buffer {
  return blake2b256(Buffer.from(parts.join(''), 'utf8'))
}
