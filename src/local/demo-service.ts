/**
 * The demo service of a datacenter: a real HTTP server that says where it runs. A process of its own.
 *
 * Arguments: port, name, datacenter.
 */
import { createServer } from 'node:http'

const [port = '0', name = 'hello', datacenter = 'dc1'] = process.argv.slice(2)

const server = createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.end(request.url === '/health' ? 'ok\n' : `hello from ${name} in ${datacenter}\n`)
})
server.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`${name} listens on 127.0.0.1:${port}\n`)
})
server.on('error', (error) => {
  process.stderr.write(`${name}: ${error.message}\n`)
  process.exit(1)
})

const stop = () => {
  server.closeAllConnections()
  server.close(() => process.exit(0))
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
process.stdin.on('close', stop).resume()
