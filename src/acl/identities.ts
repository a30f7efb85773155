/**
 * Identities → policies. A synthetic policy is never stored; its ID and name are made from its rules, so that equal ones
 * are one.
 *
 * Source: identities.json.
 */
import { type ACLNodeIdentity, ACLPolicy, type ACLRole, type ACLServiceIdentity, type ACLTemplatedPolicy } from '#codec'
import { policyHash } from './hashes.ts'
import { NODE_TEMPLATE, renderTemplate, SERVICE_TEMPLATE } from './templated-policies.ts'

/** The recorded program appends the state of a hash that nothing was written to: FNV-1a's offset basis, 128 bits. */
const ID_SUFFIX = '6c62272e07bb014262b821756295c58d'

export function serviceIdentityPolicy(identity: ACLServiceIdentity): ACLPolicy {
  return syntheticPolicy(SERVICE_TEMPLATE, identity.ServiceName, identity.Datacenters)
}

/** In force in the node's datacenter only. */
export function nodeIdentityPolicy(identity: ACLNodeIdentity): ACLPolicy {
  return syntheticPolicy(NODE_TEMPLATE, identity.NodeName, [identity.Datacenter])
}

export function templatedPolicyPolicy(templated: ACLTemplatedPolicy): ACLPolicy {
  return syntheticPolicy(templated.TemplateName, templated.TemplateVariables?.Name ?? '', templated.Datacenters)
}

/** The policy that a template makes of a name; also what a preview answers. */
export function syntheticPolicy(template: string, name: string, datacenters: readonly string[] | null): ACLPolicy {
  const rules = renderTemplate(template, name)
  const id = `${Buffer.from(rules, 'utf8').toString('hex')}${ID_SUFFIX}`
  const policy = ACLPolicy.of({
    ID: id,
    Name: `synthetic-policy-${id}`,
    Description: `synthetic policy generated from templated policy: ${template}`,
    Rules: rules,
    Datacenters: datacenters === null || datacenters.length === 0 ? null : datacenters,
  })
  return { ...policy, Hash: policyHash(policy) }
}

type Holder = Pick<ACLRole, 'ServiceIdentities' | 'NodeIdentities' | 'TemplatedPolicies'>

/** The synthetic policies of a token and its roles, each name once: services, nodes, templates. */
export function identityPolicies(holders: readonly Holder[]): ACLPolicy[] {
  const services = widest(
    holders.flatMap((holder) => holder.ServiceIdentities ?? []),
    (identity) => identity.ServiceName,
  )
  const nodes = holders.flatMap((holder) => holder.NodeIdentities ?? [])
  const templated = widest(
    holders.flatMap((holder) => holder.TemplatedPolicies ?? []),
    (policy) => `${policy.TemplateName} ${policy.TemplateVariables?.Name ?? ''}`,
  )
  return [
    ...services.map(serviceIdentityPolicy),
    ...distinct(nodes, (node) => `${node.NodeName} ${node.Datacenter}`).map(nodeIdentityPolicy),
    ...templated.map(templatedPolicyPolicy),
  ]
}

/** Equal ones become one that is in force wherever any of them is; no datacenters: everywhere. */
function widest<T extends { readonly Datacenters: readonly string[] | null }>(
  all: readonly T[],
  key: (one: T) => string,
): T[] {
  const byKey = new Map<string, T>()
  for (const one of all) {
    const before = byKey.get(key(one))
    byKey.set(
      key(one),
      before === undefined ? one : { ...before, Datacenters: union(before.Datacenters, one.Datacenters) },
    )
  }
  return [...byKey.values()]
}

function union(left: readonly string[] | null, right: readonly string[] | null): readonly string[] | null {
  if (left === null || right === null || left.length === 0 || right.length === 0) return null
  return [...new Set([...left, ...right])]
}

function distinct<T>(all: readonly T[], key: (one: T) => string): T[] {
  return [...new Map(all.map((one) => [key(one), one])).values()]
}
