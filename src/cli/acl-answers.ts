/**
 * ACL objects as commands show them: blocks of aligned lines, or JSON.
 */
import { formatDuration } from '#base'
import type { ACLAuthMethod, ACLAuthMethodListStub, ACLBindingRule, ACLPolicy, ACLRole, ACLToken } from '#codec'
import type { CommandContext, FlagSpecs, Flags } from './command.ts'

export const FORMAT_FLAGS: FlagSpecs = {
  format: { kind: 'string', value: 'pretty|json', help: 'How to show it (default pretty)' },
  meta: { kind: 'bool', help: 'Show hash and indexes too' },
}

/** Prints a value as JSON where that is asked for, else as lines. */
export function show({ flags, print }: CommandContext, json: unknown, lines: () => readonly string[]): number {
  if (flags.choice('format', ['pretty', 'json']) === 'json') print(JSON.stringify(json, null, 4))
  else for (const line of lines()) print(line)
  return 0
}

interface Meta {
  readonly Hash?: Uint8Array | null
  readonly CreateIndex: number
  readonly ModifyIndex: number
}

function metaLines(flags: Flags, { Hash, CreateIndex, ModifyIndex }: Meta, width: number): string[] {
  if (!flags.bool('meta')) return []
  const field = (name: string, value: string | number) => `${`${name}:`.padEnd(width)}${value}`
  const hash = Hash === undefined || Hash === null ? [] : [field('Hash', Buffer.from(Hash).toString('hex'))]
  return [...hash, field('Create Index', CreateIndex), field('Modify Index', ModifyIndex)]
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `   ${line}`)

type Policy = Pick<ACLPolicy, 'ID' | 'Name' | 'Description' | 'Datacenters'> & Meta & { readonly Rules?: string }

export function policyLines(policy: Policy, flags: Flags): string[] {
  return [
    `ID:           ${policy.ID}`,
    `Name:         ${policy.Name}`,
    `Description:  ${policy.Description}`,
    `Datacenters:  ${(policy.Datacenters ?? []).join(', ')}`,
    ...metaLines(flags, policy, 14),
    ...(policy.Rules === undefined ? [] : ['Rules:', policy.Rules]),
  ]
}

/** Blocks with their names above, and an empty line at the end; nothing for none. */
export function listLines<T>(items: readonly T[], name: (item: T) => string, block: (item: T) => readonly string[]) {
  const lines = items.flatMap((item) => [`${name(item)}:`, ...indented(block(item))])
  return lines.length === 0 ? [] : [...lines, '']
}

export function policyListLines(policies: readonly Policy[], flags: Flags): string[] {
  return listLines(
    policies,
    ({ Name }) => Name,
    (policy) => policyLines(policy, flags).filter((line) => !line.startsWith('Name:')),
  )
}

type Links = Pick<ACLRole, 'Policies' | 'ServiceIdentities' | 'NodeIdentities' | 'TemplatedPolicies'> &
  Partial<Pick<ACLToken, 'Roles'>>

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...indented(lines)]
}

const where = (datacenters: readonly string[] | null) =>
  `(Datacenters: ${datacenters === null || datacenters.length === 0 ? 'all' : datacenters.join(', ')})`

function linkLines(holder: Links): string[] {
  return [
    ...section(
      'Policies:',
      (holder.Policies ?? []).map(({ ID, Name }) => `${ID} - ${Name}`),
    ),
    ...section(
      'Roles:',
      (holder.Roles ?? []).map(({ ID, Name }) => `${ID} - ${Name}`),
    ),
    ...section(
      'Service Identities:',
      (holder.ServiceIdentities ?? []).map((one) => `${one.ServiceName} ${where(one.Datacenters)}`),
    ),
    ...section(
      'Node Identities:',
      (holder.NodeIdentities ?? []).map((one) => `${one.NodeName} (Datacenter: ${one.Datacenter})`),
    ),
    ...section(
      'Templated Policies:',
      (holder.TemplatedPolicies ?? []).flatMap((one) => [
        one.TemplateName,
        ...(one.TemplateVariables?.Name ? [`   Name: ${one.TemplateVariables.Name}`] : []),
        ...(one.Datacenters?.length ? [`   Datacenters: ${one.Datacenters.join(', ')}`] : ['   Datacenters: all']),
      ]),
    ),
  ]
}

export function roleLines(role: ACLRole, flags: Flags): string[] {
  return [
    `ID:           ${role.ID}`,
    `Name:         ${role.Name}`,
    `Description:  ${role.Description}`,
    ...metaLines(flags, role, 14),
    ...linkLines(role),
    '',
  ]
}

export function roleListLines(roles: readonly ACLRole[], flags: Flags): string[] {
  return listLines(
    roles,
    ({ Name }) => Name,
    (role) => roleLines(role, flags).filter((line) => line !== '' && !line.startsWith('Name:')),
  )
}

/** `2026-11-23 08:38:38.07 +0000 UTC`. */
function timeText(time: string): string {
  return time.replace('T', ' ').replace(/Z$/, ' +0000 UTC')
}

type Token = Omit<ACLToken, 'ExpirationTTL'>

export function tokenLines(token: Token, flags: Flags): string[] {
  return [
    `AccessorID:       ${token.AccessorID}`,
    `SecretID:         ${token.SecretID}`,
    `Description:      ${token.Description}`,
    `Local:            ${token.Local}`,
    ...(token.AuthMethod === '' ? [] : [`Auth Method:      ${token.AuthMethod}`]),
    `Create Time:      ${timeText(token.CreateTime)}`,
    ...(token.ExpirationTime === null ? [] : [`Expiration Time:  ${timeText(token.ExpirationTime)}`]),
    ...metaLines(flags, token, 18),
    ...linkLines(token),
    '',
  ]
}

type Expanded = Token & {
  readonly ExpandedPolicies: readonly ACLPolicy[] | null
  readonly AgentACLDefaultPolicy: string
}

/** The token, and every policy that it comes to. */
export function expandedLines(token: Expanded, flags: Flags): string[] {
  const policies = (token.ExpandedPolicies ?? []).flatMap((policy) => [
    'Policy:',
    ...indented(policyLines(policy, flags)),
    '',
  ])
  return [...tokenLines(token, flags), ...policies, `Default Policy:   ${token.AgentACLDefaultPolicy}`, '']
}

export function authMethodLines(method: ACLAuthMethod, flags: Flags): string[] {
  return [
    `Name:          ${method.Name}`,
    `Type:          ${method.Type}`,
    `Description:   ${method.Description}`,
    ...(method.DisplayName === '' ? [] : [`DisplayName:   ${method.DisplayName}`]),
    ...(method.MaxTokenTTL === 0 ? [] : [`MaxTokenTTL:   ${ttlText(method.MaxTokenTTL)}`]),
    ...(method.TokenLocality === '' ? [] : [`TokenLocality: ${method.TokenLocality}`]),
    ...metaLines(flags, method, 15),
    'Config:',
    JSON.stringify(sortedKeys(method.Config), null, 2),
  ]
}

const ttlText = (ns: number): string => formatDuration(ns)

function sortedKeys(config: ACLAuthMethod['Config']): object {
  return Object.fromEntries(Object.entries(config ?? {}).sort(([left], [right]) => (left < right ? -1 : 1)))
}

export function authMethodListLines(methods: readonly ACLAuthMethodListStub[], flags: Flags): string[] {
  return listLines(
    methods,
    ({ Name }) => Name,
    (method) => [
      `Type:         ${method.Type}`,
      ...(method.DisplayName === '' ? [] : [`DisplayName:  ${method.DisplayName}`]),
      `Description:  ${method.Description}`,
      ...metaLines(flags, method, 14),
    ],
  )
}

export function bindingRuleLines(rule: ACLBindingRule, flags: Flags): string[] {
  return [
    `ID:           ${rule.ID}`,
    `AuthMethod:   ${rule.AuthMethod}`,
    `Description:  ${rule.Description}`,
    `BindType:     ${rule.BindType}`,
    `BindName:     ${rule.BindName}`,
    ...(rule.BindVars?.Name ? [`BindVars:     Name: ${rule.BindVars.Name}`] : []),
    `Selector:     ${rule.Selector}`,
    ...metaLines(flags, rule, 14),
  ]
}

export function bindingRuleListLines(rules: readonly ACLBindingRule[], flags: Flags): string[] {
  return listLines(
    rules,
    ({ ID }) => ID,
    (rule) => bindingRuleLines(rule, flags).filter((line) => !line.startsWith('ID:')),
  )
}
