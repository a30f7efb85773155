/**
 * `config …` and `intention …` beyond the recordings: conditions, files, refusals.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { seededRandom } from '#base'
import { type CannedAnswers, runCommand } from './test-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-config-'))
after(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test('config write takes HCL, also from standard input, and says the name that the one entry of a kind has', async () => {
  const answers: CannedAnswers = { 'PUT /v1/config': { body: 'true' } }
  const hcl = 'kind = "mesh"\ntransparent_proxy {\n  mesh_destinations_only = true\n}\n'
  const ran = await runCommand(['config', 'write', '-'], { answers, stdin: Readable.from([hcl]) })
  assert.equal(ran.both, 'Config entry written: mesh/mesh\n')
  assert.deepEqual(JSON.parse(ran.asked[0]?.body ?? ''), {
    kind: 'mesh',
    transparent_proxy: { mesh_destinations_only: true },
  })
})

test('config write -cas fails with status 1 when the entry is another by now', async () => {
  const path = file('web.json', '{"Kind": "service-defaults", "Name": "web"}')
  const answers: CannedAnswers = { 'PUT /v1/config?cas=7': { body: 'false' } }
  const ran = await runCommand(['config', 'write', '-cas', '-modify-index=7', path], { answers })
  assert.equal(ran.status, 1)
  assert.equal(ran.stderr, 'Config entry not updated: service-defaults/web\n')
})

test('config write frames what the server refuses, and names a file that is no entry', async () => {
  const path = file('bad.json', '{"Kind": "service-defaults", "Name": "x", "Nope": 1}')
  const body = 'Request decoding failed: 1 error occurred:\n\t* invalid config key "Nope"\n\n'
  const refused = await runCommand(['config', 'write', path], { answers: { 'PUT /v1/config': { status: 400, body } } })
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /^Error writing config entry service-defaults\/x: Unexpected response code: 400/)
  const broken = await runCommand(['config', 'write', file('broken.hcl', 'kind = {')])
  assert.match(broken.stderr, /^Failed to decode config entry input: /)
  const list = await runCommand(['config', 'write', file('list.json', '[]')])
  assert.equal(list.stderr, 'Failed to decode config entry input: it is not an object\n')
})

test('config write survives any text (fuzz)', async () => {
  const random = seededRandom(7)
  const seeds = ['{"Kind": "service-defaults", "Name": "web"}', 'kind = "mesh"\ntls { incoming { } }\n']
  for (let round = 0; round < 100; round++) {
    const text = Buffer.from(seeds[round % 2] ?? '')
    for (let i = 0; i < 3; i++) text[random.int(text.length)] = random.int(256)
    const answers: CannedAnswers = { 'PUT /v1/config': { body: 'true' } }
    const { status, stderr } = await runCommand(['config', 'write', '-'], { answers, stdin: Readable.from([text]) })
    assert.ok(status === 0 || /^Failed to decode config entry input: /.test(stderr), stderr)
  }
})

test('config read, list and delete say what they need', async () => {
  const words: readonly (readonly [string, RegExp])[] = [
    ['config read -name x', /Must specify the -kind parameter/],
    ['config read -kind service-defaults', /Must specify the -name parameter/],
    ['config list', /Must specify the -kind parameter/],
    ['config delete -kind service-defaults -name x -cas', /Must specify a -modify-index with -cas/],
    ['config delete -kind service-defaults -name x -modify-index=1', /Cannot specify -modify-index without -cas/],
    ['config delete -filename=f -kind mesh', /filename can't be used with kind or name/],
  ]
  for (const [line, wanted] of words) {
    const { status, stderr } = await runCommand(line.split(' '))
    assert.equal(status, 1, line)
    assert.match(stderr, wanted)
  }
})

test('config read says what is missing in the words that scripts match on', async () => {
  const text = 'Config entry not found for "service-defaults" / "nope"'
  const answers: CannedAnswers = { 'GET /v1/config/service-defaults/nope': { status: 404, body: text } }
  const ran = await runCommand(['config', 'read', '-kind', 'service-defaults', '-name', 'nope'], { answers })
  assert.equal(ran.status, 1)
  assert.match(
    ran.stderr,
    /^Error reading config entry service-defaults\/nope: Unexpected response code: 404 \(Config entry not found/,
  )
})

test('config delete takes the entry from a file, and tells whether its condition held', async () => {
  const path = file('web.hcl', 'kind = "service-defaults"\nname = "web"\n')
  const answers: CannedAnswers = {
    'DELETE /v1/config/service-defaults/web': { body: '{}' },
    'DELETE /v1/config/service-defaults/web?cas=3': { body: 'false' },
  }
  const ran = await runCommand(['config', 'delete', '-filename', path], { answers })
  assert.equal(ran.both, 'Config entry deleted: service-defaults/web\n')
  const stale = await runCommand(['config', 'delete', '-filename', path, '-cas', '-modify-index', '3'], { answers })
  assert.equal(stale.status, 1)
  assert.equal(stale.stderr, 'Config entry not deleted: service-defaults/web\n')
})

const intention = (more: object) => ({
  ...{ SourceNS: 'default', SourceName: 'web', DestinationNS: 'default', DestinationName: 'db', SourceType: 'consul' },
  ...{ Action: 'allow', Precedence: 9, CreateIndex: 4, ModifyIndex: 4 },
  ...more,
})
const ID = '005ca8fc-95d5-f80e-857a-95a340dabc34'

test('intention create -replace changes the one that is there, by its ID or by its names, and else creates one', async () => {
  const words = ['intention', 'create', '-deny', '-replace', 'web', 'db']
  const list = 'GET /v1/connect/intentions'
  const byId = await runCommand(words, {
    answers: { [list]: { body: [intention({ ID })] }, [`PUT /v1/connect/intentions/${ID}`]: { body: { ID } } },
  })
  const exact = await runCommand(words, {
    answers: {
      [list]: { body: [intention({})] },
      'PUT /v1/connect/intentions/exact?source=web&destination=db': { body: 'true' },
    },
  })
  const none = await runCommand(words, {
    answers: { [list]: { body: [] }, 'POST /v1/connect/intentions': { body: { ID } } },
  })
  for (const ran of [byId, exact, none]) assert.equal(ran.both, 'Created: web => db (deny)\n')
})

test('intention create -file reads intentions from files', async () => {
  const path = file('i.json', JSON.stringify({ SourceName: 'web', DestinationName: 'db', Action: 'deny' }))
  const answers: CannedAnswers = { 'POST /v1/connect/intentions': { body: { ID } } }
  const ran = await runCommand(['intention', 'create', '-file', path], { answers })
  assert.equal(ran.both, 'Created: web => db (deny)\n')
  const wrong = await runCommand(['intention', 'create', '-file', file('w.json', '{"Nope": 1}')])
  assert.match(wrong.stderr, /^Error reading intention from ".*w\.json": .*unknown field "Nope"/)
})

test('intention create, match and delete refuse words that contradict or are missing', async () => {
  const words: readonly (readonly [string, RegExp])[] = [
    ['intention create -allow -deny a b', /Only one of -allow or -deny may be specified/],
    ['intention create a', /Must specify two arguments: source and destination/],
    ['intention create -meta x a b', /"x" is not key=value/],
    ['intention match -source -destination a', /Only one of -source or -destination may be specified/],
    ['intention delete a', /Find intention "a": it is no ID/],
  ]
  for (const [line, wanted] of words) {
    const { status, stderr } = await runCommand(line.split(' '))
    assert.equal(status, 1, line)
    assert.match(stderr, wanted)
  }
})

test('intention get shows one by its ID, with description, metadata and permissions', async () => {
  const Permissions = [{ Action: 'allow', HTTP: { PathPrefix: '/' } }]
  const shown = intention({ ID, Description: 'why', Meta: { b: '2', a: '1' }, Action: '', Permissions })
  const answers: CannedAnswers = { [`GET /v1/connect/intentions/${ID}`]: { body: shown } }
  const ran = await runCommand(['intention', 'get', ID], { answers })
  const lines = [
    'Source:       web',
    'Destination:  db',
    'Action:       1 permission',
    `ID:           ${ID}`,
    'Description:  why',
    'Meta[a]:      1',
    'Meta[b]:      2',
  ]
  assert.equal(ran.stdout, `${lines.join('\n')}\n`)
})

test('intention list says when there are none', async () => {
  const answers: CannedAnswers = { 'GET /v1/connect/intentions': { body: [] } }
  const ran = await runCommand(['intention', 'list'], { answers })
  assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', 'There are no intentions.\n'])
})
