/**
 * The gateway in the catalog: registered with its server's agent, and again whenever the agent has forgotten it.
 */
import { type Clock, formatHostPort, type HostPort, type Logger, messageOf, sleep } from '#base'
import { type HttpClient, segment } from '#client'

const LOOK_AGAIN_MS = 5_000
const RETRY_MIN_MS = 50
const RETRY_GROWTH = 1.5
const RETRY_MAX_MS = 5_000

export interface RegistrationOptions {
  readonly service: string
  readonly id: string
  /** Where the gateway listens, as its own datacenter reaches it. */
  readonly lan: HostPort
  /** As other datacenters reach it. */
  readonly wan: HostPort
  /** Marks it for the traffic between servers of different datacenters. */
  readonly exposeServers: boolean
}

export class GatewayRegistration {
  readonly #options: RegistrationOptions
  readonly #modules: { readonly client: HttpClient; readonly clock: Clock; readonly log: Logger }
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #registered = false

  constructor(options: RegistrationOptions, modules: { client: HttpClient; clock: Clock; log: Logger }) {
    this.#options = options
    this.#modules = modules
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Stops looking after the registration and takes it back, if the agent answers. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the gateway is stopping'))
    await this.#running
    if (!this.#registered) return
    const { client, log } = this.#modules
    try {
      await client.expect('PUT', `/v1/agent/service/deregister/${segment(this.#options.id)}`, { timeoutMs: 2_000 })
    } catch (error) {
      log.warn('the gateway could not be deregistered', { error: messageOf(error) })
    }
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#modules
    const { signal } = this.#stop
    let failures = 0
    while (!signal.aborted) {
      try {
        if (!(await this.#isThere(signal))) {
          await this.#register(signal)
          log.info('gateway registered', {
            id: this.#options.id,
            wan: formatHostPort(this.#options.wan.host, this.#options.wan.port),
          })
        }
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        failures++
        if (failures === 1) log.warn('the gateway could not be registered, trying again', { error: messageOf(error) })
      }
      const delayMs =
        failures === 0
          ? LOOK_AGAIN_MS
          : Math.min(RETRY_MAX_MS, RETRY_MIN_MS * RETRY_GROWTH ** Math.min(failures - 1, 20))
      await sleep(clock, delayMs, signal).catch(() => undefined)
    }
  }

  /** Whether the agent holds what this process registered; the registration of an earlier one is replaced. */
  async #isThere(signal: AbortSignal): Promise<boolean> {
    if (!this.#registered) return false
    const { client } = this.#modules
    const { status } = await client.request('GET', `/v1/agent/service/${segment(this.#options.id)}`, { signal })
    return status !== 404
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { service, id, lan, wan, exposeServers } = this.#options
    await this.#modules.client.expect('PUT', '/v1/agent/service/register', {
      signal,
      body: {
        Kind: 'mesh-gateway',
        ID: id,
        Name: service,
        Address: lan.host,
        Port: lan.port,
        Meta: exposeServers ? { 'consul-wan-federation': '1' } : {},
        TaggedAddresses: { lan: { Address: lan.host, Port: lan.port }, wan: { Address: wan.host, Port: wan.port } },
        Check: {
          Name: 'Mesh Gateway Listening',
          TCP: formatHostPort(lan.host, lan.port),
          Interval: '2s',
          Timeout: '1s',
          DeregisterCriticalServiceAfter: '6h',
        },
      },
    })
    this.#registered = true
  }
}
