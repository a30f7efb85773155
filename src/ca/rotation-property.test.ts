/**
 * The promise of a rotation: no leaf in use ever stops to verify, whatever rotates, whoever hears late.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Authorities, ChainChecker, configured, type SignedLeaf } from './fixture.ts'

const HOUR_MS = 3_600_000

for (const seed of [1, 2, 3, 4]) {
  test(`every leaf in use verifies with every bundle in use, whatever rotates and whoever lags (seed ${seed})`, () => {
    const names = ['dc1', 'dc2', 'dc3']
    const all = new Authorities(names.slice(1), seed)
    all.start()
    const checker = new ChainChecker()
    const holds = ({ certificate }: SignedLeaf, roots: readonly string[]) =>
      checker.leadsToRoot(certificate.CertPEM, roots, all.clock.wallMs())
    const leafs = new Map(names.map((name) => [name, [all.leaf(name, 'web')]]))
    const bundles = new Map(names.map((name) => [name, all.bundle(name)]))
    let rotations = 0
    for (let round = 0; round < 80; round++) {
      all.clock.advance(all.random.int(12) * HOUR_MS)
      all.inPrimary({ kind: 'tick' })
      if (all.random.int(6) === 0 && all.primary.roots.length < 6) {
        all.configure('dc1', configured({ PrivateKeyBits: ++rotations % 2 === 1 ? 384 : 256 }))
      }
      for (const name of names) {
        // News and renewals come in any order, some not in this round.
        if (name !== 'dc1' && all.random.int(3) > 0) all.tell(name)
        if (name !== 'dc1') all.inSecondary(name, { kind: 'tick' })
        if (all.random.int(2) > 0) bundles.set(name, all.bundle(name))
        const kept = (leafs.get(name) ?? []).filter(
          ({ certificate }) => Date.parse(certificate.ValidBefore) > all.clock.wallMs(),
        )
        leafs.set(name, [...kept.slice(-3), all.leaf(name, 'web')])
      }
      for (const [there, bundle] of bundles) {
        for (const [from, used] of leafs) {
          for (const leaf of used) assert.ok(holds(leaf, bundle), `round ${round}: a leaf of ${from} in ${there}`)
        }
      }
    }
    assert.ok(rotations >= 5)
  })
}
