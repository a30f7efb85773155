/**
 * How the first servers of a datacenter agree to make an etcd together, and how later ones find it. Pure.
 *
 * Each server says in its LAN tags how it stands to etcd: it waits, and for which founders; it founds with them; or it is
 * a member. A server founds only when all founders say the same list, so two lists that share a server never both come
 * about: that server says one of them. Whoever sees a member joins it instead.
 */
import { createHash } from 'node:crypto'
import type { Member } from '#gossip'

/** LAN tag with the standing of a server. */
export const ETCD_TAG = 'etcd'

export type Standing = 'waiting' | 'founding' | 'member'

/** What a server says of itself. */
export interface EtcdCandidate {
  readonly name: string
  readonly standing: Standing
  readonly clientUrl: string
  readonly peerUrl: string
  /** What it would found, by a digest; empty while too few are there. */
  readonly agreed: string
}

export function tagOf({ standing, clientUrl, peerUrl, agreed }: Omit<EtcdCandidate, 'name'>): string {
  return [standing, clientUrl, peerUrl, agreed].join(' ')
}

/** The servers of this datacenter that are alive and say how they stand to etcd. */
export function candidatesAmong(members: readonly Member[], datacenter: string): readonly EtcdCandidate[] {
  return members.flatMap(({ name, tags, status }) => {
    if (status !== 'alive' || tags['role'] !== 'consul' || tags['dc'] !== datacenter) return []
    const [standing, clientUrl, peerUrl, agreed = ''] = (tags[ETCD_TAG] ?? '').split(' ')
    if (standing !== 'waiting' && standing !== 'founding' && standing !== 'member') return []
    if (!clientUrl || !peerUrl) return []
    return [{ name, standing, clientUrl, peerUrl, agreed }]
  })
}

export type Decision =
  /** Say what we would found (empty: too few are there), and look again. */
  | { readonly kind: 'wait'; readonly agreed: string; readonly present: number }
  | { readonly kind: 'found'; readonly agreed: string; readonly founders: readonly EtcdCandidate[] }
  | { readonly kind: 'join'; readonly clientUrls: readonly string[] }

/**
 * What a server without data does.
 *
 * @param candidates - ourselves included
 * @param expect - how many found it together
 */
export function decide(self: string, candidates: readonly EtcdCandidate[], expect: number): Decision {
  const members = candidates.filter(({ standing }) => standing === 'member')
  if (members.length > 0) return { kind: 'join', clientUrls: members.map(({ clientUrl }) => clientUrl) }
  const founders = [...candidates].sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, expect)
  const present = candidates.length
  if (founders.length < expect) return { kind: 'wait', agreed: '', present }
  const agreed = digestOf(founders)
  // One more than needed: it joins as soon as the others are members.
  if (founders.every(({ name }) => name !== self)) return { kind: 'wait', agreed: '', present }
  const unanimous = founders.every((founder) => founder.name === self || founder.agreed === agreed)
  return unanimous ? { kind: 'found', agreed, founders } : { kind: 'wait', agreed, present }
}

function digestOf(founders: readonly EtcdCandidate[]): string {
  const list = founders.map(({ name, peerUrl }) => `${name} ${peerUrl}`).join('\n')
  return createHash('sha256').update(list).digest('hex').slice(0, 16)
}
