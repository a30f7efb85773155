/**
 * How the first servers of a datacenter agree to make an etcd together, and how later ones find it. Pure.
 *
 * Everyone says whom it sees. When all that a server sees, itself included, say the same, it founds with the first
 * `expect` of them by name, and never anything else; whoever sees it found joins in if it is one of them, and all others
 * join once there are members. What is seen may be old, so saying binds:
 *
 * - Each server has a nonce that changes with whom it sees, and what is said is a digest of all nonces. So whoever says
 *   something new can no longer be counted for what it said before by those that it sees: they would need the old nonce.
 * - Who said a list, and no longer sees most of it, says nothing: those that are gone may have founded it.
 *
 * So of two lists that share a server, at most one gets the quorum of etcd. Servers that have never seen each other
 * cannot know better: as with Consul, `bootstrap_expect` should be more than half of the servers.
 */
import { createHash } from 'node:crypto'
import type { EtcdCandidate } from './etcd-candidates.ts'

/** Lists that are remembered as said. */
const MAX_SAID = 64

/** A server that is to be a member from the beginning. */
export interface Founder {
  readonly name: string
  readonly peerUrl: string
}

export type Decision =
  /** Say this (empty: nothing), and look again. `gone`: of a list that was said, and may have come about. */
  | { readonly kind: 'wait'; readonly says: string; readonly present: number; readonly gone: readonly string[] }
  | { readonly kind: 'found'; readonly token: string; readonly founders: readonly Founder[] }
  | { readonly kind: 'join'; readonly clientUrls: readonly string[] }

/** A list that we have said. */
interface Said {
  readonly view: string
  readonly names: ReadonlySet<string>
  readonly founders: readonly Founder[]
  readonly token: string
}

export class Founding {
  readonly #self: Founder
  readonly #expect: number
  readonly #newNonce: () => string
  readonly #said: Said[] = []
  #view = ''
  #nonce = ''

  /**
   * @param expect - how many found it together; 0: we found nothing
   * @param newNonce - never the same twice
   */
  constructor(self: Founder, expect: number, newNonce: () => string) {
    this.#self = self
    this.#expect = expect
    this.#newNonce = newNonce
  }

  /** Ours, as of the last decision. */
  get nonce(): string {
    return this.#nonce
  }

  /** @param others - all that are alive and say how they stand */
  decide(others: readonly EtcdCandidate[]): Decision {
    const members = others.filter(({ standing }) => standing === 'member')
    if (members.length > 0) return { kind: 'join', clientUrls: members.map(({ clientUrl }) => clientUrl) }
    const seen = [...others, this.#self].sort((a, b) => (a.name < b.name ? -1 : 1))
    const view = listOf(seen)
    if (view !== this.#view) this.#nonce = this.#newNonce()
    this.#view = view
    const founders = seen.slice(0, this.#expect).map(({ name, peerUrl }) => ({ name, peerUrl }))
    const names = new Set(seen.map(({ name }) => name))
    const said: Said = { view, names, founders, token: digest(listOf(founders)) }
    const founding = others.filter(({ standing }) => standing === 'founding')
    if (founding.length > 0) return this.#adopted(founding, said) ?? this.#silent(names)
    const gone = this.#gone(names)
    if (this.#expect === 0 || seen.length < this.#expect || gone.length > 0) return this.#silent(names, gone)
    const says = digest(`${this.#expect}\n${seen.map((each) => this.#noted(each)).join('\n')}`)
    this.#remember(said)
    const unanimous = others.every((other) => other.says === says)
    if (!unanimous || !this.#isIn(founders)) return { kind: 'wait', says, present: seen.length, gone: [] }
    return { kind: 'found', token: said.token, founders }
  }

  #silent(names: ReadonlySet<string>, gone: readonly string[] = []): Decision {
    return { kind: 'wait', says: '', present: names.size, gone }
  }

  #noted(each: Founder | EtcdCandidate): string {
    return `${each.name} ${each.peerUrl} ${'nonce' in each ? each.nonce : this.#nonce}`
  }

  #isIn(founders: readonly Founder[]): boolean {
    return founders.some(({ name, peerUrl }) => name === this.#self.name && peerUrl === this.#self.peerUrl)
  }

  /**
   * What others found already, where we are one of its founders: we have said it, or would (after a restart), and nothing
   * since then that can have come about without those others.
   */
  #adopted(founding: readonly EtcdCandidate[], now: Said): Decision | undefined {
    const [token = '', ...different] = new Set(founding.map(({ says }) => says))
    if (different.length > 0) return undefined
    const at = this.#said.findIndex((said) => said.token === token)
    const said = this.#said[at] ?? (now.token === token ? now : undefined)
    const without = this.#said.slice(at + 1).some(({ names }) => founding.some(({ name }) => !names.has(name)))
    if (said === undefined || without || !this.#isIn(said.founders)) return undefined
    return { kind: 'found', token, founders: said.founders }
  }

  /** Those of a list that we have said and of which too many are gone. */
  #gone(names: ReadonlySet<string>): readonly string[] {
    for (const { founders } of this.#said) {
      const gone = founders.map(({ name }) => name).filter((name) => !names.has(name))
      if (gone.length > founders.length / 2) return gone
    }
    return []
  }

  #remember(said: Said): void {
    if (this.#said.some(({ view }) => view === said.view)) return
    this.#said.push(said)
    if (this.#said.length > MAX_SAID) this.#said.shift()
  }
}

function listOf(servers: readonly Founder[]): string {
  return servers.map(({ name, peerUrl }) => `${name} ${peerUrl}`).join('\n')
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
