/** Opening a data directory: who may read it, who has it, and what is refused with nothing changed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath, getuid, pid } from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { codeOf, HanseError, seededRandom } from '#base'
import { SqliteDatabase } from './sqlite-database.ts'
import { openSqlite } from './sqlite-engine.ts'
import { checkHeader } from './sqlite-file.ts'
import { packTransactions, unpackRecords } from './sqlite-wire.ts'

const MAX_BYTES = 1 << 30
const WRITER = fileURLToPath(new URL('./crash-writer.ts', import.meta.url))

function temporary(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'hanse-directory-'))
  t.after(() => rmSync(root, { recursive: true }))
  return root
}

/** Every file of a directory with its bytes. */
function contents(directory: string): [string, string][] {
  return readdirSync(directory)
    .sort()
    .map((name) => [name, readFileSync(join(directory, name), 'base64')])
}

async function filled(directory: string, count = 200): Promise<string> {
  const engine = await openSqlite({ directory })
  for (let at = 0; at < count; at += 100) {
    const writes = Array.from({ length: 100 }, (_, index) => ({
      key: `key/${at + index}`,
      value: Buffer.alloc(300, `value ${at + index} `),
    }))
    await engine.commit({ writes })
  }
  await engine.close()
  return join(directory, 'store.db')
}

/** Opens, and expects a refusal that names the path and changes nothing. */
async function refusedUnchanged(directory: string, code: string): Promise<Error> {
  const before = contents(directory)
  const error = await openSqlite({ directory }).then(
    () => assert.fail('it was opened'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof HanseError)
  assert.equal(error.code, code)
  assert.ok(error.message.includes(join(directory, 'store.db')), error.message)
  assert.ok(error.hint, 'there is a remedy')
  assert.deepEqual(contents(directory), before)
  return error
}

test('openSqlite() makes the directory 0700 and every file 0600', async (t) => {
  const directory = join(temporary(t), 'deep', 'data')
  const engine = await openSqlite({ directory })
  await engine.commit({ writes: [{ key: 'a', value: Buffer.from('1') }] })
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  assert.deepEqual(readdirSync(directory).sort(), ['store.db', 'store.db-wal', 'store.pid'])
  for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
  await engine.close()
  assert.deepEqual(readdirSync(directory), ['store.db'])
})

test('openSqlite() of a directory that this process has open names it', async (t) => {
  const directory = temporary(t)
  const engine = await openSqlite({ directory })
  await assert.rejects(openSqlite({ directory: `${directory}/.` }), (error: unknown) => {
    assert.equal(codeOf(error), 'STORE_LOCKED')
    assert.match(String(error), new RegExp(`"${directory}/store.db": it is in use by process ${pid}`))
    return true
  })
  assert.ok((await engine.commit({ writes: [{ key: 'a', value: Buffer.from('1') }] })).ok)
  await engine.close()
  await (await openSqlite({ directory })).close()
})

test('openSqlite() of a directory that another process has open names that, until it is killed', async (t) => {
  const directory = join(temporary(t), 'data')
  const child = spawn(execPath, ['--disable-warning=ExperimentalWarning', WRITER, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.stdout.resume()
  try {
    await assert.rejects(openSqlite({ directory }), (error: unknown) => {
      assert.equal(codeOf(error), 'STORE_LOCKED')
      assert.match(String(error), new RegExp(`"${directory}/store.db": it is in use by process ${child.pid}$`))
      return true
    })
    assert.equal(readFileSync(join(directory, 'store.pid'), 'utf8'), `${child.pid}\n`)
  } finally {
    child.kill('SIGKILL')
    await closed
  }
  await (await openSqlite({ directory })).close()
})

test('openSqlite() names a directory that cannot be made or written', async (t) => {
  const root = temporary(t)
  writeFileSync(join(root, 'file'), '')
  for (const directory of [join(root, 'file'), join(root, 'file', 'below')]) {
    await assert.rejects(openSqlite({ directory }), (error: unknown) => {
      assert.equal(codeOf(error), 'STORE_UNWRITABLE')
      assert.ok(String(error).includes(`"${directory}"`), String(error))
      return true
    })
  }
})

test('openSqlite() names a directory that this user may not write', async (t) => {
  const root = temporary(t)
  const directory = join(root, 'data')
  mkdirSync(directory)
  chmodSync(root, 0o755)
  chmodSync(directory, 0o555)
  // The super-user may write everywhere: do without its rights while the directory is looked at.
  const superUser = getuid?.() === 0
  if (superUser) process.seteuid?.(65_534)
  try {
    await assert.rejects(openSqlite({ directory }), { code: 'STORE_UNWRITABLE' })
  } finally {
    if (superUser) process.seteuid?.(0)
  }
  assert.deepEqual(readdirSync(directory), [])
})

test('openSqlite() refuses what is not a database, and changes nothing', async (t) => {
  for (const bytes of ['', 'SQLite', 'not a database, but as long as a header: '.repeat(200)]) {
    const directory = temporary(t)
    writeFileSync(join(directory, 'store.db'), bytes)
    await refusedUnchanged(directory, 'STORE_CORRUPT')
  }
})

test('openSqlite() refuses the database of another program, and changes nothing', async (t) => {
  const directory = temporary(t)
  const other = new DatabaseSync(join(directory, 'store.db'))
  other.exec('CREATE TABLE precious (a)')
  other.close()
  await refusedUnchanged(directory, 'STORE_FOREIGN')
})

test('openSqlite() refuses a store of a newer version, and changes nothing', async (t) => {
  const directory = temporary(t)
  const path = await filled(directory)
  const newer = new DatabaseSync(path)
  newer.exec('PRAGMA user_version = 9')
  newer.close()
  const error = await refusedUnchanged(directory, 'STORE_VERSION')
  assert.match(error.message, /it has format 9 and this version of Hanse knows format 1/)
})

test('openSqlite() refuses a log without its database, and changes nothing', async (t) => {
  const directory = temporary(t)
  writeFileSync(join(directory, 'store.db-wal'), 'what is left')
  await refusedUnchanged(directory, 'STORE_CORRUPT')
})

test('openSqlite() refuses a store with a damaged or missing page, and changes nothing', async (t) => {
  const directory = temporary(t)
  const path = await filled(directory)
  const whole = readFileSync(path)
  const damaged = Buffer.from(whole)
  damaged.fill(0xff, 4096 * 3, 4096 * 4)
  for (const bytes of [damaged, whole.subarray(0, whole.length - 4096 * 2)]) {
    writeFileSync(path, bytes)
    await refusedUnchanged(directory, 'STORE_CORRUPT')
  }
  writeFileSync(path, whole)
  await (await openSqlite({ directory })).close()
})

test('load() refuses a value that was altered on disk', async (t) => {
  const directory = temporary(t)
  const path = await filled(directory)
  const bytes = readFileSync(path)
  bytes.write('X', bytes.indexOf('value 42 '))
  writeFileSync(path, bytes)
  const engine = await openSqlite({ directory })
  await assert.rejects(
    engine.load(() => {}),
    { code: 'STORE_CORRUPT' },
  )
  await engine.close()
})

test('SqliteDatabase.open() of any damaged file only throws what it names', async (t) => {
  const directory = temporary(t)
  const path = await filled(directory, 100)
  const whole = readFileSync(path)
  const random = seededRandom(11)
  for (let round = 0; round < 60; round++) {
    const bytes = Buffer.from(whole)
    for (let count = 1 + random.int(8); count > 0; count--) bytes[random.int(bytes.length)] = random.int(256)
    for (let count = random.int(3); count > 0; count--) bytes[random.int(100)] = random.int(256)
    rmSync(`${path}-wal`, { force: true })
    writeFileSync(path, bytes)
    try {
      readAndWrite(path)
    } catch (error) {
      assert.ok(error instanceof HanseError, String(error))
      assert.match(error.code, /^STORE_/)
    }
  }
})

function readAndWrite(path: string): void {
  const database = SqliteDatabase.open(path, MAX_BYTES)
  try {
    let after: Uint8Array | null = null
    for (let page = 0; page < 3; page++) {
      const last = unpackRecords(database.page(after)).at(-1)
      if (!last) break
      after = Buffer.from(last.key)
    }
    const transaction = { writes: [{ key: 'key/1', value: Buffer.from('new') }] }
    database.commit(packTransactions([transaction], 8))
  } finally {
    database.close()
  }
}

test('checkHeader() of any bytes only throws what it names', () => {
  const random = seededRandom(12)
  for (let round = 0; round < 2_000; round++) {
    const header = Buffer.alloc(random.int(120))
    for (let at = 0; at < header.length; at++) header[at] = random.int(256)
    if (random.int(2) === 0) header.write('SQLite format 3\0')
    try {
      checkHeader('store.db', header)
    } catch (error) {
      assert.ok(error instanceof HanseError, String(error))
    }
  }
})
