/** A member of etcd, leader or not, is cut off from the others while clients still reach it: no engine is led astray. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { execPath } from 'node:process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { clientAddress, MEMBERS, peerAddress, peerPort } from './etcd-lab.ts'

const LAB = fileURLToPath(new URL('./etcd-lab.ts', import.meta.url))
/** Names as in network.ts, which removes what a run that was killed has left. */
const BEFORE = `hanse${process.pid}-`

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`)
}

const members = Array.from({ length: MEMBERS }, (_, at) => ({ at, space: `${BEFORE}e${at + 1}` }))
const lab = `${BEFORE}lab`

function make(): void {
  ip('netns', 'add', lab)
  ip('-n', lab, 'link', 'set', 'lo', 'up')
  for (const bridge of ['peers', 'clients']) {
    ip('-n', lab, 'link', 'add', bridge, 'type', 'bridge')
    ip('-n', lab, 'link', 'set', bridge, 'up')
  }
  ip('-n', lab, 'addr', 'add', '10.9.0.254/24', 'dev', 'clients')
  for (const { at, space } of members) {
    ip('netns', 'add', space)
    ip('-n', space, 'link', 'set', 'lo', 'up')
    const cables = [
      { bridge: 'peers', port: peerPort(at), address: peerAddress(at) },
      { bridge: 'clients', port: `client-e${at + 1}`, address: clientAddress(at) },
    ]
    for (const { bridge, port, address } of cables) {
      ip('-n', lab, 'link', 'add', port, 'type', 'veth', 'peer', 'name', bridge, 'netns', space)
      ip('-n', lab, 'link', 'set', port, 'master', bridge, 'up')
      ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', bridge)
      ip('-n', space, 'link', 'set', bridge, 'up')
    }
  }
}

test('engines lose nothing and go never back while a member of etcd is cut off from the others, with its clients', async (t) => {
  try {
    make()
    const args = ['netns', 'exec', lab, execPath, '--disable-warning=ExperimentalWarning', LAB, BEFORE]
    const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const [said, complaint, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => child.once('close', resolve)),
    ])
    assert.equal(code, 0, complaint)
    for (const line of said.trim().split('\n')) t.diagnostic(line)
    assert.match(said, /^leader: .*\n^follower: /m)
  } finally {
    for (const { space } of members) spawnSync('ip', ['netns', 'delete', space])
    spawnSync('ip', ['netns', 'delete', lab])
  }
})
