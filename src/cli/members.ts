/**
 * `hanse members`: the members of the LAN or WAN pool, as a table.
 */
import { formatHostPort } from '#base'
import { type Member, Members } from './agent-answers.ts'
import { withAgent } from './agent-api.ts'
import { CLIENT_FLAGS } from './api-flags.ts'
import { columns } from './columns.ts'
import type { Command, Flags } from './command.ts'
import { cliError } from './errors.ts'

const STATUS_NONE_MATCHES = 2
const STATUS_NAMES = ['none', 'alive', 'leaving', 'left', 'failed']
/** Asks for the members of all network segments. */
const ALL_SEGMENTS = '_all'

/** A member as it is shown: what tags leave open is filled in. */
interface Row {
  readonly name: string
  readonly address: string
  readonly status: string
  readonly type: 'server' | 'client' | 'unknown'
  readonly partition: string
  readonly segment: string
  readonly tags: Readonly<Record<string, string>>
}

function rowOf(member: Member): Row {
  const tags = member.Tags ?? {}
  const type = tags.role === 'consul' ? 'server' : tags.role === 'node' ? 'client' : 'unknown'
  const partition = tags.ap || 'default'
  const segment = tags.segment || (type === 'server' ? '<all>' : '<default>')
  return {
    name: member.Name,
    address: formatHostPort(member.Addr, member.Port),
    status: STATUS_NAMES[member.Status] ?? 'unknown',
    type,
    partition,
    segment,
    tags: { ...tags, ap: partition, segment },
  }
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Servers first, then the default partition, then by segment, partition and name. */
function compare(a: Row, b: Row): number {
  const rank = (yes: boolean) => (yes ? 0 : 1)
  return (
    rank(a.type === 'server') - rank(b.type === 'server') ||
    rank(a.partition === 'default') - rank(b.partition === 'default') ||
    order(a.segment, b.segment) ||
    order(a.partition, b.partition) ||
    order(a.name, b.name)
  )
}

function standard(rows: readonly Row[]): string {
  const head = ['Node', 'Address', 'Status', 'Type', 'Build', 'Protocol', 'DC', 'Partition', 'Segment']
  const cells = rows.map(({ name, address, status, type, tags, partition, segment }) => {
    // The tag is "version:revision".
    const build = (tags.build ?? '').split(':')[0] ?? ''
    return [name, address, status, type, build, tags.vsn ?? '', tags.dc ?? '', partition, segment]
  })
  return columns([head, ...cells])
}

function detailed(rows: readonly Row[]): string {
  const cells = rows.map(({ name, address, status, tags }) => {
    const pairs = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
    return [name, address, status, pairs.sort(order).join(',')]
  })
  return columns([['Node', 'Address', 'Status', 'Tags'], ...cells])
}

/** @throws FLAG_VALUE when it is no regular expression */
function statusPattern(flags: Flags): RegExp {
  const text = flags.string('status') ?? ''
  try {
    return new RegExp(text)
  } catch {
    throw cliError('FLAG_VALUE', { flag: 'status', value: text, wanted: 'a regular expression' })
  }
}

export const command: Command = {
  name: 'members',
  summary: 'Lists the members of a pool',
  help: `Lists the members of the LAN pool, or with -wan the servers of all datacenters: servers first, then by name.`,
  exits: { [STATUS_NONE_MATCHES]: 'no member matches' },
  flags: {
    ...CLIENT_FLAGS,
    wan: { kind: 'bool', help: 'Servers of all datacenters: the WAN pool' },
    detailed: { kind: 'bool', help: 'Show all tags' },
    status: { kind: 'string', value: 'regexp', help: 'Only members with such a status: alive, leaving, left, failed' },
    segment: { kind: 'string', value: 'name', help: 'Only members of a network segment' },
    filter: { kind: 'string', value: 'expression', help: 'Only members for which it is true: Tags.dc == "dc1"' },
  },
  run(context) {
    const { flags, print } = context
    const wanted = statusPattern(flags)
    return withAgent(context, async (agent) => {
      const members = await agent.get('Error retrieving members', Members, '/v1/agent/members', {
        segment: flags.string('segment') ?? ALL_SEGMENTS,
        wan: flags.bool('wan') ? '1' : undefined,
        filter: flags.string('filter'),
      })
      const rows = (members ?? []).map(rowOf).filter(({ status }) => wanted.test(status))
      if (rows.length === 0) return STATUS_NONE_MATCHES
      rows.sort(compare)
      print(flags.bool('detailed') ? detailed(rows) : standard(rows))
      return 0
    })
  },
}
