/**
 * For tests of local services and checks: a real catalog over an engine in memory, a real data directory, a clock of
 * choice, and short ways to write definitions.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Clock, type Logger, ManualClock, Metrics, seededRandom, silentLogger, systemClock } from '#base'
import {
  AgentCheckDefinition,
  AgentServiceDefinition,
  type HealthCheck,
  type NodeService,
  RegisterRequest,
} from '#codec'
import { catalog, Endpoints } from '#endpoints'
import { State } from '#state'
import { openMemory } from '#store'
import { LocalAgent, type LocalAgentOptions } from './local-agent.ts'

export const NODE = 'a1'
const STRICT = { unknownKeys: 'refuse' } as const
export const serviceOf = (body: object) => AgentServiceDefinition.fromJson(body, '', STRICT)
export const checkOf = (body: object) => AgentCheckDefinition.fromJson(body, '', STRICT)

export interface Fixture {
  readonly state: State
  readonly endpoints: Endpoints
  readonly dataDir: string
  /** What agents wrote to the catalog, by the names of the operations. */
  readonly calls: string[]
  start(more?: Partial<LocalAgentOptions>): Promise<LocalAgent>
}

/** A datacenter with the node that the agents of a test run on, one after the other. */
export async function fixture(
  context: TestContext,
  agentModules: { clock?: Clock; log?: Logger } = {},
): Promise<Fixture> {
  const engine = await openMemory()
  const metrics = new Metrics()
  const shared = { clock: systemClock, random: seededRandom(1), log: silentLogger, metrics }
  const state = await State.open({ engine, ...shared, datacenter: 'dc1' })
  const nowhere = async (): Promise<never> => {
    throw new Error('there is no other datacenter')
  }
  const endpoints = new Endpoints({
    datacenter: 'dc1',
    primaryDatacenter: 'dc1',
    state,
    router: {
      datacenter: 'dc1',
      primaryDatacenter: 'dc1',
      forward: nowhere,
      open: nowhere,
      datacenters: () => ['dc1'],
      datacenterMaps: () => [],
    },
    ports: {
      keyring: { lan: { list: nowhere, install: nowhere, use: nowhere, remove: nowhere } },
      leaderAddress: () => '',
      peers: () => [],
    },
    ...shared,
  })
  const dataDir = mkdtempSync(join(tmpdir(), 'hanse-local-'))
  const agents: LocalAgent[] = []
  context.after(async () => {
    for (const agent of agents) await pumped(agent.stop(), agentModules.clock)
    await state.close()
    await engine.close()
    rmSync(dataDir, { recursive: true })
  })
  await endpoints.call(catalog.register, RegisterRequest.of({ Node: NODE, Address: '127.0.0.1' }))
  const counted = countedCatalog(endpoints)
  return {
    state,
    endpoints,
    dataDir,
    calls: counted.calls,
    async start(more = {}) {
      const options = { nodeName: NODE, dataDir, checkUpdateIntervalMs: 60_000, services: [], checks: [], ...more }
      const agent = new LocalAgent(options, { ...shared, ...agentModules, endpoints: counted.endpoints, state })
      agents.push(agent)
      await pumped(agent.start(), agentModules.clock)
      return agent
    },
  }
}

const LIMIT_MS = 10_000
/** @param clock - one that stands still: what is due on it now is done meanwhile */
export async function until(what: string, holds: () => boolean, clock?: ManualClock): Promise<void> {
  for (const end = systemClock.nowMs() + LIMIT_MS; !holds(); ) {
    assert.ok(systemClock.nowMs() < end, `never: ${what}`)
    clock?.advance(0)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** What the catalog holds of the agent's node. */
export function held({ state }: Fixture): {
  readonly services: readonly NodeService[]
  readonly checks: readonly HealthCheck[]
} {
  return state.read((tx) => ({ services: tx.services.ofNode(NODE), checks: tx.checks.ofNode(NODE) })).value
}
export const keep = { replaceExistingChecks: false }
export const replaceAll = { replaceExistingChecks: true }

/** Lets a clock that stands still do what is due now, until the work is done. */
export async function pumped<T>(work: Promise<T>, clock: Clock | undefined): Promise<T> {
  if (!(clock instanceof ManualClock)) return work
  let done = false
  const finish = () => {
    done = true
  }
  work.then(finish, finish)
  while (!done) {
    clock.advance(0)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return work
}

/** The endpoints with their calls noted, which can be made to fail. */
export function countedCatalog(endpoints: Endpoints): {
  readonly endpoints: Endpoints
  readonly calls: string[]
  readonly broken: { on: boolean }
} {
  const calls: string[] = []
  const broken = { on: false }
  const call = (operation: typeof catalog.register, args: RegisterRequest) => {
    calls.push(operation.name)
    return broken.on ? Promise.reject(new Error('the disk is full')) : endpoints.call(operation, args)
  }
  return { endpoints: Object.create(endpoints, { call: { value: call } }), calls, broken }
}
