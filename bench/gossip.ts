/**
 * Whether a server still answers the probes of its LAN while its HTTP API is saturated: share answered within memberlist's
 * 500 ms, and the slowest answer.
 *
 * Yardstick: the same server, idle, in the same run. Probes are pings in memberlist's own bytes over UDP, from here; the
 * load comes from a process of its own (http-loader.ts).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { bytes, decode, decompressLzw, encode, string, struct, uint } from '#codec'
import { ServerProcess } from '../test/e2e-agent/server-process.ts'
import { fillServer } from './fill-server.ts'
import { type BenchResult, benchResult } from './result.ts'

const PROBES = 400
const PROBE_EVERY_MS = 20
/** memberlist's LAN probe timeout. */
const ANSWER_WITHIN_MS = 500
/** After the last probe, for answers that are late. */
const LATE_MS = 2_000
const LOAD_WARM_UP_MS = 1_000
const SHARE_GOAL_PERCENT = 100

const PING = 0
const ACK = 2
const COMPOUND = 7
const COMPRESSED = 9
const HAS_CRC = 12
const CRC_BYTES = 5
const MAX_PLAIN_BYTES = 64 * 1024
const Ping = struct('ping', { SeqNo: uint, Node: string })
const Ack = struct('ackResp', { SeqNo: uint, Payload: bytes })
const Compressed = struct('compress', { Algo: uint, Buf: bytes })

interface Probed {
  readonly sharePercent: number
  readonly worstMs: number
}

/** The messages of a packet: an answer may be compressed, and share its packet with gossip. */
function unfold(packet: Buffer): readonly Buffer[] {
  switch (packet[0]) {
    case HAS_CRC:
      return unfold(packet.subarray(CRC_BYTES))
    case COMPRESSED: {
      const plain = decompressLzw(decode(Compressed, packet.subarray(1)).Buf ?? Buffer.alloc(0), MAX_PLAIN_BYTES)
      return plain ? unfold(plain) : []
    }
    case COMPOUND: {
      const count = packet[1] ?? 0
      let at = 2 + 2 * count
      return Array.from({ length: count }, (_, part) => {
        const begin = at
        at += packet.readUInt16BE(2 + 2 * part)
        return packet.subarray(begin, at)
      }).flatMap(unfold)
    }
    default:
      return [packet]
  }
}

/** Numbers of the pings that a packet answers. */
function answered(packet: Buffer): readonly number[] {
  const acks = unfold(packet).filter((message) => message[0] === ACK)
  return acks.map((message) => decode(Ack, message.subarray(1)).SeqNo)
}

async function udpSocket(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

/** Sends probes at a steady pace. One without an answer counts as answered when we stop waiting. */
async function probe(port: number): Promise<Probed> {
  const socket = await udpSocket()
  const sentMs: number[] = []
  const tookMs = new Map<number, number>()
  socket.on('message', (packet) => {
    const now = performance.now()
    for (const SeqNo of answered(packet)) {
      if (!tookMs.has(SeqNo)) tookMs.set(SeqNo, now - (sentMs[SeqNo] ?? now))
    }
  })
  for (let SeqNo = 0; SeqNo < PROBES; SeqNo++) {
    sentMs.push(performance.now())
    socket.send(Buffer.concat([Buffer.from([PING]), encode(Ping, { SeqNo, Node: 's1' })]), port, '127.0.0.1')
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS))
  }
  await new Promise((resolve) => setTimeout(resolve, tookMs.size === PROBES ? 0 : LATE_MS))
  socket.close()
  const inTime = [...tookMs.values()].filter((ms) => ms <= ANSWER_WITHIN_MS).length
  const worstMs = tookMs.size === PROBES ? Math.max(...tookMs.values()) : LATE_MS
  return { sharePercent: (100 * inTime) / PROBES, worstMs }
}

async function startLoad(port: number): Promise<ChildProcess> {
  const child = fork(new URL('./http-loader.ts', import.meta.url), [String(port)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  await once(child, 'message')
  await new Promise((resolve) => setTimeout(resolve, LOAD_WARM_UP_MS))
  return child
}

/** Asks the loader to stop. @returns the HTTP answers it got per second */
async function stopLoad(child: ChildProcess): Promise<number> {
  const report = once(child, 'message')
  child.send('stop')
  const [perSecond] = await report
  child.disconnect()
  await once(child, 'exit')
  return Number(perSecond)
}

export async function run(): Promise<readonly BenchResult[]> {
  const server = await ServerProcess.start()
  try {
    await fillServer(server.httpPort)
    const lanPort = await lanPortOf(server)
    const idle = await probe(lanPort)
    const loader = await startLoad(server.httpPort)
    const loaded = await probe(lanPort)
    const perSecond = Math.round(await stopLoad(loader))
    const what = `while HTTP is saturated (${perSecond} answers/s); bare: the same server, idle`
    return [
      benchResult(
        `LAN probes answered within ${ANSWER_WITHIN_MS} ms, ${what}`,
        '%',
        loaded.sharePercent,
        idle.sharePercent,
        { valueAtLeast: SHARE_GOAL_PERCENT },
      ),
      benchResult(`slowest of ${PROBES} LAN probes, ${what}`, 'ms', loaded.worstMs, idle.worstMs, {
        valueAtMost: ANSWER_WITHIN_MS,
      }),
    ]
  } finally {
    await server.stop()
  }
}

async function lanPortOf(server: ServerProcess): Promise<number> {
  const members: { Port: number }[] = JSON.parse((await server.ask('GET', '/v1/agent/members')).text)
  return members[0]?.Port ?? 0
}
