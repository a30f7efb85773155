/**
 * What HTTP answers cost: CPU of the server per answer, for instances of a service, the list of services, a key, and for
 * waking 5,000 watchers of one service by one change; 1,000 nodes, 5,500 instances, 200 services.
 *
 * Yardstick: bare node:http in the same process sending the same bytes under the same headers. Ours and bare are loaded
 * in turn, three times, and the medians compared.
 */
import { request } from 'node:http'
import { Child, median } from './child.ts'
import { type Connection, load, open } from './http-load.ts'
import { type BenchResult, benchResult } from './result.ts'

const CONNECTIONS = 32
const RUN_MS = 700
const ROUNDS = 3
const WATCHERS = 5000
const WATCHED = 'service-001'

const QUESTIONS = [
  { name: 'health/service, 25 instances', path: '/v1/health/service/service-100', ratioAtMost: 1.5 },
  { name: 'health/service, 500 instances', path: '/v1/health/service/service-000', ratioAtMost: 1.5 },
  { name: 'catalog/services, 200 services', path: '/v1/catalog/services', ratioAtMost: 1.5 },
  { name: 'kv, one key', path: '/v1/kv/x', ratioAtMost: 2 },
] as const

interface Sample {
  readonly headers: string[]
  readonly body: string
  readonly index: string
}

function sample(port: number, path: string): Promise<Sample> {
  return new Promise((resolve, reject) => {
    const out = request({ host: '127.0.0.1', port, path }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const headers = response.rawHeaders.filter(
          (_, at, all) => !/^(?:date|connection|keep-alive)$/i.test(all[at - (at % 2)] ?? ''),
        )
        resolve({ headers, body: Buffer.concat(chunks).toString(), index: String(response.headers['x-consul-index']) })
      })
    })
    out.on('error', reject)
    out.end()
  })
}

async function costOf(child: Child, connections: readonly Connection[], runMs: number): Promise<number> {
  let answers = 0
  const cpuUs = await child.cpuOf(async () => {
    answers = await load(connections, runMs)
  })
  return cpuUs / answers
}

async function question(child: Child, { name, path, ratioAtMost }: (typeof QUESTIONS)[number]): Promise<BenchResult> {
  const { headers, body } = await sample(child.ports.api, path)
  await child.command({ kind: 'canned', headers, body })
  const ours = await open(child.ports.api, path, CONNECTIONS)
  const bare = await open(child.ports.bare, path, CONNECTIONS)
  const costs = { ours: [] as number[], bare: [] as number[] }
  await load(ours, RUN_MS / 2)
  await load(bare, RUN_MS / 2)
  for (let round = 0; round < ROUNDS; round++) {
    costs.bare.push(await costOf(child, bare, RUN_MS))
    costs.ours.push(await costOf(child, ours, RUN_MS))
  }
  for (const connection of [...ours, ...bare]) connection.close()
  const what = `CPU of GET ${name}; bare: node:http, same bytes`
  return benchResult(what, 'µs', median(costs.ours), median(costs.bare), { ratioAtMost })
}

/** Parks all connections, wakes them, and waits for the last answer. */
async function wake(child: Child, connections: readonly Connection[], trigger: () => Promise<unknown>) {
  const answers = connections.map((connection) => connection.ask())
  await parked(child)
  let tookMs = 0
  const cpuUs = await child.cpuOf(async () => {
    const start = performance.now()
    await trigger()
    await Promise.all(answers)
    tookMs = performance.now() - start
  })
  return { cpuUsEach: cpuUs / connections.length, tookMs }
}

/** Waits until the server has read all requests: its CPU time stands still. */
async function parked(child: Child): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const spentUs = await child.cpuOf(() => new Promise((resolve) => setTimeout(resolve, 100)))
    if (spentUs < 5000) return
  }
}

async function watchers(child: Child): Promise<BenchResult[]> {
  const path = `/v1/health/service/${WATCHED}`
  const runs = { ours: [] as number[], bare: [] as number[], oursMs: [] as number[], bareMs: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    const { headers, body, index } = await sample(child.ports.api, path)
    await child.command({ kind: 'canned', headers, body })
    const bare = await open(child.ports.bare, '/park', WATCHERS)
    const plain = await wake(child, bare, () => child.command({ kind: 'release' }))
    for (const connection of bare) connection.close()
    const ours = await open(child.ports.api, `${path}?index=${index}&wait=10m`, WATCHERS)
    const port = 9000 + round
    const woken = await wake(child, ours, () => child.command({ kind: 'change', service: WATCHED, port }))
    for (const connection of ours) connection.close()
    runs.ours.push(woken.cpuUsEach)
    runs.oursMs.push(woken.tookMs)
    runs.bare.push(plain.cpuUsEach)
    runs.bareMs.push(plain.tookMs)
  }
  const what = `${WATCHERS} watchers woken by one change`
  return [
    benchResult(`CPU of each of ${what}; bare: node:http, same bytes`, 'µs', median(runs.ours), median(runs.bare), {
      ratioAtMost: 1.5,
    }),
    benchResult(
      `time to the last of ${what}; bare: node:http, same bytes`,
      'ms',
      median(runs.oursMs),
      median(runs.bareMs),
    ),
  ]
}

export async function run(): Promise<BenchResult[]> {
  const child = await Child.start()
  try {
    const results: BenchResult[] = []
    for (const each of QUESTIONS) results.push(await question(child, each))
    results.push(...(await watchers(child)))
    return results
  } finally {
    await child.stop()
  }
}
