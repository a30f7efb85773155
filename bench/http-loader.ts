/**
 * Saturates a server's HTTP API from a process of its own, until told to stop: the port is its argument. Says `ready`,
 * and at the end how many answers came per second.
 *
 * Half of the connections ask for a list of 500 instances, half for one that has to be filtered anew each time.
 */
import { LARGE_SERVICE } from './fill-server.ts'
import { type Connection, load, open } from './http-load.ts'

const CONNECTIONS = 16
const SLICE_MS = 250

const port = Number(process.argv[2])
const path = `/v1/health/service/${LARGE_SERVICE}`
const filter = encodeURIComponent('Service.Meta.version != "9" and Node.Node matches "node-.*7"')
const connections: readonly Connection[] = [
  ...(await open(port, path, CONNECTIONS)),
  ...(await open(port, `${path}?consistent&filter=${filter}`, CONNECTIONS)),
]
let stopped = false
process.on('message', () => {
  stopped = true
})
process.send?.('ready')
const begin = performance.now()
let answers = 0
while (!stopped) answers += await load(connections, SLICE_MS)
process.send?.((answers * 1000) / (performance.now() - begin))
for (const connection of connections) connection.close()
