/**
 * `hanse snapshot decode`: the records of a file of `hanse snapshot save` as lines of JSON, without a server.
 *
 * The file is read twice, so that nothing is printed of one that is found to be damaged at its end only.
 */
import { once } from 'node:events'
import { messageOf } from '#base'
import { type SnapshotRecord, typeOf } from '#snapshot'
import type { Command } from './command.ts'
import { checkedFile } from './snapshot-file.ts'

export const command: Command = {
  name: 'snapshot decode',
  summary: 'Prints what is in a saved snapshot as lines of JSON',
  usage: 'FILE',
  help: [
    'Checks a file of `hanse snapshot save`, then prints {"Data": {…}, "Type": "…"} for each record, SnapshotHeader first;',
    'types are those of `hanse snapshot inspect`. Secrets of tokens, private keys and credentials of auth methods are',
    'hidden; values of the key/value store are shown, in base64. Indexes are not: a restore gives new ones. Asks no agent.',
  ].join('\n'),
  args: [1, 1],
  flags: {},
  async run({ args, stdout, signal, warn }) {
    const [path = ''] = args
    const meta = await checkedFile(path)
    // A part of the server, which no other command needs.
    const { RecordJson } = await import('#state')
    const json = new RecordJson()
    let unread = 0
    const dataOf = (record: SnapshotRecord): string => {
      try {
        return json.textOf(record)
      } catch (error) {
        unread++
        return JSON.stringify({ Key: record.key, Bytes: record.value.byteLength, Problem: messageOf(error) })
      }
    }
    const print = async (lines: readonly (readonly [type: string, data: string])[]) => {
      const text = lines.map(([type, data]) => `{"Data":${data},"Type":${JSON.stringify(type)}}\n`).join('')
      // A reader that is slower than the disk holds the file back, not this process's memory.
      if (!stdout.write(text)) await once(stdout, 'drain', { signal })
    }
    await print([['SnapshotHeader', JSON.stringify(meta)]])
    await checkedFile(path, (records) => print(records.map((record) => [typeOf(record.key), dataOf(record)])))
    if (unread === 0) return 0
    warn(`Records that this version of Hanse cannot read: ${unread}; see "Problem" in their data`)
    return 1
  },
}
