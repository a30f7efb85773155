/**
 * A storm of three engines on three members of etcd, each in a network namespace of its own, while the network between
 * the members is cut; a program, run by etcd-partition.test.ts in the namespace that all clients are in.
 *
 *     members' namespaces ── peers (a bridge: members among themselves, what is cut)
 *                         └─ clients (a bridge: from here to the members, never cut)
 *
 * Arguments: the part of namespaces' names before `e1`. Ends with 0 when nothing was lost, repeated or stale.
 */
import { spawnSync } from 'node:child_process'
import { argv } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { leaderOf } from '../etcd/admin.ts'
import { Storm } from '../etcd/storm.ts'
import { EtcdCluster, type EtcdProcess } from '../support/etcd.ts'

export const MEMBERS = 3
export const peerAddress = (at: number): string => `10.8.0.${at + 1}`
export const clientAddress = (at: number): string => `10.9.0.${at + 1}`
/** The bridge's end of a member's cable. */
export const peerPort = (at: number): string => `peer-e${at + 1}`
const CUT_MS = 6_000

/** Cuts a member off from the others, or lets it back. Clients still reach it. */
function setPeers(at: number, state: 'up' | 'down'): void {
  const { status, stderr } = spawnSync('ip', ['link', 'set', peerPort(at), state], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cut member ${at + 1}: ${stderr}`)
}

/** One engine asks only the member that is cut off, the others all of them. */
async function cut(cluster: EtcdCluster, what: string, member: EtcdProcess): Promise<void> {
  const at = cluster.members.indexOf(member)
  const storm = await Storm.start({
    endpoints: cluster.endpoints,
    only: { s1: [member.endpoint] },
    prefix: `${what}/`,
    servers: ['s1', 's2', 's3'],
  })
  try {
    await storm.progress(`before the ${what} is cut off`)
    setPeers(at, 'down')
    await storm.progress(`beside the ${what} that is cut off`, { servers: ['s2', 's3'] })
    await delay(CUT_MS)
    const [cutOff] = storm.sides
    if ((cutOff?.engine.staleMs() ?? 0) < CUT_MS / 2) throw new Error('who is cut off says that it is not')
    setPeers(at, 'up')
    await storm.progress(`when the ${what} is back`)
    process.stdout.write(`${what}: ${storm.said()}\n`)
  } finally {
    setPeers(at, 'up')
    await storm.stop()
  }
}

if (import.meta.main) {
  const [, , before = ''] = argv
  const alive = setInterval(() => {}, CUT_MS)
  const cluster = await EtcdCluster.start(MEMBERS, {
    site: (at) => ({
      clientHost: clientAddress(at),
      peerHost: peerAddress(at),
      enter: ['ip', 'netns', 'exec', `${before}e${at + 1}`],
    }),
  })
  try {
    const { leader } = await leaderOf(cluster)
    await cut(cluster, 'leader', leader)
    const { followers } = await leaderOf(cluster)
    if (followers[0]) await cut(cluster, 'follower', followers[0])
  } finally {
    await cluster.stop()
    clearInterval(alive)
  }
}
