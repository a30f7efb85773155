/**
 * `hanse operator autopilot …`: how the servers of a datacenter are, and what is done about dead ones by itself.
 */
import { formatDuration } from '#base'
import { AutopilotConfig } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { AutopilotState } from './operator-answers.ts'

const CONFIGURATION = '/v1/operator/autopilot/configuration'

export function configText(config: AutopilotConfig): string {
  return [
    `CleanupDeadServers = ${config.CleanupDeadServers}`,
    `LastContactThreshold = ${formatDuration(config.LastContactThreshold)}`,
    `MaxTrailingLogs = ${config.MaxTrailingLogs}`,
    `MinQuorum = ${config.MinQuorum}`,
    `ServerStabilizationTime = ${formatDuration(config.ServerStabilizationTime)}`,
    `RedundancyZoneTag = ${JSON.stringify(config.RedundancyZoneTag)}`,
    `DisableUpgradeMigration = ${config.DisableUpgradeMigration}`,
    `UpgradeVersionTag = ${JSON.stringify(config.UpgradeVersionTag)}`,
  ].join('\n')
}

const read = (agent: AgentApi) => agent.get('Error querying Autopilot configuration', AutopilotConfig, CONFIGURATION)

export const getConfig: Command = {
  name: 'operator autopilot get-config',
  summary: 'Shows what is done about dead servers',
  help: 'Shows the configuration of autopilot.',
  flags: API_FLAGS,
  run: (context) =>
    withAgent(context, async (agent) => {
      context.print(configText(await read(agent)))
      return 0
    }),
}

/** What flags change. @throws FLAG_VALUE */
function changed(flags: Flags): Partial<Record<string, unknown>> {
  const cleanup = flags.string('cleanup-dead-servers')
  if (cleanup !== undefined && !/^(true|false)$/.test(cleanup)) {
    throw cliError('FLAG_VALUE', { flag: 'cleanup-dead-servers', value: cleanup, wanted: 'true or false' })
  }
  const given = {
    CleanupDeadServers: cleanup === undefined ? undefined : cleanup === 'true',
    LastContactThreshold: flags.string('last-contact-threshold'),
    MaxTrailingLogs: flags.number('max-trailing-logs'),
    MinQuorum: flags.number('min-quorum'),
    ServerStabilizationTime: flags.string('server-stabilization-time'),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

export const setConfig: Command = {
  name: 'operator autopilot set-config',
  summary: 'Changes what is done about dead servers',
  help: 'What is not named stays as it is. With -cas only if nobody else has changed it meanwhile.',
  flags: {
    ...API_FLAGS,
    'cleanup-dead-servers': { kind: 'string', value: 'true|false', help: 'Take dead servers out by itself' },
    'last-contact-threshold': { kind: 'string', value: 'duration', help: 'Kept for tools of Consul; not judged by' },
    'max-trailing-logs': { kind: 'number', value: 'n', help: 'Kept for tools of Consul; not judged by' },
    'min-quorum': { kind: 'number', value: 'n', help: 'Servers that stay alive at least when dead ones are taken out' },
    'server-stabilization-time': {
      kind: 'string',
      value: 'duration',
      help: 'How long a server is dead, or alive, before that counts',
    },
    cas: { kind: 'bool', help: 'Only if it is still what was read' },
  },
  run: (context) => withAgent(context, (agent) => change(agent, context)),
}

async function change(agent: AgentApi, { flags, print, warn }: CommandContext): Promise<number> {
  const before = await read(agent)
  const body = { ...Object(AutopilotConfig.toJson(before)), ...changed(flags) }
  const query = flags.bool('cas') ? { cas: before.ModifyIndex } : {}
  const doing = 'Error setting Autopilot configuration'
  const { body: answer } = await agent.send(doing, 'PUT', CONFIGURATION, { query, body })
  if (flags.bool('cas') && answer.toString().trim() !== 'true') {
    warn('Configuration could not be atomically updated, please try again')
    return 1
  }
  print('Configuration updated!')
  return 0
}

/** As Consul prints it; -format json shows all that there is. */
export function stateText(state: AutopilotState): string {
  const servers = Object.values(state.Servers ?? {}).sort((a, b) => (a.ID < b.ID ? -1 : 1))
  const lines = [
    `Healthy:                      ${state.Healthy}`,
    `Failure Tolerance:            ${state.FailureTolerance}`,
    `Optimistic Failure Tolerance: ${state.OptimisticFailureTolerance}`,
    `Leader:                       ${state.Leader}`,
    'Voters:',
    ...(state.Voters ?? []).map((id) => `   ${id}`),
    'Servers:',
  ]
  for (const server of servers) {
    lines.push(
      `   ${server.ID}`,
      `      Name:            ${server.Name}`,
      `      Address:         ${server.Address}`,
      `      Version:         ${server.Version}`,
      `      Status:          ${server.Status}`,
      `      Node Type:       ${server.NodeType}`,
      `      Node Status:     ${server.NodeStatus}`,
      `      Healthy:         ${server.Healthy}`,
      `      Last Contact:    ${server.LastContact}`,
      `      Last Term:       ${server.LastTerm}`,
      `      Last Index:      ${server.LastIndex}`,
      '      Meta',
      ...Object.entries(server.Meta ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `         ${JSON.stringify(key)}: ${JSON.stringify(value)}`),
    )
  }
  return `${lines.join('\n')}\n`
}

export const state: Command = {
  name: 'operator autopilot state',
  summary: 'Shows how the servers of a datacenter are',
  help: 'Healthy is a server that is alive in gossip and answers.',
  flags: {
    ...API_FLAGS,
    format: { kind: 'string', value: 'pretty|json', help: 'How to show it, default pretty' },
  },
  run(context) {
    const format = context.flags.string('format') ?? 'pretty'
    if (format !== 'pretty' && format !== 'json') {
      throw cliError('FLAG_VALUE', { flag: 'format', value: format, wanted: 'pretty or json' })
    }
    return withAgent(context, async (agent) => {
      const doing = 'Error retrieving autopilot state'
      if (format === 'json') {
        const { body } = await agent.send(doing, 'GET', '/v1/operator/autopilot/state', { query: { pretty: true } })
        context.print(body.toString().trimEnd())
      } else context.print(stateText(await agent.get(doing, AutopilotState, '/v1/operator/autopilot/state')))
      return 0
    })
  },
}
