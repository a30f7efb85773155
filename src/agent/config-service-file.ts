/**
 * Files that hold services only, as `hanse services register FILE` and `deregister FILE` take them.
 */
import { decodeTree } from './config-decode.ts'
import { type ServiceDefinitionBody, serviceBodies } from './config-definitions.ts'
import { ConfigProblems } from './config-errors.ts'
import { readSources } from './config-files.ts'
import { CONFIG_KEYS } from './config-keys.ts'
import { mergeInto } from './config-merge.ts'
import type { KeyTable } from './config-spec.ts'

const FILE_KEYS: KeyTable = Object.fromEntries(
  Object.entries(CONFIG_KEYS).filter(([key]) => key === 'service' || key === 'services'),
)

/**
 * Reads the services of files and directories, in HCL or JSON: `service { … }` or `services = [ … ]`.
 *
 * @returns bodies for `/v1/agent/service/register` in their order, and warnings for keys without effect
 * @throws HanseError CONFIG_*, HCL_SYNTAX, JSON_SYNTAX, TEXT_TOO_LARGE
 */
export function readServiceFiles(paths: readonly string[]): {
  readonly services: readonly ServiceDefinitionBody[]
  readonly warnings: readonly string[]
} {
  const warnings: string[] = []
  const problems = new ConfigProblems()
  const tree = {}
  for (const { name, value } of readSources(
    paths.map((path) => ({ type: 'file', path })),
    undefined,
    warnings,
  )) {
    mergeInto(tree, decodeTree(value, FILE_KEYS, { file: name, problems, warnings }))
  }
  const services = serviceBodies(tree, problems)
  problems.throwAny()
  return { services, warnings }
}
