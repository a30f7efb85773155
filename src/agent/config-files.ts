/**
 * Reading configuration files and directories: the one place of the configuration that touches disk and machine.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { extname, join } from 'node:path'
import { codeOf, messageOf } from '#base'
import { parseHcl, parseJson } from '#codec'
import { configError } from './config-errors.ts'
import type { ConfigSource } from './config-flags.ts'
import { notePlace, type TextObject, type TextValue } from './config-text.ts'

/** Most files that one directory may hold. */
const MAX_DIRECTORY_FILES = 10_000

/** What the configuration asks of the machine. */
export interface Machine {
  hostname(): string
  /** Addresses by interface name. */
  addresses(): readonly {
    readonly name: string
    readonly address: string
    readonly family: 'IPv4' | 'IPv6'
    readonly internal: boolean
  }[]
}

export const thisMachine: Machine = {
  hostname,
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([name, list]) =>
      (list ?? []).map(({ address, family, internal }) => ({ name, address, family, internal })),
    ),
}

/** A parsed source, with the name that places in it are told by. */
export interface ParsedSource {
  readonly name: string
  readonly value: TextObject
}

/**
 * Reads sources in their order; a directory stands for its `.json` and `.hcl` files in lexical order.
 *
 * @param format - for files whose name ends in neither; without it they are skipped with a warning
 * @throws HanseError CONFIG_FILE_UNREADABLE, HCL_SYNTAX, JSON_SYNTAX, TEXT_TOO_LARGE
 */
export function readSources(
  sources: readonly ConfigSource[],
  format: 'json' | 'hcl' | undefined,
  warnings: string[],
): ParsedSource[] {
  return sources.flatMap((source) => {
    if (source.type === 'text')
      return [{ name: source.name, value: parseHcl(source.text, { file: source.name, notePlace }) }]
    const isDirectory = onDisk(source.path, () => statSync(source.path).isDirectory())
    const files = isDirectory ? directoryFiles(source.path, format) : [source.path]
    return files.flatMap((file) => readOne(file, format, warnings))
  })
}

function directoryFiles(path: string, format: string | undefined): string[] {
  const entries = onDisk(path, () => readdirSync(path, { withFileTypes: true }))
  if (entries.length > MAX_DIRECTORY_FILES) {
    throw configError('CONFIG_FILE_UNREADABLE', { file: path, reason: `more than ${MAX_DIRECTORY_FILES} files` })
  }
  return entries
    .filter(
      (entry) => !entry.isDirectory() && (format !== undefined || ['.json', '.hcl'].includes(extname(entry.name))),
    )
    .map((entry) => entry.name)
    .sort()
    .map((name) => join(path, name))
    .filter((file) => onDisk(file, () => statSync(file).isFile()))
}

function readOne(file: string, format: 'json' | 'hcl' | undefined, warnings: string[]): ParsedSource[] {
  const kind = format ?? extname(file).slice(1)
  if (kind !== 'json' && kind !== 'hcl') {
    warnings.push(`skipping file ${file}, extension must be .hcl or .json, or config format must be set`)
    return []
  }
  const text = onDisk(file, () => readFileSync(file, 'utf8'))
  if (kind === 'hcl') return [{ name: file, value: parseHcl(text, { file, notePlace }) }]
  if (text.trim() === '') return []
  const value = parseJson(text, { file, notePlace })
  if (!isObject(value)) throw configError('CONFIG_FILE_UNREADABLE', { file, reason: 'expected a JSON object' })
  return [{ name: file, value }]
}

function isObject(value: TextValue): value is TextObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function onDisk<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    const code = codeOf(thrown)
    const reason =
      code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : messageOf(thrown)
    throw configError('CONFIG_FILE_UNREADABLE', { file, reason }, thrown)
  }
}
