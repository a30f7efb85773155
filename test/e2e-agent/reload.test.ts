/** A reload of a real server: it names what waits for a restart, each time, until it is taken back. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ServerProcess } from './server-process.ts'

test('each reload names the settings that wait for a restart, whichever reload brought them', async (context) => {
  const server = await ServerProcess.start({})
  context.after(() => server.stop())
  const file = join(server.directory, 'server.json')
  const settings = JSON.parse(readFileSync(file, 'utf8'))
  /** What a reload with further settings says. */
  const reload = async (more: object) => {
    const before = server.output.length
    writeFileSync(file, JSON.stringify({ ...settings, ...more }))
    const { status, text } = await server.ask('PUT', '/v1/agent/reload')
    assert.equal(status, 200, text)
    const said = () => server.output.slice(before)
    while (!said().includes('configuration reloaded')) await new Promise((resolve) => setTimeout(resolve, 20))
    return said()
  }
  const waits = /changed, and takes effect at the next start only: setting=disableCoordinates/
  assert.match(await reload({ disable_coordinates: true }), waits)
  assert.match(await reload({ disable_coordinates: true, log_level: 'debug' }), waits)
  assert.doesNotMatch(await reload({ log_level: 'debug' }), waits)
})
