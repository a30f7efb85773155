/**
 * What the commands about config entries share: which entry is meant, and its path.
 */
import { segment } from '#client'
import type { FlagSpec, FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'

/** One entry for a kind that has only one. */
const NAMES_OF_ONE: Readonly<Record<string, string>> = { mesh: 'mesh' }

export interface EntryName {
  readonly kind: string
  readonly name: string
}

export const KIND_FLAG: FlagSpec = {
  kind: 'string',
  value: 'kind',
  help: 'Kind of the entry: service-defaults, proxy-defaults, …',
}

export const ENTRY_FLAGS: FlagSpecs = {
  kind: KIND_FLAG,
  name: { kind: 'string', value: 'name', help: 'Name of the entry' },
}

export const CAS_FLAGS: FlagSpecs = {
  cas: { kind: 'bool', help: 'Only if the entry has -modify-index still' },
  'modify-index': { kind: 'number', value: 'index', help: 'For -cas; 0: only if there is no such entry' },
}

/** @throws ARGUMENTS where one of them is missing */
export function entryNameOf(flags: Flags): EntryName {
  const kind = kindOf(flags)
  const name = flags.string('name') ?? NAMES_OF_ONE[kind] ?? ''
  if (name === '') throw cliError('ARGUMENTS', { message: 'Must specify the -name parameter' })
  return { kind, name }
}

/** @throws ARGUMENTS */
export function kindOf(flags: Flags): string {
  const kind = flags.string('kind') ?? ''
  if (kind === '') throw cliError('ARGUMENTS', { message: 'Must specify the -kind parameter' })
  return kind
}

/** The parameter of a conditional change. @throws ARGUMENTS where only one half of the condition is given */
export function casOf(flags: Flags): { readonly cas: number | undefined } {
  const given = flags.bool('cas')
  const index = flags.number('modify-index')
  if (!given && index !== undefined) {
    throw cliError('ARGUMENTS', { message: 'Cannot specify -modify-index without -cas' })
  }
  if (given && index === undefined) throw cliError('ARGUMENTS', { message: 'Must specify a -modify-index with -cas' })
  return { cas: given ? index : undefined }
}

export function nameInFile(kind: string, name: string): string {
  return name === '' ? (NAMES_OF_ONE[kind] ?? '') : name
}

export const entryPath = ({ kind, name }: EntryName): string => `/v1/config/${segment(kind)}/${segment(name)}`
