/**
 * Flags that say what a token or role is linked to, and what they come to.
 */
import type { ACLRole, ACLToken } from '#codec'
import type { FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'

export const LINK_FLAGS: FlagSpecs = {
  'policy-id': { kind: 'list', value: 'id', help: 'Policy by its ID; may be given several times' },
  'policy-name': { kind: 'list', value: 'name', help: 'Policy by its name; may be given several times' },
  'service-identity': { kind: 'list', value: 'name[:dc,…]', help: 'Service identity; may be given several times' },
  'node-identity': { kind: 'list', value: 'name:dc', help: 'Node identity; may be given several times' },
  'templated-policy': { kind: 'string', value: 'name', help: 'Builtin templated policy' },
  var: { kind: 'list', value: 'name:value', help: 'Variable of the templated policy' },
}

export const ROLE_LINK_FLAGS: FlagSpecs = {
  'role-id': { kind: 'list', value: 'id', help: 'Role by its ID; may be given several times' },
  'role-name': { kind: 'list', value: 'name', help: 'Role by its name; may be given several times' },
}

type Links = Pick<ACLRole, 'Policies' | 'ServiceIdentities' | 'NodeIdentities' | 'TemplatedPolicies'>

/** @throws FLAG_VALUE */
export function linksOf(flags: Flags, prefix = ''): Links {
  const template = flags.string(`${prefix}templated-policy`)
  return {
    Policies: byIdOrName(flags, `${prefix}policy`),
    ServiceIdentities: flags.list(`${prefix}service-identity`).map((text) => {
      const [ServiceName = '', datacenters] = text.split(':')
      return { ServiceName, Datacenters: datacenters === undefined ? null : datacenters.split(',') }
    }),
    NodeIdentities: flags.list(`${prefix}node-identity`).map((text) => {
      const [NodeName = '', Datacenter, ...rest] = text.split(':')
      if (Datacenter === undefined || rest.length > 0) {
        throw cliError('FLAG_VALUE', { flag: 'node-identity', value: text, wanted: 'name:datacenter' })
      }
      return { NodeName, Datacenter }
    }),
    TemplatedPolicies:
      template === undefined
        ? []
        : [{ TemplateID: '', TemplateName: template, TemplateVariables: variablesOf(flags), Datacenters: null }],
  }
}

/** `-var name:value`; templates know one variable, the name. @throws FLAG_VALUE */
export function variablesOf(flags: Flags): { Name: string } | null {
  const values = flags.list('var').map((text) => {
    const colon = text.indexOf(':')
    if (colon < 1 || text.slice(0, colon).toLowerCase() !== 'name') {
      throw cliError('FLAG_VALUE', { flag: 'var', value: text, wanted: 'name:value' })
    }
    return text.slice(colon + 1)
  })
  const Name = values.at(-1)
  return Name === undefined ? null : { Name }
}

export function rolesOf(flags: Flags, prefix = ''): ACLToken['Roles'] {
  return byIdOrName(flags, `${prefix}role`)
}

function byIdOrName(flags: Flags, what: string) {
  return [
    ...flags.list(`${what}-name`).map((Name) => ({ ID: '', Name })),
    ...flags.list(`${what}-id`).map((ID) => ({ ID, Name: '' })),
  ]
}

/** Those of both, where the second ones are added to the first. */
export function joined(before: Links, more: Links): Links {
  return {
    Policies: [...(before.Policies ?? []), ...(more.Policies ?? [])],
    ServiceIdentities: [...(before.ServiceIdentities ?? []), ...(more.ServiceIdentities ?? [])],
    NodeIdentities: [...(before.NodeIdentities ?? []), ...(more.NodeIdentities ?? [])],
    TemplatedPolicies: [...(before.TemplatedPolicies ?? []), ...(more.TemplatedPolicies ?? [])],
  }
}

/** Those of the second where it has some, else those of the first. */
export function replaced(before: Links, by: Links): Links {
  const some = <T>(list: readonly T[] | null, old: readonly T[] | null) =>
    list === null || list.length === 0 ? old : list
  return {
    Policies: some(by.Policies, before.Policies),
    ServiceIdentities: some(by.ServiceIdentities, before.ServiceIdentities),
    NodeIdentities: some(by.NodeIdentities, before.NodeIdentities),
    TemplatedPolicies: some(by.TemplatedPolicies, before.TemplatedPolicies),
  }
}
