/**
 * What an operator does to etcd and Hanse does not: ask members who leads, compact, disarm alarms.
 *
 * Through etcd's JSON gateway, so that nothing of what is tested takes part.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { EtcdCluster, EtcdProcess } from '../support/etcd.ts'
import { eventually } from '../support/eventually.ts'

const CALL_MS = 20_000
/** A member that is frozen does not answer at all. */
const STATUS_MS = 1_500
const LEADER_WAIT_MS = 20_000

interface Status {
  readonly header: { readonly member_id: string; readonly revision?: string }
  readonly leader?: string
  readonly dbSize?: string
}

/** @throws where the member does not answer, or refuses */
export async function ask<T>(
  member: EtcdProcess,
  path: string,
  question: object = {},
  timeoutMs = CALL_MS,
): Promise<T> {
  const response = await fetch(`${member.endpoint}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(question),
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`etcd answers ${response.status}: ${text}`)
  return JSON.parse(text)
}

export const statusOf = (member: EtcdProcess): Promise<Status> =>
  ask<Status>(member, 'maintenance/status', {}, STATUS_MS)

/** The member that leads, and the others. `among`: who is asked; default all. */
export async function leaderOf(
  cluster: EtcdCluster,
  among: readonly EtcdProcess[] = cluster.members,
): Promise<{ leader: EtcdProcess; followers: readonly EtcdProcess[] }> {
  const until = performance.now() + LEADER_WAIT_MS
  while (performance.now() < until) {
    for (const member of among) {
      const status = await statusOf(member).catch(() => undefined)
      if (status?.leader === undefined || status.leader === '0' || status.leader !== status.header.member_id) continue
      return { leader: member, followers: cluster.members.filter((other) => other !== member) }
    }
    await delay(50)
  }
  throw new Error(`etcd elected no leader: ${cluster.members.map(({ output }) => output.slice(-500)).join('\n')}`)
}

/** Forgets all history before now; tried again where etcd is too busy with an election to answer. */
export async function compact(member: EtcdProcess): Promise<void> {
  await eventually('etcd compacts', async () => {
    const { header } = await ask<Status>(member, 'maintenance/status')
    await ask(member, 'kv/compaction', { revision: header.revision, physical: true })
  })
}

/** Makes room after the quota was reached: history goes, the file shrinks, the alarm is disarmed. */
export async function makeRoom(cluster: EtcdCluster): Promise<void> {
  const [first] = cluster.members
  if (first === undefined) return
  await compact(first)
  for (const member of cluster.members) await ask(member, 'maintenance/defragment', {}, 20_000)
  const { alarms } = await ask<{ alarms?: { memberID: string }[] }>(first, 'maintenance/alarm', { action: 'GET' })
  for (const { memberID } of alarms ?? []) {
    await ask(first, 'maintenance/alarm', { action: 'DEACTIVATE', memberID, alarm: 'NOSPACE' })
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** How many keys begin with a prefix. */
export async function countKeys(member: EtcdProcess, prefix: string): Promise<number> {
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
  const question = { key: base64(prefix), range_end: base64(end), count_only: true }
  const { count } = await ask<{ count?: string }>(member, 'kv/range', question)
  return Number(count ?? 0)
}

/** The leases of the keys that begin with a prefix. */
export async function leasesBelow(member: EtcdProcess, prefix: string): Promise<readonly string[]> {
  const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
  const { kvs } = await ask<{ kvs?: { lease?: string }[] }>(member, 'kv/range', {
    key: base64(prefix),
    range_end: base64(end),
  })
  return (kvs ?? []).flatMap(({ lease }) => (lease === undefined || lease === '0' ? [] : [lease]))
}
