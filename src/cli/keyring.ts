/**
 * `hanse keyring`: the gossip keys of the WAN pool and of every datacenter's LAN pool.
 */
import { KeyringResponse, list } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, Flags } from './command.ts'
import { cliError } from './errors.ts'

const PATH = '/v1/operator/keyring'
const MAX_RELAY_FACTOR = 5
const Responses = list(KeyringResponse)
const LISTS = ['list', 'list-primary'] as const
/** What changes keys: the method of the request, what is said before, and the frame of its error. */
const CHANGES = {
  install: { method: 'POST', say: 'Installing new gossip encryption key...', doing: 'Error installing key' },
  use: { method: 'PUT', say: 'Changing primary gossip encryption key...', doing: 'Error changing primary key' },
  remove: { method: 'DELETE', say: 'Removing gossip encryption key...', doing: 'Error removing key' },
} as const
const CHANGE_NAMES = ['install', 'use', 'remove'] as const
type Action = (typeof LISTS)[number] | (typeof CHANGE_NAMES)[number]

/** The one thing to do. @throws ARGUMENTS when none or several are asked for */
function actionOf(flags: Flags): Action {
  const asked = [
    ...LISTS.filter((name) => flags.bool(name)),
    ...CHANGE_NAMES.filter((name) => (flags.string(name) ?? '') !== ''),
  ]
  const [action] = asked
  if (action !== undefined && asked.length === 1) return action
  const found = asked.length === 0 ? 'none is given' : asked.map((name) => `-${name}`).join(' and ')
  throw cliError('ARGUMENTS', {
    message: `Run "keyring": one of -list, -list-primary, -install, -use, -remove is needed: ${found}`,
  })
}

/** @throws FLAG_VALUE */
function relayFactor(flags: Flags): number | undefined {
  const factor = flags.number('relay-factor')
  if (factor === undefined || (factor >= 0 && factor <= MAX_RELAY_FACTOR)) return factor
  throw cliError('FLAG_VALUE', { flag: 'relay-factor', value: String(factor), wanted: `0 to ${MAX_RELAY_FACTOR}` })
}

function poolName({ WAN, Datacenter, Segment }: KeyringResponse): string {
  if (WAN) return 'WAN'
  return Segment === '' ? `${Datacenter} (LAN)` : `${Datacenter} (LAN) [${Segment}]`
}

async function show(agent: AgentApi, context: CommandContext, primary: boolean): Promise<number> {
  const { flags, print, warn } = context
  print(`==> Gathering installed ${primary ? 'primary ' : ''}encryption keys...`)
  const query = { 'relay-factor': relayFactor(flags), 'local-only': flags.bool('local-only') ? 'true' : undefined }
  const pools = (await agent.get('Error listing keys', Responses, PATH, query)) ?? []
  for (const pool of pools) {
    const keys = Object.entries((primary ? pool.PrimaryKeys : pool.Keys) ?? {})
    // A pool of which some members answered has both keys and an error.
    if (keys.length === 0 && pool.Error !== '') continue
    const lines = keys
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, nodes]) => `  ${key} [${nodes}/${pool.NumNodes}]`)
    print(`\n${[`${poolName(pool)}:`, ...lines].join('\n')}`)
  }
  const silent = pools.filter((each) => each.Error !== '')
  if (silent.length > 0) warn('')
  for (const pool of silent) {
    warn(`Error listing keys of ${poolName(pool)}: ${pool.Error}`)
    for (const [node, message] of Object.entries(pool.Messages ?? {})) warn(`  ${node}: ${message}`)
  }
  return silent.length > 0 ? 1 : 0
}

async function change(agent: AgentApi, context: CommandContext, name: keyof typeof CHANGES): Promise<number> {
  const { method, say, doing } = CHANGES[name]
  context.print(`==> ${say}`)
  await agent.send(doing, method, PATH, {
    query: { 'relay-factor': relayFactor(context.flags) },
    body: { Key: context.flags.string(name) ?? '' },
  })
  return 0
}

export const command: Command = {
  name: 'keyring',
  summary: 'Shows and changes the gossip keys of all datacenters',
  help: `Exactly one of -list, -list-primary, -install, -use, -remove. A key is changed in all datacenters or the command
fails. A list shows the datacenters that can be reached; for each that cannot it says why, and ends with status 1.
To rotate a key: -install the new one, -use it, -remove the old one.`,
  flags: {
    ...CLIENT_FLAGS,
    list: { kind: 'bool', help: 'Show all keys, and how many members have each' },
    'list-primary': { kind: 'bool', help: 'Show the keys that are encrypted with' },
    install: { kind: 'string', value: 'key', help: 'Give a new key to all members' },
    use: { kind: 'string', value: 'key', help: 'Encrypt with this key, which must be installed' },
    remove: { kind: 'string', value: 'key', help: 'Take a key away, which must not be in use' },
    'relay-factor': {
      kind: 'number',
      value: '0-5',
      help: 'Members that answers are relayed through as well, default 0',
    },
    'local-only': { kind: 'bool', help: 'With -list: only what the agent itself knows of its LAN pool' },
  },
  run(context) {
    const action = actionOf(context.flags)
    relayFactor(context.flags)
    if (context.flags.bool('local-only') && action !== 'list' && action !== 'list-primary') {
      throw cliError('ARGUMENTS', { message: `Run "keyring": -local-only goes with -list: -${action} is given` })
    }
    return withAgent(context, (agent) => {
      if (action === 'list' || action === 'list-primary') return show(agent, context, action === 'list-primary')
      return change(agent, context, action)
    })
  },
}
