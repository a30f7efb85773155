/** A member's process: what it leaves and finds, with real processes that only look like etcd. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { codeOf, type LogFields, type Logger, messageOf, seededRandom, silentLogger, systemClock } from '#base'
import { eventually } from '../../../test/support/eventually.ts'
import { endEarlierMember, notePid } from './earlier-member.ts'
import { MemberOutput, parseLogLine } from './member-output.ts'
import { EtcdMemberProcess } from './member-process.ts'

const root = mkdtempSync(join(tmpdir(), 'hanse-etcd-process-'))
after(() => rmSync(root, { recursive: true }))
const signal = new AbortController().signal
let folders = 0

function place(): { dataDir: string; pidFile: string; folder: string } {
  const folder = join(root, String(++folders))
  mkdirSync(folder)
  return { folder, dataDir: join(folder, 'etcd'), pidFile: join(folder, 'etcd.pid') }
}

/** A program that does as `text` says, whatever its arguments. */
function program(folder: string, text: string): string {
  const path = join(folder, 'program')
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}

function member(context: TestContext, text: string, onRemoved: () => void = () => {}) {
  const { folder, dataDir, pidFile } = place()
  const said: string[] = []
  const note = (line: string, fields?: LogFields) => void said.push(`${line} ${JSON.stringify(fields ?? {})}`)
  const log: Logger = { ...silentLogger, debug: note, info: note, warn: note, error: note }
  const options = {
    binary: program(folder, text),
    name: 's1',
    dataDir,
    bindAddress: '127.0.0.1',
    clientPort: 1,
    peerPort: 2,
    clientUrl: 'http://127.0.0.1:1',
    peerUrl: 'http://127.0.0.1:2',
    tls: undefined,
    cluster: [],
    founding: true,
    token: '',
  }
  const process = new EtcdMemberProcess(
    options,
    { version: '3.5.1', help: '' },
    { clock: systemClock, log, signal, onRemoved },
  )
  context.after(() => process.stop())
  return { process, said, folder, dataDir, pidFile }
}

test('a member is started, noted by its pid, heard, and ended with its server', async (context) => {
  const {
    process: started,
    said,
    folder,
    pidFile,
  } = member(context, 'echo \'{"level":"info","msg":"ready"}\'; echo plain; exec sleep 60')
  await started.start()
  await eventually('it has spoken', () => assert.match(said.join('\n'), /ready[\s\S]*plain/))
  assert.equal(started.lastWords, 'ready; plain')
  const [pid = 0, server] = readFileSync(pidFile, 'utf8').trim().split(' ').map(Number)
  assert.equal(server, process.pid)
  const [, group] = /\) \S \d+ (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
  assert.equal(Number(group), pid, 'a terminal does not interrupt it')
  for (const file of ['etcd.pid', 'etcd.log']) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600)
  await started.stop()
  assert.throws(() => process.kill(pid, 0))
  assert.ok(!existsSync(pidFile))
})

test('a member that dies is started again; one that never works is given up by name', async (context) => {
  const { process, said } = member(context, 'echo "listen tcp: address already in use" >&2; exit 1')
  await process.start()
  process.assertAlive()
  await eventually('it is given up', () =>
    assert.throws(
      () => process.assertAlive(),
      (error) => {
        assert.equal(codeOf(error), 'ETCD_ENDS')
        assert.match(messageOf(error), /has ended 5 times, and never worked: .*address already in use/)
        return true
      },
    ),
  )
  assert.match(said.join('\n'), /starting it again/)
  process.worked()
  process.assertAlive()
})

test('a member that was removed is not started again, also where it does not end by itself', async (context) => {
  const removed = Promise.withResolvers<void>()
  const line =
    '{"level":"warn","msg":"server error","error":"the member has been permanently removed from the cluster"}'
  const { process, said, pidFile } = member(context, `echo '${line}'; exec sleep 60`, () => removed.resolve())
  await process.start()
  await removed.promise
  assert.doesNotMatch(said.join('\n'), /starting it again/)
  assert.ok(!existsSync(pidFile))
})

test('stop() while it waits for the next start leaves nothing running', async (context) => {
  const { process, said, folder } = member(context, 'echo x >> "$(dirname "$0")/starts"; exit 1')
  await process.start()
  await eventually('it has died', () => assert.match(said.join('\n'), /starting it again/))
  await process.stop()
  const starts = statSync(join(folder, 'starts')).size
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  assert.equal(statSync(join(folder, 'starts')).size, starts)
})

/** A process with these arguments, which ends with the test. */
function lasting(context: TestContext, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', ...args], { stdio: 'ignore' })
  context.after(() => child.kill('SIGKILL'))
  return child
}
const modules = { clock: systemClock, log: silentLogger, signal }

test('endEarlierMember() ends what was started for the same data, and nothing else', async (context) => {
  const { dataDir, pidFile } = place()
  const argument = `--data-dir=${dataDir}`
  const stranger = lasting(context, `--data-dir=${dataDir}2`, dataDir)
  await eventually('it runs', () => assert.match(readFileSync(`/proc/${stranger.pid}/cmdline`, 'utf8'), /data-dir/))
  notePid(pidFile, stranger.pid ?? 0)
  await endEarlierMember(pidFile, argument, modules)
  assert.equal(stranger.exitCode ?? stranger.signalCode, null)

  const orphan = lasting(context, argument)
  await eventually('it runs', () => assert.match(readFileSync(`/proc/${orphan.pid}/cmdline`, 'utf8'), /data-dir/))
  notePid(pidFile, orphan.pid ?? 0)
  const ended = once(orphan, 'exit')
  await endEarlierMember(pidFile, argument, modules)
  assert.deepEqual(await ended, [null, 'SIGTERM'])
})

test('endEarlierMember() leaves a member alone whose server lives', async (context) => {
  const { dataDir, pidFile } = place()
  const argument = `--data-dir=${dataDir}`
  const script = `require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', ${JSON.stringify(argument)}], { stdio: 'ignore' }).on('spawn', function () { console.log(this.pid) }); process.stdin.resume()`
  const server = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] })
  const [line] = (await once(server.stdout, 'data')) as [Buffer]
  const pid = Number(line.toString())
  context.after(() => {
    server.kill('SIGKILL')
    process.kill(pid, 'SIGKILL')
  })
  await eventually('it runs', () => assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /data-dir/))
  writeFileSync(pidFile, `${pid} ${server.pid}\n`)
  await assert.rejects(endEarlierMember(pidFile, argument, modules), (error) => {
    assert.equal(codeOf(error), 'STORE_LOCKED')
    assert.match(messageOf(error), new RegExp(`in use by process ${server.pid}`))
    return true
  })
  process.kill(pid, 0)
})

test('endEarlierMember() passes over a file that is missing, empty or none of ours', async () => {
  const { pidFile } = place()
  for (const text of [undefined, '', 'x y\n', '1\n', '-1 -1\n', '0 0\n', `${'9'.repeat(30)} 1\n`]) {
    if (text !== undefined) writeFileSync(pidFile, text)
    await endEarlierMember(pidFile, '--data-dir=/x', modules)
  }
})

test('MemberOutput hands on whole lines, also of what is written in pieces, and empties what is large', () => {
  const { folder } = place()
  const path = join(folder, 'log')
  writeFileSync(path, 'of an earlier start\n')
  const lines: string[] = []
  const output = new MemberOutput(path, systemClock, (line) => lines.push(line))
  appendFileSync(path, 'one\ntw')
  output.read()
  assert.deepEqual(lines, ['one'])
  appendFileSync(path, 'o\n\nthree')
  output.read()
  assert.deepEqual(lines, ['one', 'two'])
  const long = 'x'.repeat(1_000)
  for (let at = 0; at < 5; at++) appendFileSync(path, `${`${long}\n`.repeat(1_000)}`)
  output.read()
  assert.equal(lines.length, 2 + 5_000)
  assert.equal(statSync(path).size, 0)
  appendFileSync(path, 'four\nlast')
  output.close()
  assert.deepEqual(lines.slice(-2), ['four', 'last'])
})

const LINES = [
  { line: '{"level":"info","msg":"a"}', level: 'debug', text: 'a' },
  { line: '{"level":"warn","msg":"a","error":"b"}', level: 'warn', text: 'a: b' },
  { line: '{"level":"fatal","msg":"a"}', level: 'error', text: 'a' },
  { line: '{"level":"constructor","msg":"a"}', level: 'debug', text: 'a' },
  { line: 'panic: x', level: 'warn', text: 'panic: x' },
  { line: '{"level":"warn"}', level: 'debug', text: '{"level":"warn"}' },
  { line: 'null', level: 'debug', text: 'null' },
]
for (const { line, ...expected } of LINES) {
  test(`parseLogLine() reads ${line}`, () => assert.deepEqual(parseLogLine(line), expected))
}

test('parseLogLine() takes any bytes', () => {
  const random = seededRandom(1)
  for (let at = 0; at < 2_000; at++) {
    const bytes = Buffer.from('{"level":"warn","msg":"the member","error":"gone"}'.repeat(1 + random.int(30)))
    for (let flip = 0; flip <= random.int(4); flip++) bytes[random.int(bytes.length)] = random.int(256)
    const { level, text } = parseLogLine(bytes.toString('utf8', 0, random.int(bytes.length)))
    assert.match(level, /^(debug|info|warn|error)$/)
    assert.ok(text.length <= 500)
  }
})
