/** Founding, transition by transition and as a seeded simulation in which everyone's sight is old. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seededRandom, shuffled } from '#base'
import type { EtcdCandidate, Standing } from './etcd-candidates.ts'
import { type Decision, Founding } from './etcd-founding.ts'

/** Seeds of the simulation. */
const RUNS = 700

const peerUrl = (name: string) => `https://${name}:2380`
const clientUrl = (name: string) => `https://${name}:2379`

/** One server: its decisions, and what it tells the others. */
class Server {
  readonly name: string
  readonly founding: Founding
  said: EtcdCandidate
  decision: Decision | undefined

  constructor(name: string, expect: number) {
    this.name = name
    let nonces = 0
    this.founding = new Founding({ name, peerUrl: peerUrl(name) }, expect, () => `${name}-${++nonces}`)
    this.said = this.#candidate('waiting')
  }

  #candidate(standing: Standing, says = ''): EtcdCandidate {
    const { name } = this
    return { name, standing, clientUrl: clientUrl(name), peerUrl: peerUrl(name), nonce: this.founding.nonce, says }
  }

  look(others: readonly EtcdCandidate[]): Decision {
    if (this.decision !== undefined && this.decision.kind !== 'wait') return this.decision
    const decision = this.founding.decide(others)
    this.decision = decision
    if (decision.kind === 'wait') this.said = this.#candidate('waiting', decision.says)
    if (decision.kind === 'found') this.said = this.#candidate('founding', decision.token)
    return decision
  }

  becomeMember(): void {
    this.said = this.#candidate('member')
  }
}

/** All look at all until nothing changes. */
function settle(servers: readonly Server[]): void {
  for (let round = 0; round < 10; round++) {
    for (const server of servers) server.look(servers.filter((other) => other !== server).map(({ said }) => said))
  }
}

const tokenOf = ({ decision }: Server) => (decision?.kind === 'found' ? decision.token : undefined)

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((first, at) => ordersOf(items.toSpliced(at, 1)).map((rest) => [first, ...rest]))
}

test('servers found the same etcd in every order of arrival', () => {
  for (const order of ordersOf(['s1', 's2', 's3'])) {
    const present: Server[] = []
    for (const name of order) {
      assert.ok(present.every((server) => server.decision?.kind !== 'found'))
      present.push(new Server(name, 3))
      settle(present)
    }
    assert.equal(new Set(present.map(tokenOf)).size, 1, order.join())
    for (const { decision } of present) {
      assert.ok(decision?.kind === 'found')
      assert.deepEqual(
        decision.founders,
        ['s1', 's2', 's3'].map((name) => ({ name, peerUrl: peerUrl(name) })),
      )
    }
  }
})

test('one server alone founds at once, and one that founds nothing waits for a member', () => {
  assert.equal(new Server('s1', 1).look([]).kind, 'found')
  const late = new Server('s9', 0)
  const first = new Server('s1', 1)
  first.look([])
  assert.equal(late.look([first.said]).kind, 'wait')
  first.becomeMember()
  assert.deepEqual(late.look([first.said]), { kind: 'join', clientUrls: [clientUrl('s1')] })
})

test('one more than needed waits until the others are members', () => {
  const servers = ['s1', 's2', 's3', 's4'].map((name) => new Server(name, 3))
  settle(servers)
  assert.deepEqual(
    servers.map(({ decision }) => decision?.kind),
    ['found', 'found', 'found', 'wait'],
  )
  servers[1]?.becomeMember()
  settle(servers)
  assert.deepEqual(servers[3]?.decision, { kind: 'join', clientUrls: [clientUrl('s2')] })
})

test('one that comes while the others found does not keep them from it', () => {
  const [s1, s2, s3, s0] = ['s1', 's2', 's3', 's0'].map((name) => new Server(name, 3))
  assert.ok(s0 && s1 && s2 && s3)
  for (let round = 0; round < 3; round++) {
    s3.look([s1.said, s2.said])
    s2.look([s1.said, s3.said])
    if (round < 2) s1.look([s2.said, s3.said])
  }
  assert.ok(s2.decision?.kind === 'found')
  settle([s0, s1, s2, s3])
  assert.equal(tokenOf(s1), tokenOf(s2))
  assert.equal(tokenOf(s3), tokenOf(s2))
  assert.equal(s0.decision?.kind, 'wait')
})

test('a founder that was restarted before it founded joins in', () => {
  const [s1, s2, s3] = ['s1', 's2', 's3'].map((name) => new Server(name, 3))
  assert.ok(s1 && s2 && s3)
  for (let round = 0; round < 3; round++)
    for (const each of [s1, s2]) each.look([s1, s2, s3].filter((other) => other !== each).map(({ said }) => said))
  s3.look([s1.said, s2.said])
  s1.look([s2.said, s3.said])
  s1.look([s2.said, s3.said])
  settle([s1, s2])
  const again = new Server('s3', 3)
  settle([s1, s2, again])
  for (const each of [s1, s2]) if (each.decision?.kind === 'found') assert.equal(tokenOf(again), tokenOf(each))
  assert.ok(again.decision?.kind === 'found')
})

test('servers that expect different numbers found nothing', () => {
  const servers = [new Server('s1', 2), new Server('s2', 3), new Server('s3', 3)]
  settle(servers)
  assert.ok(servers.every(({ decision }) => decision?.kind === 'wait'))
})

test('a server with data that is not ready yet keeps the others from founding', () => {
  const waiting: EtcdCandidate = {
    name: 's9',
    standing: 'waiting',
    clientUrl: clientUrl('s9'),
    peerUrl: peerUrl('s9'),
    nonce: '',
    says: '',
  }
  const servers = ['s1', 's2', 's3'].map((name) => new Server(name, 3))
  for (let round = 0; round < 5; round++) {
    for (const each of servers)
      each.look([waiting, ...servers.filter((other) => other !== each).map(({ said }) => said)])
  }
  assert.ok(servers.every(({ decision }) => decision?.kind === 'wait'))
})

test('who said a list of which most are gone says nothing until they are back', () => {
  const [s1, s2, s3, s4, s5] = ['s1', 's2', 's3', 's4', 's5'].map((name) => new Server(name, 3))
  assert.ok(s1 && s2 && s3 && s4 && s5)
  s1.look([s2.said, s3.said])
  const decision = s1.look([s4.said, s5.said])
  assert.deepEqual(decision, { kind: 'wait', says: '', present: 3, gone: ['s2', 's3'] })
  assert.equal(s1.look([s2.said, s4.said, s5.said]).kind, 'wait')
  assert.notEqual(s1.said.says, '')
})

/**
 * Servers whose sight of each other is as old as chance will have it, though never going back, and who lose sight of each
 * other for a while.
 *
 * @param blindness - one look in how many changes whether another is seen at all
 */
function simulate(random: Random, expect: number, count: number, blindness: number) {
  const names = Array.from({ length: count }, (_, at) => `s${at}`)
  const servers = new Map(names.map((name) => [name, new Server(name, expect)]))
  const histories = new Map<string, EtcdCandidate[]>(names.map((name) => [name, []]))
  const sight = new Map<string, number>()
  const blind = new Set<string>()
  const note = ({ name, said }: Server) => {
    const history = histories.get(name) ?? []
    if (JSON.stringify(history.at(-1)) !== JSON.stringify(said)) history.push(said)
  }
  const step = (quiet: boolean) => {
    const [name = ''] = shuffled(names, random)
    const server = servers.get(name)
    if (server === undefined) return
    const others = names.flatMap((other) => {
      const way = `${name} ${other}`
      const history = histories.get(other) ?? []
      if (other === name) return []
      const seen = Math.max(sight.get(way) ?? -1, quiet || random.int(3) > 0 ? random.int(history.length + 1) - 1 : -1)
      sight.set(way, quiet ? history.length - 1 : seen)
      if (!quiet && random.int(blindness) === 0) blind[blind.has(way) ? 'delete' : 'add'](way)
      if (quiet) blind.delete(way)
      const candidate = history[sight.get(way) ?? -1]
      return candidate === undefined || blind.has(way) ? [] : [candidate]
    })
    server.look(others)
    note(server)
  }
  return { servers, step }
}

/** Etcds that have the quorum of their founders: how many. */
function quorums(servers: Iterable<Server>): number {
  const started = new Map<string, { founders: number; has: number }>()
  for (const { decision } of servers) {
    if (decision?.kind !== 'found') continue
    const { token, founders } = decision
    const has = (started.get(token)?.has ?? 0) + 1
    started.set(token, { founders: founders.length, has })
  }
  return [...started.values()].filter(({ founders, has }) => has > founders / 2).length
}

for (const { blindness, least } of [
  { blindness: 20, least: 0.8 },
  { blindness: 1_000, least: 0.98 },
]) {
  test(`two etcds never get a quorum, however old the sight is (one look in ${blindness} changes who is seen)`, () => {
    let founded = 0
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = seededRandom(seed)
      const expect = 2 + random.int(2)
      const { servers, step } = simulate(random, expect, expect + random.int(3), blindness)
      for (let at = 0; at < 120; at++) step(false)
      assert.ok(quorums(servers.values()) <= 1, `seed ${seed}: two etcds before all see all`)
      for (let at = 0; at < 60; at++) step(true)
      assert.ok(quorums(servers.values()) <= 1, `seed ${seed}: two etcds`)
      founded += quorums(servers.values())
    }
    // The rest wait and say for whom: who cannot know whether others have founded does not found again.
    assert.ok(founded >= RUNS * least, `only ${founded} of ${RUNS} came together`)
  })
}
