/**
 * `hanse kv`: values of any bytes, conditions, locks, exports that come back unchanged.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { type CannedAnswers, type RunOptions, runCommand } from './test-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-kv-'))
after(() => rmSync(folder, { recursive: true }))

const kv = (line: string, answers: CannedAnswers, options: RunOptions = {}) =>
  runCommand(['kv', ...line.split(' ')], { answers, ...options })
const entry = (Key: string, text: string, more: object = {}) => ({
  LockIndex: 0,
  Key,
  Flags: 0,
  Value: text === '' ? null : Buffer.from(text).toString('base64'),
  CreateIndex: 1,
  ModifyIndex: 2,
  ...more,
})
const yes = { body: 'true' }
const no = { body: 'false' }

test('kv put: the value is a word, a file, or standard input; nothing is an empty value', async () => {
  const file = join(folder, 'value')
  writeFileSync(file, 'from a file\n')
  const answers = { 'PUT /v1/kv/a%20b/c': yes }
  const put = async (word: string[], stdin?: Readable) => {
    const { asked, status } = await runCommand(['kv', 'put', 'a b/c', ...word], {
      answers,
      ...(stdin ? { stdin } : {}),
    })
    assert.equal(status, 0)
    return asked[0]?.body
  }
  assert.equal(await put(['x']), 'x')
  assert.equal(await put([`@${file}`]), 'from a file\n')
  assert.equal(await put(['-'], Readable.from(['from ', 'input'])), 'from input')
  assert.equal(await put([]), '')
})

test('kv put -base64 decodes the value, and refuses what is no base64', async () => {
  const answers = { 'PUT /v1/kv/a': yes }
  assert.equal((await kv('put -base64 a aGk=', answers)).asked[0]?.body, 'hi')
  const bad = await kv('put -base64 a aGk', answers)
  assert.deepEqual([bad.status, bad.stderr, bad.asked.length], [1, 'Put "a": the value is not base64\n', 0])
})

test('kv put: -cas, -acquire and -release say what was not done, with status 1', async () => {
  const cases = [
    ['put -cas a v', 'PUT /v1/kv/a?cas=0', 'Success! Data written to: a', 'Error! Did not write to a: CAS failed'],
    [
      'put -acquire -session s a v',
      'PUT /v1/kv/a?acquire=s',
      'Success! Lock acquired on: a',
      'Error! Did not acquire lock',
    ],
    [
      'put -release -session s a v',
      'PUT /v1/kv/a?release=s',
      'Success! Lock released on: a',
      'Error! Did not release lock',
    ],
  ] as const
  for (const [line, path, done, refused] of cases) {
    const met = await kv(line, { [path]: yes })
    assert.deepEqual([met.status, met.stdout, met.stderr], [0, `${done}\n`, ''])
    const unmet = await kv(line, { [path]: no })
    assert.deepEqual([unmet.status, unmet.stdout, unmet.stderr], [1, '', `${refused}\n`])
  }
})

test('kv put: what the server answers to a session that it does not know is shown', async () => {
  const body = 'raft apply failed: invalid session "s"'
  const { status, stderr } = await kv('put -acquire -session s a', { 'PUT /v1/kv/a?acquire=s': { status: 500, body } })
  assert.equal(status, 1)
  assert.equal(stderr, `Error! Failed writing data: Unexpected response code: 500 (${body})\n`)
})

test('kv put refuses keys and flags that cannot be, before it asks', async () => {
  for (const [line, message] of [
    ['put /a v', "Error! Failed writing data: Invalid key. Key must not begin with a '/': /a"],
    ['put  v', 'Error! Failed writing data: the key is empty'],
    ['put -cas -acquire a v', 'Put "a": only one of -cas, -acquire'],
    ['put -acquire a v', 'Put "a": -acquire needs a session: -session=<ID>'],
    ['put -flags=-1 a v', 'Read flag "-flags": "-1" is not a whole number below 2^64'],
    [
      'put -flags=18446744073709551616 a v',
      'Read flag "-flags": "18446744073709551616" is not a whole number below 2^64',
    ],
    ['put -cas -modify-index=x a v', 'Read flag "-modify-index": "x" is not a whole number'],
    ['put a @nope', 'Read "nope": ENOENT: no such file or directory, stat \'nope\''],
  ]) {
    const { status, stderr, asked } = await kv(line ?? '', {})
    assert.deepEqual([status, stderr, asked.length], [1, `${message}\n`, 0], line)
  }
})

test('kv get shows bytes as they are, or in base64', async () => {
  const Value = Buffer.from([0xff, 0x00, 0x0a]).toString('base64')
  const answers = { 'GET /v1/kv/a': { body: [{ ...entry('a', ''), Value }] } }
  assert.equal((await kv('get -base64 a', answers)).stdout, '/wAK\n')
  assert.equal((await kv('get /a', answers)).stdout, `${Buffer.from([0xff, 0x00, 0x0a]).toString('utf8')}\n`)
  const empty = { 'GET /v1/kv/a': { body: [entry('a', '')] } }
  assert.equal((await kv('get a', empty)).stdout, '\n')
})

test('kv get -detailed keeps flags of 64 bits, and parts entries with an empty line', async () => {
  const big = '18446744073709551615'
  const body = JSON.stringify([entry('a', '1', { Session: 's' }), entry('b', '')]).replace(
    '"Flags":0',
    `"Flags":${big}`,
  )
  const { stdout } = await kv('get -recurse -detailed a', { 'GET /v1/kv/a?recurse': { body } })
  assert.equal(
    stdout,
    `CreateIndex      1
Flags            ${big}
Key              a
LockIndex        0
ModifyIndex      2
Session          s
Value            1

CreateIndex      1
Flags            0
Key              b
LockIndex        0
ModifyIndex      2
Session          -
Value            
`,
  )
})

test('kv get: nothing below a prefix is silence, no key an error', async () => {
  const missing = { status: 404 }
  assert.deepEqual((await kv('get -recurse x', { 'GET /v1/kv/x?recurse': missing })).both, '')
  const keys = await kv('get -keys -separator=. x', { 'GET /v1/kv/x?keys&separator=.': missing })
  assert.deepEqual([keys.status, keys.both], [0, ''])
  const none = await kv('get', {})
  assert.deepEqual([none.status, none.stderr], [1, 'Error! Missing KEY argument\n'])
  const refused = { 'GET /v1/kv/a': { status: 404, body: 'no such thing' } }
  assert.equal(
    (await kv('get a', refused)).stderr,
    'Error querying Consul agent: Unexpected response code: 404 (no such thing)\n',
  )
})

test('kv delete: -cas that fails is status 1; flags that do not go together are refused', async () => {
  const path = 'DELETE /v1/kv/a?cas=7'
  const unmet = await kv('delete -cas -modify-index=7 a', { [path]: no })
  assert.deepEqual([unmet.status, unmet.stderr], [1, 'Error! Did not delete key a: CAS failed\n'])
  assert.equal((await kv('delete -cas -modify-index=7 a', { [path]: yes })).stdout, 'Success! Deleted key: a\n')
  for (const line of ['delete', 'delete -cas a', 'delete -cas -modify-index=1 -recurse a', 'delete -recurse']) {
    const { status, asked } = await kv(line, {})
    assert.deepEqual([status, asked.length], [1, 0], line)
  }
  const all = await runCommand(['kv', 'delete', '-recurse', ''], { answers: { 'DELETE /v1/kv/?recurse': yes } })
  assert.equal(all.stdout, 'Success! Deleted keys with prefix: \n')
})

test('kv export and import: what is exported comes back, 64-bit flags and empty values too', async () => {
  const big = '9223372036854775809'
  const body = JSON.stringify([entry('a<b', 'v', { Flags: 5 }), entry('c/', '')]).replace('"Flags":5', `"Flags":${big}`)
  const exported = await kv('export', { 'GET /v1/kv/?recurse': { body } })
  assert.equal(
    exported.stdout,
    `[\n\t{\n\t\t"key": "a\\u003cb",\n\t\t"flags": ${big},\n\t\t"value": "dg=="\n\t},\n\t{\n\t\t"key": "c/",\n\t\t"flags": 0,\n\t\t"value": ""\n\t}\n]\n`,
  )
  const answers = { [`PUT /v1/kv/p/a%3Cb?flags=${big}`]: yes, 'PUT /v1/kv/p/c/?flags=0': yes }
  const imported = await kv('import -prefix=p -', answers, { stdin: Readable.from([exported.stdout]) })
  assert.equal(imported.stdout, 'Imported: p/a<b\nImported: p/c/\n')
  assert.deepEqual(
    imported.asked.map((request) => request.body),
    ['v', ''],
  )
  assert.equal((await kv('export x', { 'GET /v1/kv/x?recurse': { status: 404 } })).stdout, '[]\n')
})

test('kv import refuses what is no export, and stops at what the server refuses', async () => {
  for (const text of ['{', '{"key": 1}', '[{"key": 1}]', '[1]']) {
    const { status, stderr } = await runCommand(['kv', 'import', text], { answers: {} })
    assert.equal(status, 1)
    assert.match(stderr, /^Cannot unmarshal data: .*\nhint: /)
  }
  const { status, both } = await runCommand(['kv', 'import', '[{"key":"a","flags":0,"value":""},{"key":"b"}]'], {
    answers: { 'PUT /v1/kv/a?flags=0': { status: 413, body: 'too large' } },
  })
  assert.equal(status, 1)
  assert.equal(both, 'Error! Failed writing data for key a: Unexpected response code: 413 (too large)\n')
})
