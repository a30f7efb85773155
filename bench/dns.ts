/**
 * What a DNS answer costs: CPU of the server per A and per SRV answer of a service with 25 instances.
 *
 * Yardstick: a bare UDP socket in the same process that sends the same bytes back. Ours and bare are loaded in turn,
 * three times, and the medians compared.
 */
import { createSocket, type Socket } from 'node:dgram'
import { Child, median } from './child.ts'
import { type BenchResult, benchResult } from './result.ts'

const IN_FLIGHT = 64
const RUN_MS = 700
const ROUNDS = 3
/** A lost datagram is asked again after this. */
const LOST_MS = 250

const TYPE_A = 1
const TYPE_SRV = 33

/** A question with EDNS of 1232 bytes, as resolvers send it. */
function query(name: string, type: number): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const tail = Buffer.from([0, 0, type, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0])
  const header = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1])
  return Buffer.concat([header, ...labels, tail])
}

async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1024 * 1024 })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  return socket
}

async function one(port: number, message: Buffer): Promise<Buffer> {
  const socket = await bound()
  const answer = new Promise<Buffer>((resolve) => socket.once('message', resolve))
  socket.send(message, port, '127.0.0.1')
  const bytes = await answer
  socket.close()
  return bytes
}

/** Keeps some questions under way until the time is over. @returns how many answers came */
async function load(port: number, message: Buffer, runMs: number): Promise<number> {
  const socket = await bound()
  let answers = 0
  let lastMs = performance.now()
  const send = () => socket.send(message, port, '127.0.0.1')
  await new Promise<void>((resolve) => {
    const end = performance.now() + runMs
    const lost = setInterval(() => {
      if (performance.now() - lastMs > LOST_MS) for (let n = 0; n < IN_FLIGHT; n++) send()
    }, LOST_MS)
    socket.on('message', () => {
      answers++
      lastMs = performance.now()
      if (lastMs < end) {
        send()
        return
      }
      clearInterval(lost)
      resolve()
    })
    for (let n = 0; n < IN_FLIGHT; n++) send()
  })
  socket.close()
  return answers
}

async function question(child: Child, name: string, type: number): Promise<BenchResult> {
  const message = query('service-100.service.consul', type)
  const answer = await one(child.ports.dns, message)
  await child.command({ kind: 'datagram', hex: answer.toString('hex') })
  const costs = { ours: [] as number[], bare: [] as number[] }
  const costOf = async (port: number) => {
    let answers = 0
    const cpuUs = await child.cpuOf(async () => {
      answers = await load(port, message, RUN_MS)
    })
    return cpuUs / answers
  }
  await load(child.ports.dns, message, RUN_MS / 2)
  await load(child.ports.echo, message, RUN_MS / 2)
  for (let round = 0; round < ROUNDS; round++) {
    costs.bare.push(await costOf(child.ports.echo))
    costs.ours.push(await costOf(child.ports.dns))
  }
  const what = `CPU of DNS ${name}; bare: UDP echo, same bytes`
  return benchResult(what, 'µs', median(costs.ours), median(costs.bare), { ratioAtMost: 2 })
}

export async function run(): Promise<BenchResult[]> {
  const child = await Child.start()
  try {
    return [await question(child, 'A, 25 instances', TYPE_A), await question(child, 'SRV, 25 instances', TYPE_SRV)]
  } finally {
    await child.stop()
  }
}
