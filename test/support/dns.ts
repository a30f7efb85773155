/**
 * One DNS question over UDP to a server on loopback.
 */
import { createSocket } from 'node:dgram'
import { createRequire } from 'node:module'

interface Packet {
  readonly answers?: readonly { readonly type: string; readonly data: unknown }[]
}
/** It has no types of its own. */
const dnsPacket: { encode(packet: object): Buffer; decode(message: Buffer): Packet } = createRequire(import.meta.url)(
  'dns-packet',
)

const TIMEOUT_MS = 5_000

/** The data of all answers of the asked type. @throws when none comes in time */
export function askDns(port: number, name: string, type: 'A' | 'SRV'): Promise<readonly unknown[]> {
  const socket = createSocket('udp4')
  const { promise, resolve, reject } = Promise.withResolvers<readonly unknown[]>()
  const timer = setTimeout(() => reject(new Error(`ask DNS for "${name}": no answer`)), TIMEOUT_MS)
  socket.on('error', reject)
  socket.on('message', (message) => {
    const { answers = [] } = dnsPacket.decode(message)
    resolve(answers.flatMap((answer) => (answer.type === type ? [answer.data] : [])))
  })
  socket.send(dnsPacket.encode({ type: 'query', id: 1, questions: [{ type, name }] }), port, '127.0.0.1')
  return promise.finally(() => {
    clearTimeout(timer)
    socket.close()
  })
}
