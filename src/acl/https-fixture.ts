/**
 * Test helper: a real HTTPS server on loopback with a certificate of its own authority, and what it was asked.
 */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createCertificate, createCertificateAuthority } from '#codec'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

export interface TestServer {
  readonly url: string
  readonly caPem: string
  readonly asked: readonly Asked[]
  close(): Promise<void>
}

/** Answers what `answer` says; an object is sent as JSON with status 200. */
export async function httpsServer(answer: (asked: Asked) => { status?: number; body: unknown }): Promise<TestServer> {
  const ca = createCertificateAuthority()
  const { certPem, keyPem } = createCertificate({
    ca,
    commonName: 'provider',
    ipAddresses: ['127.0.0.1'],
    serverAuth: true,
  })
  const asked: Asked[] = []
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const question = {
        method: request.method ?? '',
        path: request.url ?? '',
        authorization: request.headers.authorization,
        body: Buffer.concat(chunks).toString('utf8'),
      }
      asked.push(question)
      const { status = 200, body } = answer(question)
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    caPem: ca.certPem,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
