/**
 * The member of etcd that a server runs beside itself: found with the other servers of the datacenter, kept running,
 * and taken out again when the server leaves.
 *
 * Gossip tells who the others are (etcd-standing.ts), etcd-founding.ts and etcd-joining.ts how to become one of them,
 * etcd-record.ts what this server was before.
 */
import { type Clock, formatHostPort, type Logger, messageOf, type Random } from '#base'
import type { GossipPool } from '#gossip'
import type { TlsIdentity } from '#net'
import {
  type EtcdBinary,
  type EtcdIdentity,
  EtcdMemberProcess,
  EtcdMembership,
  type EtcdTlsFiles,
  inspectEtcd,
} from '#store'
import { agentError } from './agent-errors.ts'
import type { RuntimeConfig, StoreConfig } from './config-runtime.ts'
import { agree } from './etcd-agreement.ts'
import { memberIdentity, memberTls, serverNameOf } from './etcd-certificates.ts'
import type { Founder } from './etcd-founding.ts'
import { becomeVoter, joinMembers } from './etcd-joining.ts'
import { EtcdMembers } from './etcd-members.ts'
import { EtcdPlace, type EtcdRecord } from './etcd-record.ts'
import { EtcdStanding } from './etcd-standing.ts'

export interface OwnEtcdOptions {
  readonly config: RuntimeConfig
  readonly store: Extract<StoreConfig, { kind: 'own-etcd' }>
  readonly dataDir: string
  readonly nodeId: string
  readonly identity: () => TlsIdentity | undefined
}

export interface OwnEtcdModules {
  readonly lan: GossipPool
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Aborted when the server stops before it has begun. */
  readonly signal: AbortSignal
  /** The other members have removed this one. */
  readonly onRemoved: () => void
}

/** What a member is started with, beside who it is. */
interface Run {
  readonly tls: EtcdTlsFiles | undefined
  readonly binary: EtcdBinary
}

export class OwnEtcd {
  readonly identity: () => EtcdIdentity | undefined
  readonly members: EtcdMembers
  readonly #options: OwnEtcdOptions
  readonly #modules: OwnEtcdModules
  readonly #host: string
  readonly #clientUrl: string
  readonly #self: Founder
  readonly #place: EtcdPlace
  readonly #standing: EtcdStanding
  readonly #membership: EtcdMembership
  #process: EtcdMemberProcess | undefined
  #state: 'starting' | 'running' | 'leaving' | 'removed' = 'starting'

  private constructor(options: OwnEtcdOptions, modules: OwnEtcdModules) {
    const { config, store, dataDir, identity } = options
    const { clock, log } = modules
    const scheme = identity() ? 'https' : 'http'
    this.#options = options
    this.#modules = modules
    this.#host = store.advertiseHost || config.advertiseAddress
    this.#clientUrl = `${scheme}://${formatHostPort(this.#host, store.clientPort)}`
    const peerUrl = `${scheme}://${formatHostPort(this.#host, store.peerPort)}`
    this.#self = { name: config.nodeName, peerUrl }
    this.#place = new EtcdPlace(dataDir)
    const own = { clientUrl: this.#clientUrl, peerUrl }
    this.#standing = new EtcdStanding({ own, datacenter: config.datacenter }, modules)
    this.identity = memberIdentity(identity, serverNameOf(config))
    this.#membership = new EtcdMembership({ endpoints: [this.#clientUrl], identity: this.identity, clock })
    this.members = new EtcdMembers(this.#clientUrl, { membership: this.#membership, clock, log })
  }

  /**
   * Resolves when this server's member of etcd runs and votes.
   *
   * @throws ETCD_NOT_FOUND, ETCD_TOO_OLD, ETCD_ENDS, ETCD_CERTIFICATE, ETCD_FOREIGN, ETCD_ADDRESS_TAKEN, ETCD_REMOVED,
   * STORE_LOCKED; the reason of the signal. Nothing is left running then
   */
  static async start(options: OwnEtcdOptions, modules: OwnEtcdModules): Promise<OwnEtcd> {
    const own = new OwnEtcd(options, modules)
    try {
      await own.#start()
      return own
    } catch (error) {
      await own.stop()
      throw error
    }
  }

  async #start(): Promise<void> {
    const { config, store, identity } = this.#options
    const { signal } = this.#modules
    const earlier = this.#place.read(this.#owner)
    const tls = memberTls(config, this.#host, identity())
    const binary = await inspectEtcd(store.binary, { signal })
    const run = { tls, binary }
    if (earlier !== undefined && (await this.#resumed(earlier, run))) return
    const record = await this.#foundedOrJoined(run)
    if (!(await this.#ready())) throw agentError('ETCD_REMOVED', { name: config.nodeName })
    await this.#begun(record)
  }

  get #owner() {
    const { config, nodeId } = this.#options
    return { datacenter: config.datacenter, nodeId, name: config.nodeName }
  }

  get #joining() {
    return { ...this.#modules, standing: this.#standing, membership: this.#membership }
  }

  /** @returns false where this server is no member any more, and begins anew */
  async #resumed(record: EtcdRecord, run: Run): Promise<boolean> {
    const { log, clock } = this.#modules
    const { founding, begun } = record
    if (!this.#place.hasData && (begun || founding === undefined)) {
      if (begun) log.warn('the data of etcd is gone, joining the other servers anew')
      this.#place.putAside(clock.wallMs())
      return false
    }
    // Whoever founds meanwhile sees that there are servers with data, and waits for them.
    if (founding && !begun) await this.#standing.say('founding', '', founding.token)
    else await this.#standing.say('waiting')
    await this.#launch(run, founding?.founders ?? [this.#self], founding?.token)
    if (await this.#ready()) {
      await this.#begun(record)
      return true
    }
    log.warn('the other servers have removed this one from etcd meanwhile, joining them anew')
    this.putAside()
    this.#state = 'starting'
    return false
  }

  async #launch({ tls, binary }: Run, cluster: readonly Founder[], token?: string): Promise<void> {
    const { config, store } = this.#options
    const options = {
      ...store,
      ...this.#self,
      clientUrl: this.#clientUrl,
      dataDir: this.#place.dataDir,
      bindAddress: config.bindAddress,
      tls,
      cluster,
      founding: token !== undefined,
      token: token === undefined ? 'hanse' : `hanse-${token}`,
    }
    const modules = { ...this.#modules, onRemoved: () => this.#removed() }
    this.#process = new EtcdMemberProcess(options, binary, modules)
    await this.#process.start()
  }

  async #begun(record: EtcdRecord): Promise<void> {
    this.#place.write({ ...record, begun: true })
    this.#process?.worked()
    this.#state = 'running'
    await this.#standing.say('member')
    await this.members.follow()
  }

  #removed(): void {
    const wasRunning = this.#state === 'running'
    if (this.#state !== 'leaving') this.#state = 'removed'
    if (wasRunning) this.#modules.onRemoved()
  }

  async #foundedOrJoined(run: Run): Promise<EtcdRecord> {
    const { log } = this.#modules
    const decision = await agree(this.#self, this.#options.store.founders, this.#joining)
    if (decision.kind === 'found') {
      const { founders, token } = decision
      log.info('founding etcd with the other servers', { servers: founders.map(({ name }) => name).join(',') })
      const record = { ...this.#owner, founding: { founders, token }, begun: false }
      this.#place.write(record)
      await this.#standing.say('founding', '', token)
      await this.#launch(run, founders, token)
      return record
    }
    log.info('joining the etcd of the other servers', { endpoints: decision.clientUrls.join(',') })
    const record = { ...this.#owner, founding: undefined, begun: false }
    const cluster = await joinMembers(this.#self, this.#joining)
    this.#place.write(record)
    await this.#launch(run, cluster)
    return record
  }

  /** Resolves with whether it answers and votes; false: the others have removed it. @throws ETCD_ENDS */
  async #ready(): Promise<boolean> {
    const process = this.#process
    if (process === undefined) return false
    const clientUrl = this.#clientUrl
    const isOver = () => this.#state === 'removed'
    return becomeVoter({ ...this.#self, clientUrl, process, isOver }, this.#joining)
  }

  /** Takes our own member out and removes its data, unless it is the last one or the others are too few without it. */
  async leave(): Promise<void> {
    const { log } = this.#modules
    if (this.#state !== 'running') return
    try {
      const members = await this.#membership.list()
      const own = members.find(({ peerUrl }) => peerUrl === this.#self.peerUrl)
      if (own === undefined || members.every(({ id, learner }) => id === own.id || learner)) return
      this.#state = 'leaving'
      this.#membership.useEndpoints(this.members.endpoints.filter((url) => url !== this.#clientUrl))
      await this.#membership.remove(own.id)
    } catch (error) {
      this.#state = 'running'
      log.warn('etcd keeps this server as its member', { error: messageOf(error) })
      return
    }
    await this.#process?.stop({ destroy: true })
    this.#place.forget()
  }

  /** Others have removed us: the data is put aside, and the next start joins anew. */
  putAside(): void {
    this.#place.putAside(this.#modules.clock.wallMs())
  }

  async stop(): Promise<void> {
    this.members.stop()
    await this.#process?.stop()
    this.#membership.close()
  }
}
