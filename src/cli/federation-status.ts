/**
 * `hanse federation status`: each datacenter's gateways, gossip, RPC and replication, since when, when
 * certificates end, and what is wrong.
 */
import { goJson } from '#codec'
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command } from './command.ts'
import { type CertificateAnswer, type DatacenterAnswer, Status } from './federation-answers.ts'

const DOING = 'Error querying federation status'
const PATH = '/v1/internal/federation-status'
const JSON_INDENT = '    '
const NOTHING = '-'
/** Leafs are many, and renewed by themselves: the table has those that end first. */
const MAX_LEAFS_SHOWN = 3
/** From the longest down; a length is told in the longest unit of which there are two. */
const UNITS = [
  [86_400, 'days'],
  [3_600, 'hours'],
  [60, 'minutes'],
] as const

const orNothing = (text: string): string => (text === '' ? NOTHING : text)
const seconds = (value: number): string => `${Math.round(value * 10) / 10} s`

function gossip({ Gossip: { Alive, Failed, Left } }: DatacenterAnswer): string {
  const parts = [`${Alive} alive`, ...(Failed > 0 ? [`${Failed} failed`] : []), ...(Left > 0 ? [`${Left} left`] : [])]
  return parts.join(', ')
}

function rpc({ RPC, Local }: DatacenterAnswer): string {
  if (Local) return 'local'
  if (RPC.OK) return 'ok'
  return RPC.LastSuccessSeconds === null ? 'never worked' : `failing, worked ${seconds(RPC.LastSuccessSeconds)} ago`
}

function replication({ Replication }: DatacenterAnswer): string {
  const types = Object.values(Replication ?? {})
  if (types.length === 0) return NOTHING
  const lag = Math.max(...types.map(({ LagSeconds }) => LagSeconds))
  if (lag > 0) return `${seconds(lag)} behind`
  return types.every(({ Running }) => Running) ? 'ok' : 'stopped'
}

function overview({ Datacenters }: Status): string {
  const rows = Datacenters.map((each) => [
    each.Name,
    `${each.Primary ? 'primary' : 'secondary'}${each.Local ? ' (local)' : ''}`,
    each.State,
    orNothing(each.Since),
    `${each.Gateways.filter(({ Healthy }) => Healthy).length}/${each.Gateways.length}`,
    gossip(each),
    rpc(each),
    replication(each),
  ])
  return columns([['Datacenter', 'Role', 'State', 'Since', 'Gateways', 'Gossip', 'RPC', 'Replication'], ...rows])
}

function gateways({ Datacenters }: Status): string {
  const rows = Datacenters.flatMap(({ Name, Gateways }) =>
    Gateways.map(({ Address, Healthy, Source, LastError }) => [
      Name,
      Address,
      Healthy ? 'healthy' : 'unhealthy',
      Source,
      orNothing(LastError),
    ]),
  )
  if (rows.length === 0) return 'No mesh gateway is known.'
  return columns([['Datacenter', 'Gateway', 'Health', 'Known From', 'Last Error'], ...rows])
}

function replications({ Datacenters }: Status): string {
  const rows = Datacenters.flatMap(({ Name, Replication }) =>
    Object.entries(Replication ?? {}).map(([type, { Running, Index, LastSuccess, LastError, LagSeconds }]) => [
      Name,
      type,
      Running ? 'running' : 'stopped',
      String(Index),
      orNothing(LastSuccess),
      seconds(LagSeconds),
      // An error that a later round has put right would only mislead.
      Running && LagSeconds === 0 ? NOTHING : orNothing(LastError),
    ]),
  )
  if (rows.length === 0) return ''
  return columns([['Replicated From', 'Type', 'State', 'Index', 'Last Success', 'Behind', 'Last Error'], ...rows])
}

function lengthOf(wholeSeconds: number): string {
  for (const [size, unit] of UNITS) if (wholeSeconds >= 2 * size) return `${Math.floor(wholeSeconds / size)} ${unit}`
  return seconds(wholeSeconds)
}

function endsIn({ RemainingSeconds, State }: CertificateAnswer): string {
  if (State === 'expired') return `ended ${lengthOf(-RemainingSeconds)} ago`
  return `${lengthOf(RemainingSeconds)}${State === 'soon' ? ' (soon)' : ''}`
}

function certificates({ Certificates }: Status): string {
  if (Certificates.length === 0) return ''
  const leafs = Certificates.filter(({ Kind }) => Kind === 'leaf')
  const shown = Certificates.filter((each) => each.Kind !== 'leaf' || leafs.indexOf(each) < MAX_LEAFS_SHOWN)
  const rows = shown.map((each) => [
    `${each.Kind}${each.Active ? '' : ' (not active)'}`,
    orNothing(each.Name),
    endsIn(each),
    orNothing(each.NotAfter),
  ])
  const table = columns([['Certificate', 'Name', 'Ends In', 'Ends'], ...rows])
  const hidden = Certificates.length - shown.length
  return hidden === 0 ? table : `${table}\nLeafs that end later: ${hidden}`
}

interface NamedProblem {
  readonly where: string
  readonly code: string
  readonly message: string
  readonly hint: string
}

function problemsOf(status: Status): readonly NamedProblem[] {
  const general = { Name: '', Problems: status.Problems }
  return [general, ...status.Datacenters].flatMap(({ Name, Problems }) =>
    Problems.map(({ Code, Message, Hint }) => ({ where: Name, code: Code, message: Message, hint: Hint })),
  )
}

/** Errors of connections stand in the table only; here is what a person should do something about. */
function problems(found: readonly NamedProblem[]): string {
  if (found.length === 0) return ''
  const texts = found.map(({ where, code, message, hint }) => {
    const line = `  ${where === '' ? '' : `${where}: `}${message} (${code})`
    return hint === '' ? line : `${line}\n    hint: ${hint}`
  })
  return `Problems:\n${texts.join('\n')}`
}

function rpcErrors({ Datacenters }: Status): string {
  const failing = Datacenters.filter(({ RPC }) => !RPC.OK && RPC.LastError !== '')
  return failing
    .map(({ Name, RPC }) => {
      const since = RPC.Since === '' ? '' : ` since ${RPC.Since}`
      return `RPC to ${Name} fails${since}: ${RPC.LastError}`
    })
    .join('\n')
}

function pretty(status: Status): string {
  const encryption = `gossip ${status.GossipEncrypted ? 'encrypted' : 'not encrypted'}`
  const head = `Federation of primary datacenter ${status.PrimaryDatacenter}, domain ${status.Domain}, ${encryption}
As seen by ${status.Node} in ${status.Datacenter}`
  const blocks = [
    head,
    overview(status),
    gateways(status),
    replications(status),
    certificates(status),
    rpcErrors(status),
    problems(problemsOf(status)),
  ]
  return blocks.filter((block) => block !== '').join('\n\n')
}

function isSound(status: Status): boolean {
  return problemsOf(status).length === 0 && status.Datacenters.every(({ State }) => State === 'ok')
}

export const command: Command = {
  name: 'federation status',
  summary: 'Shows each datacenter: gateways, gossip, RPC, replication',
  help: `Shows each datacenter of the federation as the agent sees it, when the certificates of its own datacenter end, and
what is wrong: which setting, what to change. Ends with status 1 when a datacenter is degraded or unreachable, or there
is a problem.`,
  flags: {
    ...CLIENT_FLAGS,
    format: { kind: 'string', value: 'pretty or json', help: 'How to show it, default pretty' },
  },
  run(context) {
    const { flags, print } = context
    const format = flags.choice('format', ['pretty', 'json'])
    return withAgent(context, async (agent) => {
      const status = await agent.get(DOING, Status, PATH)
      print(format === 'json' ? goJson(Status.toJson(status), { indent: JSON_INDENT }) : pretty(status))
      return isSound(status) ? 0 : 1
    })
  },
}
