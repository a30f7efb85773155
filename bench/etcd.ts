/**
 * Three servers over an etcd of three members, all on this machine: durable `PUT /v1/kv` with 64 connections, and with
 * so few that the cores are not the limit; and how long after its answer another server has a write.
 *
 * Yardstick of the writes: puts of the same size by the same client, folded as the servers fold them, as many waiting
 * writers, in this process; measured before and after. Of the waiting: a watch of the same client at another member.
 * Needs etcd: HANSE_ETCD, as for the tests in test/etcd/.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BareFolder, bareClient, barePut, bareWatch } from '../src/store/etcd/bare-fixture.ts'
import { leaderOf } from '../test/etcd/admin.ts'
import { Servers } from '../test/etcd/servers.ts'
import { EtcdCluster } from '../test/support/etcd.ts'
import { load, openFor, requestBytes } from './http-load.ts'
import { type BenchResult, benchResult, type Goal } from './result.ts'

const NAMES = ['s1', 's2', 's3']
const WRITERS = 64
const FEW_WRITERS = [3, 12]
const VALUE_BYTES = 300
const WARM_MS = 2_000
/**
 * Servers are measured as they are in operation: with their code compiled. With seven processes on two cores that takes
 * so long; after half of it writes are still a fifth slower.
 */
const SERVERS_WARM_MS = 40_000
const RUN_MS = 4_000
const SIGHTINGS = 300
const PAUSE_MS = 10

const from = (endpoints: readonly string[], at: number) => [...endpoints.slice(at), ...endpoints.slice(0, at)]

let runs = 0

/** Puts per second. */
async function direct(endpoints: readonly string[], writers: number, runMs: number): Promise<number> {
  const run = ++runs
  const clients = NAMES.map((_, at) => bareClient(from(endpoints, at)))
  const folders = clients.map((client, at) => new BareFolder(client, `${run}-${at}`))
  let count = 0
  const begin = performance.now()
  const write = async (writer: number) => {
    while (performance.now() - begin < runMs) {
      await folders[writer % folders.length]?.put(`key/${writer}`, Buffer.alloc(VALUE_BYTES, count))
      count++
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  const perSecond = (count * 1_000) / (performance.now() - begin)
  for (const client of clients) client.close()
  return perSecond
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
    NAMES.map((name, at) => {
      const own = Array.from({ length: writers }, (_, writer) => writer).filter(
        (writer) => writer % NAMES.length === at,
      )
      return openFor(
        servers.process(name).httpPort,
        own.map((writer) => putOf(writer)),
      )
    }),
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

export async function run(): Promise<BenchResult[]> {
  const cluster = await EtcdCluster.start(3)
  try {
    await leaderOf(cluster)
    const counts = [...FEW_WRITERS, WRITERS]
    const each = async (perSecond: (writers: number) => Promise<number>) => {
      const measured = new Map<number, number>()
      for (const writers of counts) measured.set(writers, await perSecond(writers))
      return measured
    }
    const directly = () => each((writers) => direct(cluster.endpoints, writers, RUN_MS))
    await direct(cluster.endpoints, WRITERS, WARM_MS)
    const before = await directly()
    const servers = await Servers.start(NAMES, cluster.endpoints)
    try {
      await throughServers(servers, WRITERS, SERVERS_WARM_MS)
      const served = await each((writers) => throughServers(servers, writers, RUN_MS))
      const seen = await sightings(servers)
      const after = await directly()
      const bare = await bareSightings(cluster.endpoints)
      // What is not measurable is not better than this.
      const bareMs = (share: number) => Math.max(0.1, quantile(bare, share))
      const of = (measured: ReadonlyMap<number, number>, writers: number) => measured.get(writers) ?? Number.NaN
      const puts = counts.map((writers) => {
        const what = `durable PUT /v1/kv, ${writers} connections, 3 servers`
        const yardstick = (of(before, writers) + of(after, writers)) / 2
        const goal: Goal | undefined = writers === WRITERS ? { ratioAtLeast: 0.5 } : undefined
        const question = `${what}; bare: folded puts, as many writers`
        return benchResult(question, 'writes/s', of(served, writers), yardstick, goal)
      })
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
