/**
 * The agent's own tokens: where they come from, what is remembered, who can read it.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { silentLogger } from '#base'
import { AgentTokens, takeBootstrapReset } from './agent-tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'hanse-tokens-'))
after(() => rmSync(folder, { recursive: true }))
let directories = 0
const newDirectory = () => mkdtempSync(join(folder, `${++directories}-`))
const open = (dataDir: string, persist: boolean, configured: Record<string, string> = {}) =>
  new AgentTokens({ dataDir, persist, configured }, silentLogger)

test('AgentTokens remembers what was set, for its owner alone; the configuration wins', () => {
  const dataDir = newDirectory()
  const tokens = open(dataDir, true, { agent: 'configured' })
  const heard: string[] = []
  tokens.onSet((kind) => heard.push(kind))
  tokens.set('replication', 'r')
  tokens.set('default', 'd')
  assert.deepEqual(heard, ['replication', 'default'])
  assert.equal(statSync(join(dataDir, 'acl-tokens.json')).mode & 0o777, 0o600)
  const again = open(dataDir, true, { default: 'configured' })
  assert.deepEqual([again.get('replication'), again.get('default'), again.get('dns')], ['r', 'configured', ''])
})

test('AgentTokens remembers nothing where that is not wanted', () => {
  const dataDir = newDirectory()
  open(dataDir, false).set('agent', 'a')
  assert.equal(existsSync(join(dataDir, 'acl-tokens.json')), false)
  assert.equal(open(dataDir, false).get('agent'), '')
})

test('AgentTokens starts without what is remembered where that cannot be read', () => {
  for (const text of ['', '{', '[]', 'null', '7', '{"agent":1,"nope":"x"}', '{"agent":{"a":1}}']) {
    const dataDir = newDirectory()
    writeFileSync(join(dataDir, 'acl-tokens.json'), text)
    assert.equal(open(dataDir, true).get('agent'), '')
  }
})

test('AgentTokens.set() refuses what is no token, and says when it cannot remember one, without telling it', () => {
  const tokens = open(join(newDirectory(), 'gone'), true)
  assert.throws(() => tokens.set('agent', 'x'.repeat(300)), { code: 'TOKEN_TOO_LONG' })
  assert.throws(
    () => tokens.set('agent', 'secret'),
    (error: Error) => /Remember tokens in/.test(error.message) && !error.message.includes('secret'),
  )
})

test('takeBootstrapReset() gives the index that an operator wrote down, once', async () => {
  const dataDir = newDirectory()
  const path = join(dataDir, 'acl-bootstrap-reset')
  assert.equal(await takeBootstrapReset(dataDir), undefined)
  writeFileSync(path, '21\n')
  assert.equal(await takeBootstrapReset(dataDir), 21)
  assert.equal(existsSync(path), false)
  writeFileSync(path, 'x')
  assert.equal(await takeBootstrapReset(dataDir), undefined)
  assert.throws(() => readFileSync(path))
})
