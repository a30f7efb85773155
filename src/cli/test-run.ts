/**
 * For tests: runs a command line against a real HTTP server that gives prepared answers and keeps what it was asked.
 */
import http from 'node:http'
import { PassThrough, Readable, Writable } from 'node:stream'
import { run } from './main.ts'

export interface CannedAnswer {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** By "METHOD path?query"; several answers of one question come one after another, the last stays. */
export type CannedAnswers = Readonly<Record<string, CannedAnswer | readonly CannedAnswer[]>>

export interface AskedRequest {
  readonly line: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface RanCommand {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** Both as a terminal shows them. */
  readonly both: string
  readonly asked: readonly AskedRequest[]
}

export interface RunOptions {
  readonly answers?: CannedAnswers
  readonly stdin?: Readable
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly signal?: AbortSignal
}

function send(response: http.ServerResponse, { status = 200, body = '', headers = {} }: CannedAnswer): void {
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  response.writeHead(status, headers).end(text)
}

function startServer(answers: CannedAnswers, asked: AskedRequest[]): Promise<http.Server> {
  const turns = new Map<string, number>()
  const server = http.createServer(async (request, response) => {
    const line = `${request.method} ${request.url}`
    const body = Buffer.concat(await request.toArray()).toString('utf8')
    asked.push({ line, headers: request.headers, body })
    const prepared = answers[line]
    const turn = turns.get(line) ?? 0
    turns.set(line, turn + 1)
    const list: readonly (CannedAnswer | undefined)[] = Array.isArray(prepared) ? prepared : [prepared]
    send(response, list[turn] ?? list.at(-1) ?? { status: 500, body: `no answer is prepared for ${line}` })
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

/** A sink whose text is kept twice: alone, and in the order of both. */
function keeper(own: Buffer[], both: Buffer[]): Writable {
  return new Writable({
    write(chunk: Buffer, _, done) {
      own.push(Buffer.from(chunk))
      both.push(Buffer.from(chunk))
      done()
    },
  })
}

export async function runCommand(words: readonly string[], options: RunOptions = {}): Promise<RanCommand> {
  const asked: AskedRequest[] = []
  const server = options.answers ? await startServer(options.answers, asked) : undefined
  const [stdout, stderr, both]: [Buffer[], Buffer[], Buffer[]] = [[], [], []]
  const address = server?.address()
  const port = typeof address === 'object' && address ? address.port : 1
  try {
    const status = await run(words, {
      env: { CONSUL_HTTP_ADDR: `127.0.0.1:${port}`, ...options.env },
      stdin: options.stdin ?? Readable.from([]),
      stdout: keeper(stdout, both),
      stderr: keeper(stderr, both),
      signal: options.signal ?? new AbortController().signal,
    })
    const text = (parts: readonly Buffer[]) => Buffer.concat(parts).toString('utf8')
    return { status, stdout: text(stdout), stderr: text(stderr), both: text(both), asked }
  } finally {
    server?.closeAllConnections()
    server?.close()
  }
}

/** Standard input that nobody ends. */
export const endlessInput = (): Readable => new PassThrough()
