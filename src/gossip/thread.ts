/**
 * The gossip thread: sockets and state machines of both pools, so that a probe is answered while the main thread is busy.
 */

import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { formatHostPort, HanseError, messageOf, systemClock, systemRandom } from '#base'
import { advertiseAddress } from './advertise.ts'
import type { PoolName, PoolOptions } from './api.ts'
import { CarriedStream } from './carried-stream.ts'
import { gossipError } from './errors.ts'
import { loadKeyring, saveKeyring } from './keyring-file.ts'
import { AUTHORITIES_TAG } from './merge-check.ts'
import { foreignNamesakes } from './namesakes.ts'
import { Pool } from './pool.ts'
import { SnapshotFile } from './snapshot-file.ts'
import {
  type FromThread,
  ownBytes,
  type PoolFacts,
  type ThreadOptions,
  type ToThread,
  toBuffer,
  toErrorMessage,
} from './thread-messages.ts'
import { gossipTiming } from './timing.ts'
import { Transport } from './transport.ts'
import { splitWanName } from './wan-route.ts'

const COUNTS_INTERVAL_MS = 1_000
const NAMESAKE_INTERVAL_MS = 10_000
const NAMESAKE_REPORT_EVERY = 6
const DEFAULT_PORTS: Readonly<Record<PoolName, number>> = { lan: 8301, wan: 8302 }

class GossipThread {
  readonly #options: ThreadOptions
  readonly #port: MessagePort
  readonly #pools = new Map<PoolName, Pool>()
  readonly #carried = new Map<number, CarriedStream>()
  readonly #counts = new Map<string, number>()
  /** Keyring files are written one after the other. */
  #saving: Promise<void> = Promise.resolve()
  /** Checks in a row in which a namesake was there. */
  #namesakes = new Map<string, number>()
  // Even numbers are streams that we dial, odd ones those that the main thread accepted.
  #nextStream = 2

  constructor(options: ThreadOptions, port: MessagePort) {
    this.#options = options
    this.#port = port
  }

  async start(): Promise<void> {
    try {
      const { nodeName, datacenter, lan, wan } = this.#options
      const lanFacts = await this.#openPool('lan', nodeName, lan)
      const wanFacts = wan && (await this.#openPool('wan', `${nodeName}.${datacenter}`, wan))
      this.#post({ kind: 'ready', lan: lanFacts, wan: wanFacts })
      systemClock.every(COUNTS_INTERVAL_MS, () => this.#postCounts())
      if (wan) systemClock.every(NAMESAKE_INTERVAL_MS, () => this.#findNamesakes())
    } catch (thrown) {
      await this.#stopPools()
      this.#post({ kind: 'startFailed', error: toErrorMessage(thrown) })
      this.#port.close()
    }
  }

  async #openPool(name: PoolName, localName: string, options: PoolOptions): Promise<PoolFacts> {
    const { datacenter, nodeId, dataDir, disableKeyringFile } = this.#options
    const file = (ending: string) =>
      dataDir && join(dataDir, 'serf', `${name === 'lan' ? 'local' : 'remote'}.${ending}`)
    const keyringPath = disableKeyringFile ? undefined : file('keyring')
    const onError = (thrown: unknown) => this.#log(name, 'cannot write gossip files', thrown)
    const { keyring, snapshot } = await this.#openFiles(name, keyringPath, file('snapshot'), onError)
    const earlier = new Map(snapshot?.state.alive)
    earlier.delete(localName)
    const { bindAddress, bindPort } = options
    let pool: Pool | undefined
    const transport = await Transport.open(
      { pool: name.toUpperCase(), bindAddress, bindPort },
      {
        datagram: (bytes, address, port) => pool?.step({ kind: 'datagram', bytes, address, port }),
        stream: (socket, address) => void pool?.accept(socket, address),
      },
    )
    try {
      const carried = name === 'wan' && this.#options.wan?.carried === true
      const layers = { label: '', keyring }
      pool = new Pool(
        {
          name: localName,
          address: advertiseAddress(name.toUpperCase(), options),
          port: options.advertisePort ?? transport.port,
          timing: gossipTiming(options.profile ?? name, options.timing),
          layers,
          identity: { pool: name, localName, datacenter, nodeId, authorities: options.tags[AUTHORITIES_TAG] },
          tags: options.tags,
          streamPingAllowed: (member) => !carried || splitWanName(member)?.datacenter === datacenter,
          defaultPort: bindPort === 0 ? DEFAULT_PORTS[name] : bindPort,
        },
        {
          clock: systemClock,
          random: systemRandom,
          transport,
          snapshot,
          ...(carried ? { carrier: this.#carrier() } : {}),
          post: (message) => this.#post(message),
          count: (metric, by) => this.#counts.set(metric, (this.#counts.get(metric) ?? 0) + by),
          saveKeyring: (keys) => {
            if (keyringPath === undefined) return
            this.#saving = this.#saving.then(() => saveKeyring(keyringPath, keys)).catch(onError)
          },
        },
      )
    } catch (thrown) {
      transport.close()
      throw thrown
    }
    this.#pools.set(name, pool)
    pool.start()
    if (earlier.size > 0) void pool.rejoin(earlier)
    return { localName, bindAddress, port: transport.port, encrypted: keyring !== undefined }
  }

  async #openFiles(
    name: PoolName,
    keyringPath: string | undefined,
    snapshotPath: string | undefined,
    onError: (thrown: unknown) => void,
  ) {
    const { keyrings, rejoinAfterLeave, dataDir = '' } = this.#options
    try {
      const keyring = await loadKeyring(keyringPath, keyrings[name])
      const modules = { clock: systemClock, onError }
      const snapshot = snapshotPath && (await SnapshotFile.open(snapshotPath, { rejoinAfterLeave }, modules))
      return { keyring, snapshot: snapshot || undefined }
    } catch (thrown) {
      if (thrown instanceof HanseError) throw thrown
      throw gossipError('GOSSIP_DATA_DIR', { path: dataDir, reason: messageOf(thrown) }, thrown)
    }
  }

  #carrier() {
    return {
      sendPacket: (node: string, datacenter: string, bytes: Buffer) =>
        this.#post({ kind: 'carryPacket', node, datacenter, bytes: ownBytes(bytes) }),
      dial: (node: string, datacenter: string) => {
        const stream = this.#nextStream
        this.#nextStream += 2
        const duplex = this.#openCarried(stream)
        this.#post({ kind: 'streamDial', stream, node, datacenter })
        return duplex
      },
    }
  }

  #openCarried(stream: number): CarriedStream {
    const duplex = new CarriedStream({
      data: (bytes) => this.#post({ kind: 'streamData', stream, bytes: ownBytes(bytes) }),
      end: () => this.#post({ kind: 'streamEnd', stream }),
      close: () => {
        if (this.#carried.delete(stream)) this.#post({ kind: 'streamClose', stream })
      },
    })
    this.#carried.set(stream, duplex)
    return duplex
  }

  receive(message: ToThread): void {
    switch (message.kind) {
      case 'request':
        return void this.#request(message)
      case 'wanPacket': {
        const bytes = toBuffer(message.bytes)
        this.#pools.get('wan')?.step({ kind: 'datagram', bytes, address: '', port: 0 })
        return
      }
      case 'streamOpen':
        this.#acceptCarried(message.stream)
        return
      case 'streamData':
        this.#carried.get(message.stream)?.receive(message.bytes)
        return
      case 'streamEnd':
        this.#carried.get(message.stream)?.receiveEnd()
        return
      case 'streamClose': {
        const duplex = this.#carried.get(message.stream)
        this.#carried.delete(message.stream)
        duplex?.destroy(message.error === undefined ? undefined : new Error(message.error))
        return
      }
      case 'shutdown':
        return void this.#shutdown()
    }
  }

  #acceptCarried(stream: number): void {
    const duplex = this.#openCarried(stream)
    const wan = this.#pools.get('wan')
    if (wan) void wan.accept(duplex, 'mesh gateway')
    else duplex.destroy()
  }

  async #request({ id, pool, request }: ToThread & { kind: 'request' }): Promise<void> {
    try {
      const target = this.#pools.get(pool)
      if (!target) throw new Error(`there is no ${pool} pool`)
      this.#post({ kind: 'reply', id, reply: await target.request(request) })
    } catch (thrown) {
      this.#post({ kind: 'refused', id, error: toErrorMessage(thrown) })
    }
  }

  /** Reports a namesake at its second check and once a minute: LAN gossip may lag behind WAN gossip for a moment. */
  #findNamesakes(): void {
    const wan = this.#pools.get('wan')?.core.members() ?? []
    const lan = this.#pools.get('lan')?.core.members() ?? []
    const found = foreignNamesakes(wan, lan, this.#options.datacenter)
    this.#namesakes = new Map(found.map(({ name }) => [name, (this.#namesakes.get(name) ?? 0) + 1]))
    for (const { name, address, port } of found) {
      if ((this.#namesakes.get(name) ?? 0) % NAMESAKE_REPORT_EVERY !== 2) continue
      const detail = `Server '${name}' is in the WAN pool and not in our LAN pool: two datacenters have the same name`
      const at = formatHostPort(address, port)
      const event = { type: 'mismatch', kind: 'datacenter-name', node: name, address: at, detail } as const
      this.#post({ kind: 'event', pool: 'wan', event })
    }
  }

  #postCounts(): void {
    if (this.#counts.size === 0) return
    this.#post({ kind: 'counts', entries: [...this.#counts] })
    this.#counts.clear()
  }

  #log(pool: PoolName, message: string, thrown: unknown): void {
    this.#post({ kind: 'log', pool, level: 'error', message, fields: { error: messageOf(thrown) } })
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message)
  }

  async #stopPools(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.stop()))
    for (const stream of this.#carried.values()) stream.destroy()
    await this.#saving
  }

  async #shutdown(): Promise<void> {
    await this.#stopPools()
    this.#postCounts()
    this.#post({ kind: 'stopped' })
    this.#port.close()
  }
}

if (parentPort) {
  const thread = new GossipThread(workerData as ThreadOptions, parentPort)
  parentPort.on('message', (message: ToThread) => thread.receive(message))
  void thread.start()
  // As the agent does: so that the next server, which may start while we run, need not compile this thread's code.
  flushCompileCache()
}
