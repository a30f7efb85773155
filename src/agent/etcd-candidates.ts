/**
 * How servers tell each other, in a tag of the LAN pool, how they stand to etcd. Pure.
 */
import type { Member } from '#gossip'

/** LAN tag with the standing of a server. */
export const ETCD_TAG = 'etcd'

const STANDINGS = ['waiting', 'founding', 'member'] as const
export type Standing = (typeof STANDINGS)[number]

/** What a server says of itself. */
export interface EtcdCandidate {
  readonly name: string
  readonly standing: Standing
  readonly clientUrl: string
  readonly peerUrl: string
  /** New with each change of whom it sees. */
  readonly nonce: string
  /** While it waits: what it would found, and with whom in sight. While it founds: what. Empty: neither. */
  readonly says: string
}

/** Short, because all tags together have 512 bytes: the peer URL is the client URL with another port. */
export function tagOf({ standing, clientUrl, peerUrl, nonce, says }: Omit<EtcdCandidate, 'name'>): string {
  return [standing, clientUrl, /\d+$/.exec(peerUrl)?.[0] ?? '', nonce, says].join(' ')
}

/** The servers of this datacenter that are alive and say how they stand to etcd. */
export function candidatesAmong(members: readonly Member[], datacenter: string): readonly EtcdCandidate[] {
  return members.flatMap(({ name, tags, status }) => {
    if (status !== 'alive' || tags['role'] !== 'consul' || tags['dc'] !== datacenter) return []
    const candidate = parseTag(name, tags[ETCD_TAG] ?? '')
    return candidate ? [candidate] : []
  })
}

export function parseTag(name: string, tag: string): EtcdCandidate | undefined {
  const [said, clientUrl = '', peerPort = '', nonce = '', says = ''] = tag.split(' ')
  const standing = STANDINGS.find((each) => each === said)
  if (standing === undefined || !/^https?:\/\/[^/,]+:\d{1,5}$/.test(clientUrl) || !/^\d{1,5}$/.test(peerPort)) return
  return { name, standing, clientUrl, peerUrl: clientUrl.replace(/\d+$/, peerPort), nonce, says }
}
