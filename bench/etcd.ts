/**
 * Three servers over an etcd of three members, all on this machine: durable `PUT /v1/kv` with 64 connections, and with
 * so few that the cores are not the limit; and how long after its answer another server has a write.
 *
 * Yardstick of the writes: puts of the same size by the same client, folded as the servers fold them: by three processes,
 * each with a third of the writers. Beside it the same in one process, where all three fold in step, so that etcd has three
 * folds at a time to agree on, which servers cannot do. All are measured in turn, several times: machines change their mind.
 *
 * Yardstick of the waiting: a watch of the same client at another member. Needs etcd: HANSE_ETCD, as for the tests in
 * test/etcd/.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { BareFolder, bareClient, barePut, bareWatch } from '../src/store/etcd/bare-fixture.ts'
import { leaderOf } from '../test/etcd/admin.ts'
import { Servers } from '../test/etcd/servers.ts'
import { EtcdCluster } from '../test/support/etcd.ts'
import { median } from './child.ts'
import { type Order, putThrough } from './etcd-writers.ts'
import { load, openFor, requestBytes } from './http-load.ts'
import { type BenchResult, benchResult, type Goal } from './result.ts'

const NAMES = ['s1', 's2', 's3']
const WRITERS = 64
const FEW_WRITERS = [3, 12]
const VALUE_BYTES = 300
/**
 * Servers are measured as they are in operation: with their code compiled. With seven processes on two cores that takes
 * so long; after half of it writes are still a fifth slower.
 */
const SERVERS_WARM_MS = 40_000
const WARM_MS = 5_000
const RUN_MS = 3_000
const ROUNDS = 5
const SIGHTINGS = 300
const PAUSE_MS = 10

const from = (endpoints: readonly string[], at: number) => [...endpoints.slice(at), ...endpoints.slice(0, at)]

/** How many of the writers each of the three has. */
const shares = (writers: number) => NAMES.map((_, at) => Math.floor((writers + NAMES.length - 1 - at) / NAMES.length))

/** Puts per second, by whatever does its share of an order at each of the three places. */
type Putting = (writers: number, runMs: number) => Promise<number>

function byPlaces(place: (at: number, order: Order) => Promise<number>): Putting {
  return async (writers, runMs) => {
    const begin = performance.now()
    const counts = await Promise.all(
      shares(writers).map((share, at) => place(at, { writers: share, runMs, valueBytes: VALUE_BYTES })),
    )
    return (counts.reduce((sum, count) => sum + count, 0) * 1_000) / (performance.now() - begin)
  }
}

function inOneProcess(endpoints: readonly string[]): { put: Putting; stop: () => void } {
  const clients = NAMES.map((_, at) => bareClient(from(endpoints, at)))
  const folders = clients.map((client, at) => new BareFolder(client, `one-${at}`))
  const place = async (at: number, order: Order) => {
    const folder = folders[at]
    return folder === undefined ? 0 : putThrough(folder, order)
  }
  return { put: byPlaces(place), stop: () => clients.map((client) => client.close()) }
}

function inThreeProcesses(endpoints: readonly string[]): { put: Putting; stop: () => void } {
  const path = new URL('./etcd-writers.ts', import.meta.url)
  const execArgv = ['--disable-warning=ExperimentalWarning']
  const children = NAMES.map((name, at) => fork(path, [from(endpoints, at).join(), `own-${name}`], { execArgv }))
  const place = async (at: number, order: Order) => {
    const child = children[at]
    const answered = child && once(child, 'message')
    child?.send(order)
    return Number((await answered)?.[0])
  }
  return { put: byPlaces(place), stop: () => children.map((child) => child.disconnect()) }
}

/** Puts of a writer, each of another value: what is there already would not be written. */
function putOf(writer: number): () => Buffer {
  const value = Buffer.alloc(VALUE_BYTES, 'x')
  const request = requestBytes('PUT', `/v1/kv/key/${writer}`, value)
  const at = request.length - VALUE_BYTES
  let count = 0
  return () => {
    request.writeUInt32BE(count++, at)
    return request
  }
}

async function throughServers(servers: Servers, writers: number, runMs: number): Promise<number> {
  const opened = await Promise.all(
    shares(writers).map((share, at) =>
      openFor(
        servers.process(NAMES[at] ?? '').httpPort,
        Array.from({ length: share }, (_, writer) => putOf(writer * NAMES.length + at)),
      ),
    ),
  )
  const connections = opened.flat()
  const begin = performance.now()
  const answers = await load(connections, runMs)
  const perSecond = (answers * 1_000) / (performance.now() - begin)
  for (const connection of connections) connection.close()
  return perSecond
}

/** How long after a write was answered by the first server the second one tells it. */
async function sightings(servers: Servers): Promise<readonly number[]> {
  const [writer = '', reader = ''] = NAMES
  const path = '/v1/kv/seen'
  const took: number[] = []
  await servers.ask(writer, 'PUT', path, '0')
  for (let round = 0; round < SIGHTINGS; round++) {
    const { headers } = await servers.ask(reader, 'GET', `${path}?consistent`)
    const waiting = servers.ask(reader, 'GET', `${path}?index=${headers['x-consul-index']}&wait=10s`)
    const seen = waiting.then(() => performance.now())
    await delay(PAUSE_MS)
    await servers.ask(writer, 'PUT', path, String(round))
    const answered = performance.now()
    took.push(Math.max(0, (await seen) - answered))
  }
  return took
}

async function bareSightings(endpoints: readonly string[]): Promise<readonly number[]> {
  const [writer, reader] = [bareClient(from(endpoints, 0)), bareClient(from(endpoints, 1))]
  let seen = () => {}
  const stop = bareWatch(reader, 'seen', () => seen())
  await delay(500)
  const took: number[] = []
  for (let round = 0; round < SIGHTINGS; round++) {
    const sight = new Promise<number>((resolve) => {
      seen = () => resolve(performance.now())
    })
    await delay(PAUSE_MS)
    await barePut(writer, 'seen', Buffer.from(String(round)))
    const answered = performance.now()
    took.push(Math.max(0, (await sight) - answered))
  }
  stop()
  writer.close()
  reader.close()
  return took
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Each of them in turn, so often. @returns the median of each */
async function measured(rounds: number, each: readonly (() => Promise<number>)[]): Promise<readonly number[]> {
  const all = each.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    for (const [at, measure] of each.entries()) all[at]?.push(await measure())
  }
  return all.map(median)
}

async function writes(servers: Servers, endpoints: readonly string[]): Promise<BenchResult[]> {
  const [one, three] = [inOneProcess(endpoints), inThreeProcesses(endpoints)]
  const results: BenchResult[] = []
  try {
    for (const { put } of [one, three]) await put(WRITERS, WARM_MS)
    await throughServers(servers, WRITERS, SERVERS_WARM_MS)
    for (const writers of [...FEW_WRITERS, WRITERS]) {
      const main = writers === WRITERS
      const [served = 0, byThree = 0, byOne = 0] = await measured(main ? ROUNDS : 1, [
        () => throughServers(servers, writers, RUN_MS),
        () => three.put(writers, RUN_MS),
        () => one.put(writers, RUN_MS),
      ])
      const what = `durable PUT /v1/kv, ${writers} connections, 3 servers; bare: as many writers, folded`
      const goal: Goal | undefined = main ? { ratioAtLeast: 0.5 } : undefined
      results.push(benchResult(`${what} by 3 processes`, 'writes/s', served, byThree, goal))
      results.push(benchResult(`${what} by 1 process, in step`, 'writes/s', served, byOne))
    }
  } finally {
    one.stop()
    three.stop()
  }
  return results
}

export async function run(): Promise<BenchResult[]> {
  const cluster = await EtcdCluster.start(3)
  try {
    await leaderOf(cluster)
    const servers = await Servers.start(NAMES, cluster.endpoints)
    try {
      const puts = await writes(servers, cluster.endpoints)
      const seen = await sightings(servers)
      const bare = await bareSightings(cluster.endpoints)
      // What is not measurable is not better than this.
      const bareMs = (share: number) => Math.max(0.1, quantile(bare, share))
      const sight = 'from a write’s answer until another server tells it; bare: a watch at another member'
      return [
        ...puts,
        benchResult(`${sight}, p50`, 'ms', quantile(seen, 0.5), bareMs(0.5)),
        benchResult(`${sight}, p99`, 'ms', quantile(seen, 0.99), bareMs(0.99), { valueAtMost: 20 }),
      ]
    } finally {
      await servers.stop()
    }
  } finally {
    await cluster.stop()
  }
}
