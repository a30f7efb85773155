/** Who asks, over real sockets: the signal of a request is aborted when its caller leaves, whenever it is asked for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { RequestCaller } from './incoming.ts'

/** A request that waits for its answer. */
async function asked(context: TestContext): Promise<{ socket: Socket; response: ServerResponse }> {
  const server: Server = createServer()
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  const [, response] = await once(server, 'request')
  return { socket, response }
}

test('a signal is aborted when the caller leaves before the answer', async (context) => {
  const { socket, response } = await asked(context)
  const { signal } = new RequestCaller(response)
  assert.equal(signal.aborted, false)
  socket.destroy()
  await once(signal, 'abort')
})

test('one that is asked for after the caller has left is aborted already', async (context) => {
  const { socket, response } = await asked(context)
  const gone = once(response, 'close')
  socket.destroy()
  await gone
  assert.equal(new RequestCaller(response).signal.aborted, true)
})

test('one that is asked for after the answer is not: nobody left', async (context) => {
  const { response } = await asked(context)
  const caller = new RequestCaller(response)
  const over = once(response, 'close')
  response.end('done')
  await over
  assert.equal(caller.signal.aborted, false)
})
