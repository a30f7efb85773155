/**
 * A door into a network namespace: a program that runs there, listens at a Unix socket, which any namespace can reach,
 * and passes connections on to an address that only its own can. So the test asks servers over HTTP without being in
 * their network, and without opening a path between them.
 *
 * Arguments: path of the socket, host, port.
 */
import { connect, createServer } from 'node:net'

const [path = '', host = '', port = ''] = process.argv.slice(2)

const server = createServer((outside) => {
  const within = connect(Number(port), host)
  outside.pipe(within).pipe(outside)
  outside.on('error', () => within.destroy())
  within.on('error', () => outside.destroy())
})
server.listen(path, () => process.stdout.write('open\n'))
process.stdin.on('close', () => process.exit(0)).resume()
