/**
 * Listens at a TCP and a UDP port and says who got through, to prove which paths between namespaces are shut.
 *
 * Arguments: `listen` and a port, or `try` and addresses "host:port". `try` sends to each by both protocols and prints as
 * JSON those that answered, as "tcp host:port" and "udp host:port".
 */
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

const PATIENCE_MS = 400
const [mode, ...rest] = process.argv.slice(2)

function listen(port: number): void {
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => udp.send(message, from.port, from.address))
  udp.bind(port)
  createServer((socket) => socket.end('here\n').on('error', () => undefined)).listen(port, () =>
    process.stdout.write('listening\n'),
  )
  process.stdin.on('close', () => process.exit(0)).resume()
}

function tries(host: string, port: number): readonly Promise<string>[] {
  const at = `${host}:${port}`
  const tcp = new Promise<string>((resolve) => {
    const socket = connect({ host, port, timeout: PATIENCE_MS })
    socket.on('connect', () => resolve(`tcp ${at}`))
    for (const event of ['error', 'timeout'] as const) socket.on(event, () => resolve(''))
  })
  const udp = new Promise<string>((resolve) => {
    const socket = createSocket('udp4')
    socket.on('message', () => resolve(`udp ${at}`))
    socket.on('error', () => resolve(''))
    socket.send('anyone?', port, host)
    setTimeout(() => resolve(''), PATIENCE_MS)
  })
  return [tcp, udp]
}

if (mode === 'listen') listen(Number(rest[0]))
else {
  const answers = rest.flatMap((address) => {
    const [host = '', port = ''] = address.split(':')
    return tries(host, Number(port))
  })
  process.stdout.write(`${JSON.stringify((await Promise.all(answers)).filter((answer) => answer !== ''))}\n`)
  process.exit()
}
