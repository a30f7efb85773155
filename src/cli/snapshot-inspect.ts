/**
 * `hanse snapshot inspect`: what is in a file of `hanse snapshot save`, without a server.
 */
import { goJson } from '#codec'
import { type Share, type Shares, type SnapshotMeta, Summary } from '#snapshot'
import { columns } from './columns.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'
import { checkedFile } from './snapshot-file.ts'

const DEFAULT_KV_DEPTH = 2
/** Spaces between columns. */
const GUTTER = 6
const RULE = '----'

export const command: Command = {
  name: 'snapshot inspect',
  summary: 'Shows what is in a saved snapshot',
  usage: 'FILE',
  help: 'Reads a file of `hanse snapshot save` to its end, checks it, and shows what it holds by type. Asks no agent.',
  args: [1, 1],
  flags: {
    kvdetails: {
      kind: 'bool',
      help: 'Also the entries of the key/value store, gathered by the beginnings of their keys',
    },
    kvdepth: {
      kind: 'number',
      value: 'levels',
      help: `With -kvdetails: how many levels of keys; default ${DEFAULT_KV_DEPTH}`,
    },
    kvfilter: { kind: 'string', value: 'prefix', help: 'With -kvdetails: only keys that begin so' },
    format: { kind: 'string', value: 'format', help: 'pretty or json; default pretty' },
  },
  async run({ flags, args, print }) {
    const format = flags.choice('format', ['pretty', 'json'])
    const details = flags.bool('kvdetails')
    const depth = flags.number('kvdepth') ?? DEFAULT_KV_DEPTH
    if (depth < 1) throw cliError('FLAG_VALUE', { flag: 'kvdepth', value: String(depth), wanted: 'a number from 1 on' })
    const summary = new Summary({ depth, prefix: flags.string('kvfilter') ?? '' })
    const meta = await checkedFile(args[0] ?? '', (records) => {
      for (const record of records) summary.add(record)
    })
    print(format === 'json' ? json(meta, summary, details) : pretty(meta, summary, details))
    return 0
  },
}

const indented = (lines: string): string => lines.replace(/^(?=.)/gm, ' ')

function pretty({ ID, Size, Index, Term, Version }: SnapshotMeta, { types, keys }: Summary, details: boolean): string {
  const facts = Object.entries({ ID, Size, Index, Term, Version }).map(([name, value]) => [name, String(value)])
  const parts = [columns(facts, GUTTER), table('Type', types)]
  if (details) parts.push(table('Key Name', keys))
  return parts.map(indented).join('\n\n')
}

function table(title: string, shares: Shares): string {
  const rows = shares.list().map(({ name, count, bytes }) => [name, String(count), sizeText(bytes)])
  const rule = [RULE, RULE, RULE]
  return columns([[title, 'Count', 'Size'], rule, ...rows, rule, ['Total', '', sizeText(shares.bytes)]], GUTTER)
}

const UNITS = ['B', 'KB', 'MB', 'GB'] as const

/** 839 → "839B", 1024 → "1KB", 6861 → "6.7KB". */
function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  return `${Number((bytes / 1024 ** power).toFixed(1))}${UNITS[power]}`
}

function json({ ID, Size, Index, Term, Version }: SnapshotMeta, { types, keys }: Summary, details: boolean): string {
  const stats = (shares: Shares) =>
    shares.list().map(({ name, count, bytes }: Share) => ({ Name: name, Sum: bytes, Count: count }))
  return goJson(
    {
      Meta: { ID, Size, Index, Term, Version },
      Stats: stats(types),
      StatsKV: details ? stats(keys) : [],
      TotalSize: types.bytes,
      TotalSizeKV: details ? keys.bytes : 0,
    },
    { indent: '   ' },
  )
}
