/**
 * The promise of check-write.ts, by chance: whatever sequence of writes and removals is let through, every chain
 * compiles after each of them, and every graph is closed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HanseError, type Random, seededRandom } from '#base'
import { type CompiledDiscoveryChain, type ConfigEntryKind, configEntryName } from '#codec'
import { checkDelete, checkWrite, compileChain, EntrySet, entryFromValue } from './index.ts'

const SERVICES = ['a', 'b', 'c', 'd', 'e']
const one = <T>(random: Random, items: readonly T[]): T => items[random.int(items.length)]!

/** An entry that may fit the others or not. */
function entry(random: Random): object {
  const Name = one(random, SERVICES)
  const Service = one(random, ['', ...SERVICES])
  const ServiceSubset = one(random, ['', '', '', 'v1'])
  const Datacenter = one(random, ['', 'dc1', 'dc2'])
  const target = { Service, ServiceSubset, Datacenter }
  switch (random.int(8)) {
    case 0:
    case 1:
      return { Kind: 'service-defaults', Name, Protocol: one(random, ['', 'tcp', 'http', 'http', 'grpc']) }
    case 2:
      return { Kind: 'proxy-defaults', Name: 'global', Config: { protocol: one(random, ['http', 'http', 'tcp']) } }
    case 3:
      return { Kind: 'service-resolver', Name, Redirect: target }
    case 4: {
      const Failover = random.int(2) === 0 ? {} : { '*': { Targets: [target, { Datacenter: 'dc3' }] } }
      return { Kind: 'service-resolver', Name, Subsets: { v1: {} }, DefaultSubset: one(random, ['', 'v1']), Failover }
    }
    case 5:
      return { Kind: 'service-splitter', Name, Splits: [{ Weight: 30 }, { Weight: 70, Service, ServiceSubset }] }
    case 6:
      return {
        Kind: 'service-router',
        Name,
        Routes: [{ Match: { HTTP: { PathPrefix: '/x' } }, Destination: { Service, ServiceSubset } }],
      }
    default: {
      const Permissions = [{ Action: 'allow', HTTP: { PathPrefix: '/' } }]
      return { Kind: 'service-intentions', Name, Sources: [{ Name: '*', Permissions }] }
    }
  }
}

const KINDS: readonly ConfigEntryKind[] = [
  'service-defaults',
  'proxy-defaults',
  'service-resolver',
  'service-splitter',
  'service-router',
]

function step(entries: EntrySet, random: Random): EntrySet {
  if (random.int(4) === 0) {
    const kind = one(random, KINDS)
    const name = kind === 'proxy-defaults' ? 'global' : one(random, SERVICES)
    checkDelete(entries, kind, name, 'dc1')
    return entries.with({ kind, name, entry: undefined })
  }
  const stored = checkWrite(entries, entryFromValue(entry(random)), 'dc1')
  return entries.with({ kind: stored.Kind, name: configEntryName(stored), entry: stored })
}

/** Every node that is named is there, every target that is named too, and weights add up. */
function assertClosed(chain: CompiledDiscoveryChain): void {
  const nodes = chain.Nodes ?? {}
  assert.ok(Object.hasOwn(nodes, chain.StartNode))
  for (const node of Object.values(nodes)) {
    for (const next of [...(node?.Routes ?? []), ...(node?.Splits ?? [])])
      assert.ok(next && Object.hasOwn(nodes, next.NextNode))
    for (const id of [node?.Resolver?.Target ?? [], node?.Resolver?.Failover?.Targets ?? []].flat()) {
      assert.ok(Object.hasOwn(chain.Targets ?? {}, id))
    }
    const weights = (node?.Splits ?? []).reduce((sum, split) => sum + (split?.Weight ?? 0), 0)
    if (node?.Type === 'splitter') assert.ok(Math.abs(weights - 100) < 0.1, `weights add up to ${weights}`)
  }
}

test('after every write that was let through, every chain compiles; refusals are typed and change nothing', () => {
  const random = seededRandom(1_414)
  let accepted = 0
  let refused = 0
  for (let run = 0; run < 40; run++) {
    let entries = new EntrySet()
    for (let i = 0; i < 60; i++) {
      try {
        entries = step(entries, random)
        accepted++
      } catch (thrown) {
        assert.ok(thrown instanceof HanseError, String(thrown))
        refused++
        continue
      }
      for (const service of SERVICES) {
        assertClosed(compileChain(entries, { service, datacenter: 'dc1', trustDomain: 't' }))
      }
    }
  }
  assert.ok(accepted > 500 && refused > 300, `${accepted} accepted, ${refused} refused`)
})
