/**
 * What the tables cost on top of bare containers: a write, a read of 25 and of 500 instances, 5,000 watches, a load.
 *
 * Catalog of the size that the reference was measured with: 1,000 nodes, 5,500 instances, 200 services. Yardsticks of
 * the same run: the engine's commit of the same bytes for a write, the copy of an array for a read, a Set of callbacks
 * for watches, a Map that is filled with the same number of objects for a load.
 */
import { Metrics, silentLogger, systemClock } from '#base'
import { encode, HealthCheck, Node, NodeService } from '#codec'
import { State, type WriteTx } from '#state'
import { type Engine, openMemory } from '#store'
import { type BenchResult, benchResult } from './result.ts'

const NODES = 1_000
const WATCHERS = 5_000
const WRITERS = 64
const RUN_MS = 700

/** Instances per service: one with 500, 100 with 25, the rest with what is left of 5,500. */
function instancesOf(service: number): number {
  if (service === 0) return 500
  return service <= 100 ? 25 : 25 + (service % 2)
}

function fill(state: State): Promise<unknown> {
  const perNode: ((tx: WriteTx) => void)[][] = Array.from({ length: NODES }, () => [])
  let next = 0
  for (let service = 0; service < 200; service++) {
    for (let instance = 0; instance < instancesOf(service); instance++) {
      const at = next++ % NODES
      const id = `s${service}-${instance}`
      perNode[at]?.push((tx) => {
        tx.putService(`node-${at}`, NodeService.of({ ID: id, Service: `s${service}`, Port: 80, Tags: ['v1'] }))
        const check = { Node: `node-${at}`, CheckID: `service:${id}`, ServiceID: id, Status: 'passing' }
        tx.putCheck(HealthCheck.of(check))
      })
    }
  }
  const writes = perNode.map((works, at) =>
    state.write((tx) => {
      tx.putNode(Node.of({ Node: `node-${at}`, Address: '10.0.0.1' }))
      tx.putCheck(HealthCheck.of({ Node: `node-${at}`, CheckID: 'serfHealth', Status: 'passing' }))
      for (const work of works) work(tx)
    }),
  )
  return Promise.all(writes)
}

/** CPU of the process, all threads, per piece of work, in microseconds. */
async function cpuUs(run: () => number | Promise<number>): Promise<number> {
  const begin = process.cpuUsage()
  const count = await run()
  const { user, system } = process.cpuUsage(begin)
  return (user + system) / count
}

/** Repeats synchronous work for a while. */
function repeat(work: (turn: number) => unknown): Promise<number> {
  for (let turn = 0; turn < 200; turn++) work(turn)
  return cpuUs(() => {
    const until = performance.now() + RUN_MS
    let turns = 0
    while (performance.now() < until) for (let i = 0; i < 50; i++) work(turns++)
    return turns
  })
}

/** Keeps as many writes under way as WRITERS. */
function writing(write: (turn: number) => Promise<unknown>): Promise<number> {
  return cpuUs(async () => {
    const until = performance.now() + RUN_MS
    let turns = 0
    const writer = async () => {
      while (performance.now() < until) await write(turns++)
    }
    await Promise.all(Array.from({ length: WRITERS }, writer))
    return turns
  })
}

async function writes(state: State, engine: Engine): Promise<BenchResult> {
  const record = (turn: number) => NodeService.of({ ID: `w${turn % 1000}`, Service: 'w', Port: turn, Tags: ['v1'] })
  const commit = (turn: number) =>
    engine.commit({ writes: [{ key: `bench/${turn % 1000}`, value: encode(NodeService, record(turn)) }] })
  const put = (turn: number) => state.write((tx) => tx.putService(`node-${turn % NODES}`, record(turn)))
  for (let turn = 0; turn < 1000; turn++) await Promise.all([put(turn), commit(turn)])
  const yardstick = await writing(commit)
  const value = await writing(put)
  return benchResult(
    `a service changed, ${WRITERS} writers, against the engine's commit of its bytes`,
    'us',
    value,
    yardstick,
  )
}

async function reads(state: State, service: string): Promise<BenchResult> {
  const { value: list } = state.read((tx) => tx.instances(service))
  const yardstick = await repeat(() => list.slice())
  const value = await repeat(() => state.read((tx) => tx.instances(service)))
  return benchResult(`a read of ${list.length} instances, against the copy of an array of them`, 'us', value, yardstick)
}

async function watches(state: State): Promise<readonly BenchResult[]> {
  let called = 0
  const callback = () => called++
  const bare = new Set<() => number>()
  const yardArm = await cpuUs(() => {
    for (let i = 0; i < WATCHERS; i++) bare.add(() => callback())
    return WATCHERS
  })
  const yardFire = await cpuUs(() => {
    for (const each of bare) each()
    return WATCHERS
  })
  const arm = await cpuUs(() => {
    for (let i = 0; i < WATCHERS; i++) state.read((tx) => tx.services.get('node-1', 's0-1')).watch.onFire(callback)
    return WATCHERS
  })
  called = 0
  const fire = await cpuUs(async () => {
    await state.write((tx) => tx.putService('node-1', NodeService.of({ ID: 's0-1', Service: 's0', Port: 81 })))
    return called
  })
  return [
    benchResult(`each of ${WATCHERS} watches armed, its read included, against a Set of callbacks`, 'us', arm, yardArm),
    benchResult(
      `each of ${WATCHERS} watches fired, the write included, against a Set of callbacks`,
      'us',
      fire,
      yardFire,
    ),
  ]
}

async function load(engine: Engine): Promise<BenchResult> {
  let records = 0
  const bare = new Map<string, object>()
  const yardstick = await cpuUs(async () => {
    await engine.load((batch) => {
      for (const record of batch) bare.set(record.key, { ...record })
      records += batch.length
    })
    return 1000
  })
  const value = await cpuUs(async () => {
    await (await openState(engine)).close()
    return 1000
  })
  return benchResult(`${records} records loaded into tables, against a Map of their bytes`, 'ms', value, yardstick)
}

function openState(engine: Engine): Promise<State> {
  return State.open({ engine, clock: systemClock, log: silentLogger, metrics: new Metrics(), datacenter: 'dc1' })
}

export async function run(): Promise<readonly BenchResult[]> {
  const engine = await openMemory()
  const state = await openState(engine)
  try {
    await fill(state)
    return [
      await writes(state, engine),
      await reads(state, 's1'),
      await reads(state, 's0'),
      ...(await watches(state)),
      await load(engine),
    ]
  } finally {
    await state.close()
    await engine.close()
  }
}
