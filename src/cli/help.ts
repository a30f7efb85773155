/**
 * Help texts: the overview of commands, and one command with its flags.
 */
import { columns } from './columns.ts'
import type { Command } from './command.ts'
import { COMMANDS } from './commands.ts'

/** @param group - first word of a group ("catalog"), or empty for all */
export function overview(group: string): string {
  const names = Object.keys(COMMANDS).filter((name) => group === '' || name.startsWith(`${group} `))
  const rows = names.sort().map((name) => [`    ${name}`, COMMANDS[name]?.summary ?? ''])
  const head =
    group === '' ? 'Usage: hanse [-version] [-help] <command> [args]' : `Usage: hanse ${group} <subcommand> [args]`
  return `${head}\n\nCommands:\n${columns(rows, 4)}\n`
}

export function commandHelp(command: Command): string {
  const rows = Object.entries(command.flags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, spec]) => [`  -${name}${spec.kind === 'bool' ? '' : `=<${spec.value ?? 'value'}>`}`, spec.help])
  const usage = `Usage: hanse ${command.name}${rows.length > 0 ? ' [options]' : ''}${command.usage ? ` ${command.usage}` : ''}`
  const about = command.help ?? `${command.summary}.`
  const exits = Object.entries(command.exits ?? {}).map(([status, says]) => `  ${status}: ${says}`)
  const statuses = exits.length > 0 ? `\nExit status beside 0 and 1:\n${exits.join('\n')}\n` : ''
  return `${usage}\n\n${about}\n${rows.length > 0 ? `\nOptions:\n${columns(rows, 4)}\n` : ''}${statuses}`
}
