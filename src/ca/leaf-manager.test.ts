/**
 * An agent's leafs as transcripts: first, renewal, change of root, refusals, and the rate at which they come.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { messageOf } from '#base'
import { Authorities, configured } from './fixture.ts'
import { type LeafEffect, type LeafInput, leafsWakeAtMs, MAX_LEAFS, newLeafManager, stepLeafs } from './leaf-manager.ts'
import { formatSpiffeId, parseSpiffeId, serviceId } from './names.ts'
import { rateLimit, takeToken } from './rate-limit.ts'

const HOUR_MS = 3_600_000

/** An agent of dc1: `issue` is carried out when a test says so. */
class Agent {
  readonly all = new Authorities([], 7)
  state = newLeafManager()
  readonly pending: string[] = []
  readonly seen: LeafEffect[] = []

  constructor() {
    this.all.start()
    this.roots()
  }

  input(input: LeafInput): void {
    const { state, effects } = stepLeafs(this.state, input, this.all.moment)
    this.state = state
    for (const effect of effects) {
      if (effect.kind === 'issue') this.pending.push(effect.uri)
      else this.seen.push(effect)
    }
  }

  roots(): void {
    this.input({ kind: 'roots', roots: this.all.primary.roots })
  }

  /** Makes the calls that are waiting; the number of refused ones. */
  answer(): number {
    let refused = 0
    for (const uri of this.pending.splice(0)) {
      const id = parseSpiffeId(uri)
      try {
        const { certificate, keyPem } = this.all.leaf('dc1', id.kind === 'service' ? id.service : '')
        this.input({ kind: 'issued', uri, certificate, keyPem })
      } catch (error) {
        refused++
        this.input({ kind: 'refused', uri, reason: messageOf(error) })
      }
    }
    return refused
  }

  want(service: string): string {
    const uri = formatSpiffeId(serviceId(this.all.primary.authority?.trustDomain ?? '', 'dc1', service))
    this.input({ kind: 'want', uri })
    return uri
  }

  /** Moves time to where something is due, and does it. */
  next(): number {
    const waitMs = Math.max(0, (leafsWakeAtMs(this.state) ?? 0) - this.all.clock.wallMs())
    this.all.clock.advance(waitMs)
    this.input({ kind: 'tick' })
    return waitMs
  }
}

test('stepLeafs() gets a leaf once, with its key, and renews it between 60 and 90 % of its life', () => {
  const agent = new Agent()
  const uri = agent.want('web')
  agent.want('web')
  assert.deepEqual(agent.pending, [uri])
  agent.answer()
  const leaf = agent.state.leafs.get(uri)
  assert.match(leaf?.certificate?.PrivateKeyPEM ?? '', /^-----BEGIN EC PRIVATE KEY-----\n/)
  assert.equal(leaf?.certificate?.ServiceURI, uri)
  const first = leaf?.certificate?.SerialNumber
  const waits: number[] = []
  for (let round = 0; round < 20; round++) {
    waits.push(agent.next() / (72 * HOUR_MS))
    assert.deepEqual(agent.pending, [uri])
    agent.answer()
  }
  assert.ok(waits.every((part) => part > 0.59 && part < 0.9))
  assert.ok(Math.max(...waits) - Math.min(...waits) > 0.1)
  assert.notEqual(agent.state.leafs.get(uri)?.certificate?.SerialNumber, first)
})

test('after a change of root all leafs follow within 30 seconds, spread', () => {
  const agent = new Agent()
  for (let count = 0; count < 40; count++) agent.want(`service-${count}`)
  agent.answer()
  agent.all.configure('dc1', configured({ PrivateKeyBits: 384 }))
  agent.roots()
  const perSecond = new Map<number, number>()
  const from = agent.all.clock.wallMs()
  for (let second = 0; second < 30; second++) {
    agent.all.clock.advance(1000)
    agent.input({ kind: 'tick' })
    perSecond.set(second, agent.pending.length)
    agent.answer()
  }
  assert.equal(
    [...perSecond.values()].reduce((sum, count) => sum + count, 0),
    40,
  )
  assert.ok(Math.max(...perSecond.values()) <= 8)
  const keyId = agent.all.primary.roots.find(({ Active }) => Active)?.SigningKeyID
  for (const { authorityKeyId } of agent.state.leafs.values()) assert.equal(authorityKeyId, keyId)
  assert.ok((leafsWakeAtMs(agent.state) ?? 0) > from + HOUR_MS)
})

test('a leaf signed by what was just rotated out is got once more', () => {
  const agent = new Agent()
  const uri = agent.want('web')
  const late = agent.all.leaf('dc1', 'web')
  agent.all.configure('dc1', configured({ PrivateKeyBits: 384 }))
  agent.roots()
  agent.input({ kind: 'issued', uri, certificate: late.certificate, keyPem: late.keyPem })
  assert.ok((leafsWakeAtMs(agent.state) ?? 0) <= agent.all.clock.wallMs() + 30_000)
})

test('refused leafs come again, later each time; those who wait for a first one are told', () => {
  const agent = new Agent()
  agent.all.configure('dc1', configured({ CSRMaxPerSecond: 2 }))
  for (let count = 0; count < 10; count++) agent.want(`service-${count}`)
  assert.equal(agent.answer(), 8)
  const told = agent.seen.filter(({ kind }) => kind === 'unavailable')
  assert.equal(told.length, 8)
  assert.ok(
    told.every((effect) => effect.kind === 'unavailable' && effect.reason === 'Rate limit reached, try again later'),
  )
  let rounds = 0
  while ([...agent.state.leafs.values()].some(({ certificate }) => !certificate)) {
    assert.ok(++rounds < 100)
    agent.next()
    agent.answer()
  }
})

test('a leaf stays in use while its renewal is refused, and a call without an answer is made again', () => {
  const agent = new Agent()
  const uri = agent.want('web')
  agent.answer()
  const serial = agent.state.leafs.get(uri)?.certificate?.SerialNumber
  agent.next()
  agent.pending.length = 0
  agent.input({ kind: 'refused', uri, reason: 'no' })
  assert.equal(agent.state.leafs.get(uri)?.certificate?.SerialNumber, serial)
  assert.equal(agent.state.leafs.get(uri)?.lastError, 'no')
  agent.next()
  agent.pending.length = 0
  assert.equal(agent.next(), 60_000)
  assert.deepEqual(agent.pending, [uri])
})

test('leafs of an authority that is about to end are not renewed ever faster', () => {
  const agent = new Agent()
  agent.all.configure(
    'dc1',
    configured({ LeafCertTTL: '1h', IntermediateCertTTL: '3h', RootCertTTL: '3h', PrivateKeyBits: 384 }),
  )
  agent.roots()
  agent.want('web')
  agent.answer()
  const end = agent.all.clock.wallMs() + 3 * HOUR_MS
  let renewals = 0
  while (agent.all.clock.wallMs() < end) {
    agent.next()
    agent.answer()
    assert.ok(++renewals < 40)
  }
})

test('stepLeafs() keeps a bounded number of leafs, and nothing for those that were forgotten', () => {
  const agent = new Agent()
  for (let count = 0; count < MAX_LEAFS; count++) agent.input({ kind: 'want', uri: `spiffe://x/${count}` })
  assert.throws(() => agent.input({ kind: 'want', uri: 'spiffe://x/more' }), { code: 'CA_TOO_MANY_LEAFS', status: 429 })
  agent.input({ kind: 'forget', uri: 'spiffe://x/0' })
  agent.input({ kind: 'want', uri: 'spiffe://x/more' })
  const broken = agent.all.leaf('dc1', 'web')
  agent.input({ kind: 'issued', uri: 'spiffe://x/0', ...broken })
  assert.ok(!agent.state.leafs.has('spiffe://x/0'))
  agent.input({
    kind: 'issued',
    uri: 'spiffe://x/1',
    keyPem: '',
    certificate: { ...broken.certificate, CertPEM: 'zz' },
  })
  assert.match(agent.state.leafs.get('spiffe://x/1')?.lastError ?? '', /cannot be read/)
})

test('takeToken() lets through as many as the rate says, and all at rate 0', () => {
  let limit = rateLimit(50, 0)
  let passed = 0
  for (let ms = 0; ms < 10_000; ms++) {
    const taken = takeToken(limit, ms)
    limit = taken.limit
    if (taken.allowed) passed++
  }
  assert.ok(passed >= 549 && passed <= 550)
  assert.ok(takeToken(rateLimit(0, 0), 0).allowed)
  assert.ok(!takeToken({ ...limit, tokens: 0, atMs: 10_000 }, 5_000).allowed)
})
