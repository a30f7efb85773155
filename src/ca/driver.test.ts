/**
 * Several servers over one store, each with its own driver: all sign, one begins, nobody uses a number twice.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { Metrics, seededRandom, silentLogger, sleep, systemClock } from '#base'
import { createCertificateRequest, IndexedCARoots } from '#codec'
import { State } from '#state'
import { type Content, openMemory } from '#store'
import { SERIAL_BLOCK } from './authority.ts'
import { CADriver, type PrimaryAuthority } from './driver.ts'
import { configured } from './fixture.ts'
import { formatSpiffeId, serviceId, trustDomainOf } from './names.ts'

const LIMIT_MS = 10_000

/** Tries until it works; the last failure is the test's. */
async function eventually(attempt: () => unknown): Promise<void> {
  const endMs = systemClock.nowMs() + LIMIT_MS
  for (;;) {
    try {
      return void (await attempt())
    } catch (error) {
      if (systemClock.nowMs() > endMs) throw error
      await sleep(systemClock, 10)
    }
  }
}

/** @param primary - makes it a secondary */
async function servers(context: TestContext, count: number, datacenter = 'dc1', primary?: PrimaryAuthority) {
  const engine = await openMemory()
  context.after(() => engine.close())
  const made = []
  for (let each = 0; each < count; each++) {
    const shared = { clock: systemClock, log: silentLogger, metrics: new Metrics() }
    const state = await State.open({ engine, ...shared, datacenter })
    const driver = new CADriver(datacenter, {
      state,
      ...shared,
      random: seededRandom(each + 1),
      ...(primary && { primary }),
    })
    context.after(async () => {
      driver.stop()
      await state.close()
    })
    await driver.start()
    const trustDomain = () => trustDomainOf(state.read((tx) => tx.caRoots()).value?.ClusterID ?? '')
    const csr = (service: string) => {
      const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return createCertificateRequest({ key, uris: [formatSpiffeId(serviceId(trustDomain(), datacenter, service))] })
    }
    made.push({ state, driver, csr, roots: () => state.read((tx) => tx.caRoots()).value?.Roots ?? [] })
  }
  const [first, second, third = second] = made
  assert.ok(first && second && third)
  return [first, second, third] as const
}

test('a follower signs with the root that the leader made, and numbers differ over more than a block', async (context) => {
  const [leader, follower] = await servers(context, 2)
  await assert.rejects(follower.driver.sign(follower.csr('early')), { code: 'CA_NOT_READY' })
  await leader.driver.lead()
  const asked = Array.from({ length: SERIAL_BLOCK + 20 }, (_, each) => each)
  // The default of 50 a second would refuse most.
  await follower.driver.configure(configured({ CSRMaxPerSecond: 0 }))
  const leafs = await Promise.all(
    asked.flatMap((each) => [
      leader.driver.sign(leader.csr(`a${each}`)),
      follower.driver.sign(follower.csr(`b${each}`)),
    ]),
  )
  assert.equal(new Set(leafs.map(({ SerialNumber }) => SerialNumber)).size, leafs.length)
  assert.equal(leader.roots().length, 1)
})

test('two servers that both take themselves for the leader make one root', async (context) => {
  const [one, two, three] = await servers(context, 3)
  const ends = await Promise.all([one, two, three].map(({ driver }) => driver.lead()))
  for (const { driver, csr, roots } of [one, two, three]) {
    assert.equal(roots().length, 1)
    await driver.sign(csr('web'))
  }
  for (const end of ends) end()
})

test('a configuration that comes to a follower rotates the root for all, once', async (context) => {
  const [leader, follower] = await servers(context, 2)
  await leader.driver.lead()
  const before = await leader.driver.sign(leader.csr('web'))
  await follower.driver.configure(configured({ PrivateKeyType: 'ec', PrivateKeyBits: 384 }))
  assert.equal(follower.roots().length, 2)
  await eventually(async () => {
    const leaf = await leader.driver.sign(leader.csr('web'))
    assert.equal(leader.roots().length, 2)
    assert.notEqual(leaf.CertPEM.split('-----END')[1], before.CertPEM.split('-----END')[1])
  })
  assert.equal(leader.driver.ca.authority?.rootId, follower.driver.ca.authority?.rootId)
})

test('an authority that was not yet there when a snapshot was saved outlives its restore, at all servers', async (context) => {
  const [leader, follower] = await servers(context, 2)
  const saved: (readonly Content[])[] = []
  const { index } = await leader.state.dump((records) => saved.push(records))
  await leader.driver.lead()
  await leader.driver.sign(leader.csr('web'))
  const before = leader.roots()
  await leader.state.restore(Readable.from(saved), index)
  for (const { roots } of [leader, follower]) await eventually(() => assert.deepEqual(roots(), before))
  const { authority } = leader.driver.ca
  for (const { driver, csr } of [follower, leader]) await driver.sign(csr('web'))
  assert.equal(leader.driver.ca.authority?.signer.certPem, authority?.signer.certPem)
  assert.equal(follower.driver.ca.authority?.signer.certPem, authority?.signer.certPem)
})

test('a secondary: the leader alone asks the primary, a follower signs with what it got, and its configuration is acted on', async (context) => {
  const [primary] = await servers(context, 2)
  await primary.driver.lead()
  let asked = 0
  const authority: PrimaryAuthority = {
    roots: async (minIndex, signal) => {
      if (minIndex > 0) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      const stored = primary.state.read((tx) => tx.caRoots()).value
      return IndexedCARoots.of({
        Index: 5,
        ActiveRootID: stored?.Roots?.find(({ Active }) => Active)?.ID ?? '',
        TrustDomain: `${stored?.ClusterID}.consul`,
        Roots: stored?.Roots ?? [],
      })
    },
    signIntermediate: async (csr) => {
      asked++
      return primary.driver.signIntermediate(csr)
    },
  }
  const [leader, follower] = await servers(context, 2, 'dc2', authority)
  const end = await leader.driver.lead()
  await eventually(() => follower.driver.sign(follower.csr('web')))
  assert.equal(asked, 1)
  await follower.driver.configure(configured({ PrivateKeyType: 'ec', PrivateKeyBits: 384 }))
  await eventually(() => assert.equal(asked, 2))
  await eventually(() => {
    assert.equal(follower.driver.ca.authority?.signer.key.asymmetricKeyDetails?.namedCurve, 'secp384r1')
  })
  end()
  // Another one leads: it has nothing to ask for.
  await follower.driver.lead()
  await follower.driver.sign(follower.csr('web'))
  assert.equal(asked, 2)
})
