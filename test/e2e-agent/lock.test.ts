/**
 * `hanse lock` as its users run it: real processes that compete for locks and slots of a real server.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { PROGRAM, runProgram, ServerProcess } from './server-process.ts'

let server: ServerProcess
const running = new Set<ChildProcess>()

before(async () => {
  server = await ServerProcess.start()
  // A session needs the node's health.
  while (!(await server.ask('GET', '/v1/health/node/s1')).text.includes('serfHealth')) await turn()
})
after(async () => {
  for (const child of running) child.kill('SIGKILL')
  await server.stop()
})

const turn = () => new Promise((resolve) => setTimeout(resolve, 20))

interface Run {
  readonly child: ChildProcess
  stdout: string
  stderr: string
  readonly ended: Promise<number | null>
}

function lock(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const address = `-http-addr=127.0.0.1:${server.httpPort}`
  const child = spawn(PROGRAM, ['lock', address, ...args], { env: { ...process.env, SHELL: '/bin/sh', ...env } })
  running.add(child)
  const run: Run = {
    child,
    stdout: '',
    stderr: '',
    ended: once(child, 'close').then(() => {
      running.delete(child)
      return child.exitCode
    }),
  }
  child.stdout.on('data', (chunk: Buffer) => {
    run.stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    run.stderr += chunk.toString()
  })
  return run
}

async function until(met: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await met())) await turn()
}

async function keys(prefix: string): Promise<{ Key: string; Session?: string }[]> {
  const { status, text } = await server.ask('GET', `/v1/kv/${prefix}?recurse`)
  return status === 404 ? [] : JSON.parse(text)
}
const sessions = async (): Promise<{ ID: string; Name: string; TTL: string }[]> =>
  JSON.parse((await server.ask('GET', '/v1/session/list')).text)

/** Nothing of a lock is left when its command has ended. */
async function nothingLeft(prefix: string): Promise<void> {
  assert.deepEqual(await keys(prefix), [])
  assert.deepEqual(await sessions(), [])
}

test('the command runs with its words and environment, its output is passed on, and nothing is left', async () => {
  const run = lock(['plain', 'echo "held: $CONSUL_LOCK_HELD" && echo no >&2'])
  assert.equal(await run.ended, 0)
  assert.deepEqual([run.stdout, run.stderr], ['held: true\n', 'no\n'])
  await nothingLeft('plain')
})

test('without a shell the words are those of the program; input is passed on when asked', async () => {
  const run = lock([
    '-shell=false',
    '-pass-stdin',
    'words',
    process.execPath,
    '-e',
    'process.stdin.pipe(process.stdout)',
    '$HOME',
  ])
  run.child.stdin?.end('typed')
  assert.equal(await run.ended, 0, run.stderr)
  assert.equal(run.stdout, 'typed')
  const none = lock(['-shell=false', 'words', '/there/is/no/such/program'])
  assert.equal(await none.ended, 0)
  assert.match(none.stderr, /^Error running handler: spawn .* ENOENT\n$/)
  await nothingLeft('words')
})

test('how the command ended is told with -child-exit-code only', async () => {
  assert.equal(await lock(['exits', 'exit 3']).ended, 0)
  const told = lock(['-child-exit-code', 'exits', 'exit 3'])
  assert.equal(await told.ended, 2)
  assert.equal(told.stderr, 'Error running handler: exit status 3\n')
  assert.equal(await lock(['-child-exit-code', 'exits', 'true']).ended, 0)
})

test('of several that compete one runs at a time, and all get their turn', async () => {
  const file = join(server.directory, 'turns')
  const work = `echo in >> ${file} && sleep 0.1 && echo out >> ${file}`
  const runs = Array.from({ length: 4 }, () => lock(['one', work]))
  assert.deepEqual(await Promise.all(runs.map(({ ended }) => ended)), [0, 0, 0, 0])
  assert.equal(readFileSync(file, 'utf8'), 'in\nout\n'.repeat(4))
  await nothingLeft('one')
})

test('with -n so many run at a time and no more; who disagrees on -n is refused', async () => {
  const file = join(server.directory, 'slots')
  appendFileSync(file, '')
  const stop = join(server.directory, 'stop')
  const work = `echo in >> ${file}; while [ ! -e ${stop} ]; do sleep 0.05; done; echo out >> ${file}`
  const runs = Array.from({ length: 3 }, () => lock(['-n', '2', 'many', work]))
  const said = () => readFileSync(file, 'utf8')
  await until(() => said() === 'in\nin\n')
  await until(async () => (await sessions()).length === 3)
  const other = lock(['-n=3', 'many', 'true'])
  assert.equal(await other.ended, 1)
  assert.match(other.stderr, /semaphore limit conflict \(lock: 2, local: 3\)/)
  assert.equal(said(), 'in\nin\n')
  appendFileSync(stop, '')
  assert.deepEqual(await Promise.all(runs.map(({ ended }) => ended)), [0, 0, 0])
  assert.equal(said().replaceAll('out\n', ''), 'in\nin\nin\n')
  await nothingLeft('many')
})

test('who does not get the lock in time gives up, and a key that is used otherwise is left alone', async () => {
  const holder = lock(['-name', 'the holder', 'busy', 'echo up; sleep 60'])
  await until(() => holder.stdout === 'up\n')
  assert.deepEqual(
    (await sessions()).map(({ Name, TTL }) => [Name, TTL]),
    [['the holder', '15s']],
  )
  for (const flag of ['-timeout=300ms', '-try=300ms']) {
    const late = lock([flag, 'busy', 'echo never'])
    assert.equal(await late.ended, 1)
    assert.deepEqual([late.stdout, late.stderr], ['', 'Shutdown triggered or timeout during lock acquisition\n'])
  }
  holder.child.kill('SIGTERM')
  assert.equal(await holder.ended, 1)
  await nothingLeft('busy')
  await server.ask('PUT', '/v1/kv/mine/.lock', { body: 'precious' })
  const conflict = lock(['mine', 'echo never'])
  assert.equal(await conflict.ended, 1)
  assert.match(conflict.stderr, /used for something else than a lock/)
  assert.equal((await server.ask('GET', '/v1/kv/mine/.lock?raw')).text, 'precious')
})

/** A child that says when it gets SIGTERM, and has a child of its own. */
const LISTENING = 'trap "echo told; exit 0" TERM; echo up; while true; do sleep 0.05; done'

test('a lock that is lost ends the command', async () => {
  const run = lock(['lost', LISTENING])
  await until(() => run.stdout === 'up\n')
  const [session] = await sessions()
  await server.ask('PUT', `/v1/session/destroy/${session?.ID}`)
  assert.equal(await run.ended, 1)
  assert.equal(run.stdout, 'up\ntold\n')
  assert.match(run.stderr, /^Lock lost, killing child/)
})

test('a slot that is lost ends the command', async () => {
  const run = lock(['-n=2', 'lost-slot', LISTENING])
  await until(() => run.stdout === 'up\n')
  await server.ask('DELETE', '/v1/kv/lost-slot/.lock')
  assert.equal(await run.ended, 1)
  assert.equal(run.stdout, 'up\ntold\n')
})

test('a signal ends the command and what it started, and gives the lock back', async () => {
  const run = lock(['signal', `(${LISTENING}) & wait`])
  await until(() => run.stdout === 'up\n')
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 1)
  assert.equal(run.stdout, 'up\ntold\n')
  assert.match(run.stderr, /^Shutdown triggered, killing child\n/)
  await nothingLeft('signal')
})

test('a command whose server goes away is ended', async () => {
  const other = await ServerProcess.start()
  while (!(await other.ask('GET', '/v1/health/node/s1')).text.includes('serfHealth')) await turn()
  const run = lock([`-http-addr=127.0.0.1:${other.httpPort}`, '-monitor-retry=0', 'silence', LISTENING])
  await until(() => run.stdout === 'up\n')
  await other.stop()
  assert.equal(await run.ended, 1)
  assert.equal(run.stdout, 'up\ntold\n')
})

test('kv put takes a lock for a session and gives it back', async () => {
  const { ID } = JSON.parse((await server.ask('PUT', '/v1/session/create', { body: '{"LockDelay": "0s"}' })).text)
  const put = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram(['kv', 'put', `-http-addr=127.0.0.1:${server.httpPort}`, ...args])
    return [code, stdout + stderr]
  }
  assert.deepEqual(await put('-acquire', `-session=${ID}`, 'mine/k', 'v'), [0, 'Success! Lock acquired on: mine/k\n'])
  assert.equal((await keys('mine/k'))[0]?.Session, ID)
  assert.deepEqual(await put('-release', `-session=${ID}`, 'mine/k', 'v'), [0, 'Success! Lock released on: mine/k\n'])
  assert.deepEqual(await put('-release', `-session=${ID}`, 'mine/k', 'v'), [1, 'Error! Did not release lock\n'])
  await server.ask('PUT', `/v1/session/destroy/${ID}`)
})

test('what cannot be is refused before anything is locked', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['only-a-prefix'], /takes 2 or more arguments: 1 given/],
    [['/', 'true'], /the prefix is empty/],
    [['-n=0', 'x', 'true'], /"0" is not a number from 1 to 1024/],
    [['-timeout=soon', 'x', 'true'], /"soon" is not a duration/],
    [['-monitor-retry=-1', 'x', 'true'], /"-1" is not a number from 0 on/],
  ]
  for (const [args, message] of cases) {
    const run = lock(args)
    assert.equal(await run.ended, 1)
    assert.match(run.stderr, message)
  }
  await nothingLeft('x')
})
