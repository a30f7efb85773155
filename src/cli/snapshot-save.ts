/**
 * `hanse snapshot save`: a datacenter as one file, checked before it has its name.
 *
 * The file holds every token and the key of the certificate authority: only its owner may read it.
 */
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'
import { messageOf } from '#base'
import { readArchive } from '#snapshot'
import { AgentSelf } from './agent-answers.ts'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

const OWNER_ONLY = 0o600
const FILE_NAME_PARTS = ['version', 'dc', 'node', 'status'] as const
const SAVING = 'Error saving snapshot'

export const command: Command = {
  name: 'snapshot save',
  summary: 'Saves everything of a datacenter in a file',
  usage: 'FILE',
  help: [
    'Saves everything that a datacenter stores, as of one index, in a file that `hanse snapshot restore` brings back.',
    'The file holds every token and the key of the certificate authority: it is readable for its owner only. Keep it so.',
  ].join('\n'),
  args: [1, 1],
  flags: {
    ...API_FLAGS,
    'append-filename': {
      kind: 'string',
      value: 'parts',
      help: 'Adds to the name of the file: version, dc, node, status, with commas between',
    },
  },
  run(context) {
    return withAgent(context, async (agent) => {
      const parts = context.flags.string('append-filename')
      const [name = ''] = context.args
      const path = parts === undefined ? name : await longName(agent, name, parts)
      const { index, body } = await agent.open(SAVING, '/v1/snapshot')
      await saveChecked(path, body)
      context.print(`Saved and verified snapshot to index ${index}`)
      return 0
    })
  },
}

/** "backup.snap" → "backup-1.21.0-dc1-s1-leader.snap". @throws FLAG_VALUE */
async function longName(agent: AgentApi, name: string, parts: string): Promise<string> {
  const self = await agent.get(SAVING, AgentSelf, '/v1/agent/self')
  const known: Readonly<Record<string, string>> = {
    version: self.Config.Version,
    dc: self.Config.Datacenter,
    node: self.Config.NodeName,
    status: self.Stats?.['consul']?.['leader'] === 'true' ? 'leader' : 'follower',
  }
  const added = parts.split(',').map((part) => {
    const text = known[part.trim()]
    if (text !== undefined) return text
    throw cliError('FLAG_VALUE', { flag: 'append-filename', value: part, wanted: FILE_NAME_PARTS.join(', ') })
  })
  const { dir, name: stem, ext } = parse(name)
  return join(dir, `${[stem, ...added].join('-')}${ext}`)
}

/** Writes beside the file, reads that again from the disk, and puts it in the file's place when it is whole. */
async function saveChecked(path: string, body: AsyncIterable<Buffer>): Promise<void> {
  const draft = `${path}.unverified`
  try {
    await rm(draft, { force: true })
    await writeSynced(await open(draft, 'wx', OWNER_ONLY), body)
    await readArchive(createReadStream(draft))
    await rename(draft, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {})
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    // What the file system says is about the file; all else is about the snapshot.
    if (/^E[A-Z]+$/.test(code) && code !== 'ECONNRESET') {
      throw cliError('FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
    }
    throw cliError('REQUEST_FAILED', { doing: SAVING, reason: messageOf(error), hint: '' }, error)
  }
}

async function writeSynced(file: FileHandle, body: AsyncIterable<Buffer>): Promise<void> {
  try {
    for await (const chunk of body) await file.writeFile(chunk)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
