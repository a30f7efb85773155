/**
 * Ports of loopback that nothing listens at.
 *
 * Below those that systems give to outgoing connections (from 32768 on, or higher): one of these could be taken by any
 * call on the machine between the choice and the start of the server it was chosen for.
 */
import { createServer, type Server } from 'node:net'
import { systemRandom } from '#base'
import { localError } from './errors.ts'

const HOST = '127.0.0.1'
const LOWEST_PORT = 10_240
const PORTS = 32_768 - LOWEST_PORT
/** Draws for each port; on a machine where so many fail in a row there is none. */
const MAX_DRAWS = 200

function listen(port: number): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, HOST, () => resolve(server))
  })
}

const close = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()))

async function hold(held: ReadonlySet<number>): Promise<readonly [port: number, server: Server]> {
  let last: unknown
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const port = LOWEST_PORT + systemRandom.int(PORTS)
    if (held.has(port)) continue
    try {
      return [port, await listen(port)]
    } catch (error) {
      last = error
    }
  }
  throw localError('UP_NO_FREE_PORT', { draws: MAX_DRAWS }, last)
}

/** Different ports that are free now; held open until all are chosen, so that none is given twice. @throws UP_NO_FREE_PORT */
export async function freePorts(count: number): Promise<readonly number[]> {
  const held = new Map<number, Server>()
  try {
    while (held.size < count) {
      const [port, server] = await hold(new Set(held.keys()))
      held.set(port, server)
    }
    return [...held.keys()]
  } finally {
    await Promise.all([...held.values()].map(close))
  }
}

/** @throws UP_PORT_TAKEN */
export async function requireFree(port: number, use: string): Promise<void> {
  try {
    await close(await listen(port))
  } catch (error) {
    throw localError('UP_PORT_TAKEN', { port, use }, error)
  }
}
