/**
 * Random definitions: each is refused with an error that says why, or stands in the catalog as the agent has it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { HanseError, ManualClock, type Random, seededRandom } from '#base'
import { AgentCheckDefinition, AgentServiceDefinition, HealthCheck, type NodeService } from '#codec'
import type { LocalAgent } from './local-agent.ts'
import { type Fixture, fixture, held, pumped, until } from './local-fixture.ts'

const ROUNDS = 400
const TEXTS = [
  '',
  'a',
  'b',
  'web',
  'consul',
  'serfHealth',
  '_node_maintenance',
  'web-sidecar-proxy',
  'ä\u0000 \n/',
  'x'.repeat(300),
]
const NUMBERS = [0, 1, -1, 80, 21_000, 65_535, 70_000, 1e15, 2 ** 53]
const TIMES = ['', '0', '1s', '1h', '-5s', '100000h', 'nonsense', 7]
const ADDRESSES = ['', '127.0.0.1', '::1', '0.0.0.0', 'host.example', 'a b']
const STATUSES = ['', '', 'passing', 'warning', 'critical', 'strange']

class Draw {
  readonly #random: Random
  constructor(random: Random) {
    this.#random = random
  }

  one<T>(of: readonly T[]): T {
    const found = of[this.#random.int(of.length)]
    assert.ok(found !== undefined)
    return found
  }

  /** Some of the members, most of the time. */
  some(members: Readonly<Record<string, () => unknown>>): Record<string, unknown> {
    const kept = Object.entries(members).filter(() => this.#random.int(3) === 0)
    return Object.fromEntries(kept.map(([key, make]) => [key, make()]))
  }

  many<T>(make: () => T): T[] {
    return Array.from({ length: this.#random.int(4) }, make)
  }

  text = () => this.one(TEXTS)

  check = (): Record<string, unknown> => ({
    ...(this.#random.int(4) === 0 ? {} : { TTL: '1h' }),
    ...this.some({
      CheckID: this.text,
      Name: this.text,
      Status: () => this.one(STATUSES),
      Notes: this.text,
    }),
    ...(this.#random.int(6) === 0
      ? this.some({
          HTTP: () => this.one(['http://127.0.0.1:1/', 'nonsense', 'ftp://x']),
          TCP: () => this.one(['127.0.0.1:1', 'x', ':::']),
          GRPC: this.text,
          Args: () => ['/bin/true'],
          AliasNode: () => this.one(['a1', 'elsewhere']),
          Interval: () => this.one(TIMES),
          Timeout: () => this.one(TIMES),
          TTL: () => this.one(TIMES),
          OutputMaxSize: () => this.one(NUMBERS),
          FailuresBeforeCritical: () => this.one(NUMBERS),
        })
      : {}),
    ...(this.#random.int(5) === 0 ? { TTL: '', AliasService: this.text() } : {}),
  })

  service = (depth = 0): Record<string, unknown> => ({
    ...(depth === 0 ? { Name: this.text() } : {}),
    ...this.some({
      ID: this.text,
      Tags: () => this.many(this.text),
      Port: () => this.one(NUMBERS),
      Address: () => this.one(ADDRESSES),
      Meta: () => ({ [this.text()]: this.text() }),
      TaggedAddresses: () => ({ [this.text()]: { Address: this.one(ADDRESSES), Port: this.one(NUMBERS) } }),
      EnableTagOverride: () => true,
      Weights: () => ({ Passing: this.one(NUMBERS), Warning: this.one(NUMBERS) }),
      Kind: () => this.one(['', 'connect-proxy', 'mesh-gateway', 'strange']),
      Check: this.check,
      Checks: () => this.many(this.check),
      Connect: () =>
        depth < 2
          ? {
              SidecarService: this.one<() => unknown>([
                () => this.service(depth + 1),
                () => 'text',
                () => 7,
                () => ({}),
              ])(),
            }
          : null,
      Proxy: () => ({ DestinationServiceName: this.text(), Config: { a: this.one(NUMBERS), b: [null, { c: 1.5 }] } }),
    }),
  })
}

type Records = readonly [services: readonly NodeService[], checks: readonly HealthCheck[]]

/** Without what only the catalog can say, in one order. */
function plain(services: readonly NodeService[], checks: readonly HealthCheck[]): Records {
  const indexless = <T extends object>(record: T) => ({ ...record, CreateIndex: 0, ModifyIndex: 0 })
  const sorted = <T>(records: readonly T[], key: (record: T) => string) =>
    [...records].sort((left, right) => (key(left) < key(right) ? -1 : 1))
  return [
    sorted(services.map(indexless), ({ ID }) => ID),
    sorted(
      checks.map((check) => HealthCheck.of({ ...indexless(check), ServiceTags: check.ServiceTags ?? [] })),
      ({ CheckID }) => CheckID,
    ),
  ]
}

/** What the catalog has of the agent, which did not register the server and its health. */
function inCatalog(at: Fixture, agent: LocalAgent): Records {
  const { services, checks } = held(at)
  return plain(
    services.filter(({ ID }) => ID !== 'consul' || agent.service(ID)),
    checks.filter(({ CheckID }) => CheckID !== 'serfHealth' || agent.check(CheckID)),
  )
}

test('any definition is refused with its reason or is in the catalog as the agent has it, over a restart too', async (context) => {
  const clock = new ManualClock()
  const at = await fixture(context, { clock })
  const random = seededRandom(11)
  const draw = new Draw(random)
  const start = () => at.start({ checkUpdateIntervalMs: 0 })
  let agent = await start()
  let taken = 0
  const attempt = async (work: () => Promise<void>) => {
    const before = [agent.services(), agent.checks()]
    try {
      await pumped(work(), clock)
      taken++
    } catch (error) {
      assert.ok(error instanceof HanseError, String((error as Error).stack))
      assert.deepEqual([agent.services(), agent.checks()], before)
    }
  }
  const reading = { unknownKeys: 'refuse' } as const
  for (let round = 0; round < ROUNDS; round++) {
    const kind = random.int(10)
    const options = { replaceExistingChecks: random.int(2) === 0 }
    if (kind < 5) {
      const json = draw.service()
      await attempt(async () => agent.registerService(AgentServiceDefinition.fromJson(json, '', reading), options))
    } else if (kind < 7) {
      const json = { ...draw.check(), ...draw.some({ ServiceID: draw.text }) }
      await attempt(async () => agent.registerCheck(AgentCheckDefinition.fromJson(json, '', reading)))
    } else if (kind === 7) await attempt(async () => agent.deregisterService(draw.text()))
    else if (kind === 8)
      await attempt(async () => agent.serviceMaintenance(draw.text(), random.int(2) === 0, draw.text()))
    else await attempt(async () => agent.updateTtl(draw.text(), 'warning', draw.text()))
    if (round % 50 !== 49) continue
    await pumped(agent.stop(), clock)
    const ids = agent.services().map(({ ID }) => ID)
    agent = await start()
    assert.deepEqual(new Set(agent.services().map(({ ID }) => ID)), new Set(ids))
  }
  assert.ok(taken > ROUNDS / 5, `${taken} were taken`)
  const both = (): [Records, Records] => [inCatalog(at, agent), plain(agent.services(), agent.checks())]
  await until('the catalog has what the agent has', () => isDeepStrictEqual(...both()), clock).finally(() =>
    assert.deepEqual(...both()),
  )
})
