/**
 * Entries of the key/value store as commands ask for them: keys in paths, what is there, what was done.
 */
import { type ApiAnswer, type Query, segment } from '#client'
import { DirEntry, list } from '#codec'
import type { AgentApi } from './agent-api.ts'

export const KV_DOING = 'Error querying Consul agent'
const Entries = list(DirEntry)

/** Keys never begin with a slash, though people write them so. */
export function keyOf(word: string): string {
  return word.startsWith('/') ? word.slice(1) : word
}

/** A key is part of the path as it is, slashes included. */
export function kvPath(key: string): string {
  return `/v1/kv/${key.split('/').map(segment).join('/')}`
}

/** The entry of a key, or all whose keys begin with it; none where there are none. @throws REQUEST_FAILED */
export async function findEntries(agent: AgentApi, key: string, query: Query): Promise<readonly DirEntry[]> {
  return (await agent.find(KV_DOING, Entries, kvPath(key), query)) ?? []
}

/** Whether the server did what a condition was put to: it answers `true` or `false`. */
export function wasDone(answer: ApiAnswer): boolean {
  return answer.body.toString('utf8').trim() === 'true'
}
