/**
 * Start-up: a command that only talks to an agent loads nothing of the server.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const folder = import.meta.dirname
/** What clients may load; the rest is the server. */
const CLIENT_FACES = ['#base', '#client', '#codec', '#snapshot', '#watch']
/** Files that are a part of the server, or make what it takes (`import()` inside a command is not loading). */
const SERVER_FILES = ['agent.ts', 'connect-proxy.ts', 'federation-secret.ts', 'up.ts']

/** Faces that a file imports when it is loaded; types are erased. */
function facesOf(file: string): string[] {
  const source = readFileSync(join(folder, file), 'utf8')
  const imports = [...source.matchAll(/^(?:import|export) (?!type )[^'"]*?from '(#\w+)'/gm)]
  return imports.map(([, face = '']) => face)
}

test('commands that talk to an agent import base/, codec/ and client/ alone', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  assert.ok(files.length > 30)
  for (const file of files) {
    if (SERVER_FILES.includes(file)) continue
    const others = facesOf(file).filter((face) => !CLIENT_FACES.includes(face))
    assert.deepEqual(others, [], file)
  }
})

test('`hanse members` loads no file of the server', () => {
  const loaded = `
    import { registerHooks } from 'node:module'
    const files = []
    registerHooks({ load(url, context, next) { files.push(url); return next(url, context) } })
    const { run } = await import(${JSON.stringify(join(folder, 'main.ts'))})
    const { stdin, stdout, stderr } = process
    const status = await run(['members', '-http-addr=127.0.0.1:1'], {
      env: {}, stdin, stdout, stderr, signal: new AbortController().signal,
    })
    const folders = files.flatMap((url) => /\\/src\\/(\\w+)\\//.exec(url)?.[1] ?? [])
    console.log(JSON.stringify({ status, folders: [...new Set(folders)].sort() }))
    process.exit(0)`
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', loaded]
  const output = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  assert.deepEqual(JSON.parse(output), { status: 1, folders: ['base', 'cli', 'client', 'codec'] })
})
