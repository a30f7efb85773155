/**
 * etcd on a disk that fills up: a small file system of its own, which only root can make. Writes are refused by name, nothing
 * that was answered is lost, and all goes on when there is space.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { codeOf, silentLogger, systemClock, systemRandom } from '#base'
import { openEtcd } from '#store'
import { EtcdCluster } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'

/** etcd makes its log of 64 MiB at once, and the next one before that is full. */
const DISK = '150m'
const VALUE_BYTES = 512 * 1024
const MAX_WRITES = 1_000

const disk = mkdtempSync(join(tmpdir(), 'hanse-disk-'))
const before = process.env.TMPDIR

function mount(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', [...args, disk], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr.trim()}`)
}

after(() => {
  spawnSync('umount', ['--lazy', disk])
  rmSync(disk, { recursive: true, force: true })
})

test('etcd runs out of disk: writes fail by name, what was answered stays, and all goes on with more space', async (t) => {
  mount('-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs')
  process.env.TMPDIR = disk
  const cluster = await EtcdCluster.start(1)
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  t.after(() => cluster.stop())
  const engine = await openEtcd({
    endpoints: cluster.endpoints,
    identity: () => undefined,
    datacenter: 'dc1',
    prefix: 'full/',
    writer: 's1',
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  })
  t.after(() => engine.close())
  const answered: string[] = []
  let refused: unknown
  for (let count = 0; count < MAX_WRITES && refused === undefined; count++) {
    const key = `k/${count}`
    try {
      await engine.commit({ writes: [{ key, value: systemRandom.bytes(VALUE_BYTES) }] })
      answered.push(key)
    } catch (error) {
      refused = error
    }
  }
  t.diagnostic(`refused after ${answered.length} writes: ${refused}`)
  assert.ok(['STORE_FULL', 'STORE_UNREACHABLE'].includes(codeOf(refused) ?? ''), String(refused))
  assert.ok(answered.length > 10)

  mount('-o', 'remount,size=600m')
  const [member] = cluster.members
  await member?.signal('SIGKILL')
  member?.start()
  await eventually('writes go on', () => engine.commit({ writes: [{ key: 'after', value: Buffer.from('x') }] }), {
    timeoutMs: 60_000,
  })
  const there = new Set<string>()
  await engine.load((batch) => {
    for (const { key } of batch) there.add(key)
  })
  assert.deepEqual(
    answered.filter((key) => !there.has(key)),
    [],
    'answered writes are gone',
  )
})
