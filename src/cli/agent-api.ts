/**
 * One command's talk with its agent: requests that end with Ctrl-C, and errors in the frame that the command gives them.
 *
 * The frame ("Error listing services") is what Consul's users and scripts know; what stands behind it is the client's.
 */
import { HanseError, messageOf } from '#base'
import { type ApiAnswer, clientError, type HttpClient, type Query, type RequestOptions } from '#client'
import { type Kind, parseGoJson } from '#codec'
import { apiClient } from './api-flags.ts'
import type { CommandContext } from './command.ts'
import { cliError } from './errors.ts'

export class AgentApi {
  readonly #client: HttpClient
  readonly #signal: AbortSignal

  constructor(client: HttpClient, signal: AbortSignal) {
    this.#client = client
    this.#signal = signal
  }

  /**
   * The answer of a GET as the value of a schema.
   *
   * @param doing - frame of the error: "Error retrieving members"
   * @throws REQUEST_FAILED
   */
  get<T>(doing: string, kind: Kind<T>, path: string, query: Query = {}): Promise<T> {
    return this.#framed(doing, async () => {
      const { value } = await this.#client.get(kind, path, { query, signal: this.#signal })
      return value
    })
  }

  /** A request that must be answered with 200. @throws REQUEST_FAILED */
  send(doing: string, method: string, path: string, options: RequestOptions = {}): Promise<ApiAnswer> {
    return this.#framed(doing, () => this.#client.expect(method, path, { ...options, signal: this.#signal }))
  }

  /** The answer of a GET, whether it found something (200) or not (404). @throws REQUEST_FAILED */
  ask(doing: string, path: string, query: Query): Promise<ApiAnswer> {
    return this.#framed(doing, () => this.#client.ask(path, { query, signal: this.#signal }))
  }

  /** A GET that may find nothing; 64-bit integers are not rounded. @returns undefined for 404 @throws REQUEST_FAILED */
  find<T>(doing: string, kind: Kind<T>, path: string, query: Query): Promise<T | undefined> {
    return this.#framed(doing, async () => {
      const answer = await this.#client.request('GET', path, { query, signal: this.#signal })
      const body = answer.body.toString('utf8')
      if (answer.status === 200) return kind.fromJson(parseGoJson(body), '', { unknownKeys: 'skip' })
      // A missing thing has an empty answer; a missing path has a text, which the client's error shows.
      if (answer.status === 404 && body === '') return undefined
      throw clientError('API_STATUS', { statusCode: answer.status, body: body.trim(), method: 'GET', path })
    })
  }

  /** A long answer and its index: to be read as it arrives. @throws REQUEST_FAILED */
  async open(doing: string, path: string): Promise<{ readonly index: number; readonly body: AsyncIterable<Buffer> }> {
    return this.#framed(doing, () => this.#client.open('GET', path, { signal: this.#signal }))
  }

  /** An answer without end, as it arrives. @throws REQUEST_FAILED */
  async *stream(doing: string, path: string, query: Query): AsyncGenerator<Buffer> {
    try {
      yield* this.#client.stream('GET', path, { query, signal: this.#signal })
    } catch (error) {
      throw this.#failure(doing, error)
    }
  }

  async #framed<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw this.#failure(doing, error)
    }
  }

  #failure(doing: string, error: unknown): HanseError {
    const hint = error instanceof HanseError ? (error.hint ?? '') : ''
    return cliError('REQUEST_FAILED', { doing, reason: messageOf(error), hint }, error)
  }
}

/** Runs with the agent that flags and environment name. @throws FILE_UNREADABLE, ADDRESS_INVALID */
export async function withAgent(context: CommandContext, run: (agent: AgentApi) => Promise<number>): Promise<number> {
  const client = apiClient(context)
  try {
    return await run(new AgentApi(client, context.signal))
  } finally {
    client.close()
  }
}
