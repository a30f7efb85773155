/**
 * Probes against real servers: HTTP, HTTPS, TCP, TLS.
 */
import assert from 'node:assert/strict'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#base'
import { AgentCheckType, createCertificate, createCertificateAuthority } from '#codec'
import { probeHttp, probeTcp, probeTimeoutMs } from './check-probes.ts'
import { cutOutput, MAX_OUTPUT_BYTES } from './check-results.ts'

const SECOND = 1e9
const modules = (signal = new AbortController().signal, maxOutputBytes = 4_096) => ({
  clock: systemClock,
  signal,
  maxOutputBytes,
})
const check = (given: Partial<AgentCheckType>) => AgentCheckType.of({ Interval: 10 * SECOND, ...given })
const ask = (given: Partial<AgentCheckType>) => probeHttp(check(given), modules())
const dial = (given: Partial<AgentCheckType>) => probeTcp(check(given), modules())

async function listening<S extends Server>(context: TestContext, server: S): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => void sockets.add(socket))
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const web = (context: TestContext, answer: http.RequestListener) => listening(context, http.createServer(answer))

function identity() {
  const environment = {}
  const ca = createCertificateAuthority({ days: 2, domain: 'consul' }, environment)
  return createCertificate({ ca, commonName: 'web.test', dnsNames: ['web.test'], days: 2 }, environment)
}

async function secureWeb(context: TestContext): Promise<string> {
  const { certPem, keyPem } = identity()
  const server = https.createServer({ cert: certPem, key: keyPem }, (_, response) => response.end('tls'))
  return listening(context, server)
}

test('probeHttp() takes 2xx as passing, 429 as warning, all else as critical, with the body in the output', async (context) => {
  const at = await web(context, ({ url = '' }, response) => response.writeHead(Number(url.slice(1))).end('body'))
  for (const [code, reason, status] of [
    [200, 'OK', 'passing'],
    [204, 'No Content', 'passing'],
    [304, 'Not Modified', 'critical'],
    [429, 'Too Many Requests', 'warning'],
    [500, 'Internal Server Error', 'critical'],
  ] as const) {
    const body = code === 204 || code === 304 ? '' : 'body'
    const output = `HTTP GET http://${at}/${code}: ${code} ${reason} Output: ${body}`
    assert.deepEqual(await ask({ HTTP: `http://${at}/${code}` }), { status, output })
  }
})

test('probeHttp() sends method, body, headers and who it is', async (context) => {
  const seen: unknown[] = []
  const at = await web(context, (request, response) => {
    request.setEncoding('utf8')
    let body = ''
    request.on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      const { host, 'x-a': a, 'user-agent': agent } = request.headers
      seen.push([request.method, host, a, agent, body])
      response.end()
    })
  })
  const Header = { 'X-A': ['1', '2'], Host: ['web.example'], Empty: null }
  await ask({ HTTP: `http://${at}/`, Method: 'put', Body: 'hello', Header })
  assert.deepEqual(seen, [['PUT', 'web.example', '1, 2', 'Consul Health Check', 'hello']])
})

test('probeHttp() follows redirects without carrying secrets to another host, and stops after ten', async (context) => {
  const other = await web(context, ({ headers, method }, response) =>
    response.end(JSON.stringify([method, headers.authorization])),
  )
  const at = await web(context, ({ url, method, headers }, response) => {
    const to =
      url === '/loop' ? '/loop' : url === '/away' ? `http://${other}/` : url === '/bad' ? 'http://[' : undefined
    if (url === '/307') response.writeHead(307, { location: '/echo' }).end()
    else if (to === undefined) response.end(JSON.stringify([method, headers.authorization]))
    else response.writeHead(302, { location: to }).end()
  })
  const Header = { Authorization: ['Basic x'] }
  const away = await ask({ HTTP: `http://${at}/away`, Header, Method: 'POST' })
  assert.match(away.output, /200 OK Output: \["GET",null\]$/)
  const kept = await ask({ HTTP: `http://${at}/307`, Header, Method: 'POST', Body: 'b' })
  assert.match(kept.output, /Output: \["POST","Basic x"\]$/)
  const loop = await ask({ HTTP: `http://${at}/loop` })
  assert.deepEqual(loop, { status: 'critical', output: `Get "http://${at}/loop": stopped after 10 redirects` })
  assert.equal((await ask({ HTTP: `http://${at}/bad` })).status, 'critical')
  const still = await ask({ HTTP: `http://${at}/away`, DisableRedirects: true })
  assert.equal(still.status, 'critical')
  assert.match(still.output, /302 Found/)
})

test('probeHttp() ends after its timeout, whether nothing or half an answer came', async (context) => {
  const at = await web(context, ({ url }, response) => {
    if (url === '/half') response.write('half')
  })
  for (const path of ['/none', '/half']) {
    const result = await ask({ HTTP: `http://${at}${path}`, Timeout: 50_500_000 })
    assert.deepEqual(result, { status: 'critical', output: `Get "http://${at}${path}": context deadline exceeded` })
  }
})

test('probeHttp() keeps a bounded part of an answer without end', async (context) => {
  const at = await web(context, (_, response) => {
    const more = () => {
      while (response.writable && !response.destroyed && response.write('x'.repeat(65_536)));
    }
    response.on('drain', more)
    more()
  })
  const prefix = `HTTP GET http://${at}/: 200 OK Output: `
  assert.equal((await ask({ HTTP: `http://${at}/` })).output, prefix + 'x'.repeat(4_096))
  assert.equal((await ask({ HTTP: `http://${at}/`, OutputMaxSize: 10 })).output, prefix + 'x'.repeat(10))
  const kept = async (agentBytes: number, OutputMaxSize: number) => {
    const type = check({ HTTP: `http://${at}/`, OutputMaxSize })
    return (await probeHttp(type, modules(undefined, agentBytes))).output.length - prefix.length
  }
  assert.equal(await kept(100, 0), 100)
  assert.equal(await kept(100, 1_000), 100)
  assert.equal(await kept(1e9, 1e9), MAX_OUTPUT_BYTES)
})

test('probeHttp() is critical for what is no HTTP URL, no header, no method, and shows no password', async (context) => {
  const at = await web(context, ({ headers }, response) => response.end(headers.authorization))
  const outputOf = async (given: Partial<AgentCheckType>) => (await ask(given)).output
  assert.equal(await outputOf({ HTTP: 'nowhere' }), 'parse "nowhere": invalid URL')
  assert.equal(await outputOf({ HTTP: 'ftp://x/' }), 'Get "ftp://x/": unsupported protocol scheme "ftp"')
  const bads: Partial<AgentCheckType>[] = [{ Header: { 'a b': ['c'] } }, { Header: { a: ['\n'] } }, { Method: 'G T' }]
  for (const bad of bads) {
    assert.equal((await ask({ HTTP: `http://${at}/`, ...bad })).status, 'critical')
  }
  const output = await outputOf({ HTTP: `http://me:secret@${at}/` })
  assert.match(output, /^HTTP GET http:\/\/me:xxxxx@.* Output: Basic /)
  assert.ok(!output.includes('secret'))
  assert.equal(
    await outputOf({ HTTP: 'http://127.0.0.1:1/' }),
    'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused',
  )
})

test('probeHttp() verifies certificates unless it is told not to', async (context) => {
  const at = await secureWeb(context)
  assert.equal((await ask({ HTTP: `https://${at}/` })).status, 'critical')
  const skipped = await ask({ HTTP: `https://${at}/`, TLSSkipVerify: true, TLSServerName: 'web.test' })
  assert.deepEqual(skipped, { status: 'passing', output: `HTTP GET https://${at}/: 200 OK Output: tls` })
})

test('probeTcp() passes when the port takes a connection, with TLS where it is asked for', async (context) => {
  const plain = await listening(context, net.createServer())
  assert.deepEqual(await dial({ TCP: plain }), { status: 'passing', output: `TCP connect ${plain}: Success` })
  const secure = await secureWeb(context)
  assert.equal((await dial({ TCP: secure, TCPUseTLS: true })).status, 'critical')
  assert.equal((await dial({ TCP: secure, TCPUseTLS: true, TLSSkipVerify: true })).status, 'passing')
  const timeout = await dial({ TCP: plain, TCPUseTLS: true, TLSSkipVerify: true, Timeout: 50_000_000 })
  assert.deepEqual(timeout, { status: 'critical', output: `dial tcp ${plain}: i/o timeout` })
  for (const [target, output] of [
    ['127.0.0.1:1', 'dial tcp 127.0.0.1:1: connect: connection refused'],
    ['nonsense', 'dial tcp: address nonsense: missing port in address'],
  ]) {
    assert.deepEqual(await dial({ TCP: target ?? '' }), { status: 'critical', output })
  }
})

test('a probe ends when its check is removed', async (context) => {
  const at = await web(context, () => {})
  const removed = new AbortController()
  const probes = [
    probeHttp(check({ HTTP: `http://${at}/` }), modules(removed.signal)),
    probeTcp(check({ TCP: at, TCPUseTLS: true }), modules(removed.signal)),
  ]
  setImmediate(() => removed.abort())
  for (const { status } of await Promise.all(probes)) assert.equal(status, 'critical')
})

test('probeTimeoutMs() takes the timeout, else ten seconds or a shorter interval, and fits the timers', () => {
  assert.equal(probeTimeoutMs(check({ Timeout: 500_000 })), 1)
  assert.equal(probeTimeoutMs(check({ Timeout: 1e18 })), 2 ** 31 - 1)
  assert.equal(probeTimeoutMs(check({ Interval: 60 * SECOND })), 10_000)
  assert.equal(probeTimeoutMs(check({ Interval: 3 * SECOND })), 3_000)
  assert.equal(probeTimeoutMs(check({ Interval: 1 })), 1_000)
})

test('cutOutput() says what it left out and cuts no character in two', () => {
  assert.equal(cutOutput('äää', 6), 'äää')
  assert.equal(cutOutput('äää', 5), 'ää ... (captured 5 of 6 bytes)')
  assert.equal(cutOutput('', 0), '')
})
