/**
 * docs/cli.md, made from the commands. A test holds the file equal to this, so it cannot go stale.
 *
 * To write it anew: `node src/cli/cli-reference.ts > docs/cli.md` with the pinned Node.
 */
import { API_FLAGS, CLIENT_FLAGS, SERVER_FLAGS } from './api-flags.ts'
import type { Command, FlagSpecs } from './command.ts'
import { COMMANDS } from './commands.ts'

const INTRODUCTION = `# Commands

\`hanse <command> [flags] [arguments]\`. Names, flags, output and exit statuses are Consul's where Consul has the command.

- Flags are written \`-flag value\`, \`-flag=value\` or with two dashes, before the arguments; \`--\` ends them. A flag that is
  yes or no takes no separate value.
- \`-h\` shows the flags of a command, \`hanse help\` all commands. A slip is answered with the nearest known word.
- Results go to standard output; errors, warnings and hints to standard error.

| exit status | when |
| --- | --- |
| 0 | done |
| 1 | failed; the error is on standard error |
| 127 | no such command |
| 130 | ended by Ctrl-C or SIGTERM |

Some commands have more; they say so below.
`

const code = (text: string): string => `\`${text}\``
const cell = (text: string): string => text.replaceAll('|', '\\|')

function flagTable(flags: FlagSpecs): string {
  const rows = Object.entries(flags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { kind, value, help }]) => {
      const usage = kind === 'bool' ? `-${name}` : `-${name}=<${value ?? 'value'}>`
      return `| ${code(usage)} | ${cell(help)} |`
    })
  return ['| flag | meaning |', '| --- | --- |', ...rows].join('\n')
}

function section(command: Command): string {
  const shared: FlagSpecs = API_FLAGS
  const own = Object.fromEntries(Object.entries(command.flags).filter(([name, spec]) => shared[name] !== spec))
  const asks = Object.keys(CLIENT_FLAGS).every((name) => Object.hasOwn(command.flags, name))
  const elsewhere = Object.keys(SERVER_FLAGS).every((name) => Object.hasOwn(command.flags, name))
  const options = Object.keys(command.flags).length > 0 ? ' [flags]' : ''
  const exits = Object.entries(command.exits ?? {}).map(([status, says]) => `Exit status ${status}: ${says}.`)
  return [
    `## hanse ${command.name}`,
    code(`hanse ${command.name}${options}${command.usage === undefined ? '' : ` ${command.usage}`}`),
    command.help ?? `${command.summary}.`,
    exits.join('\n'),
    Object.keys(own).length > 0 ? flagTable(own) : '',
    asks ? `Takes the [flags of a client](#flags-of-a-client)${elsewhere ? ' and `-datacenter`, `-stale`' : ''}.` : '',
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** The whole page. Loads every command. */
export async function renderCliReference(): Promise<string> {
  const sections: string[] = []
  for (const name of Object.keys(COMMANDS).sort()) {
    const entry = COMMANDS[name]
    if (entry) sections.push(section((await entry.load()).command))
  }
  const client = `## Flags of a client

Commands that talk to an agent have these flags; the environment variable in parentheses stands for a flag that is not
given. CONSUL_HTTP_SSL=true and CONSUL_HTTP_SSL_VERIFY=false are read too.

${flagTable(API_FLAGS)}`
  return `${[INTRODUCTION.trimEnd(), ...sections, client].join('\n\n')}\n`
}

if (import.meta.main) process.stdout.write(await renderCliReference())
