/**
 * The member of etcd that a server runs beside itself: found with the other servers of the datacenter, kept running,
 * and taken out again when the server leaves.
 *
 * Gossip tells who the others are (etcd-founding.ts). What a member is, is kept beside its data (`etcd.json`), so that a
 * restart needs nobody, and data of another server or datacenter is refused by name.
 */
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { type Clock, formatHostPort, type Logger, messageOf, sleep } from '#base'
import type { GossipPool } from '#gossip'
import type { TlsIdentity } from '#net'
import {
  type EtcdIdentity,
  EtcdMemberProcess,
  EtcdMembership,
  type EtcdTlsFiles,
  inspectEtcd,
  type KnownMember,
} from '#store'
import { agentError } from './agent-errors.ts'
import type { RuntimeConfig, StoreConfig } from './config-runtime.ts'
import { candidatesAmong, decide, ETCD_TAG, type EtcdCandidate, type Standing, tagOf } from './etcd-founding.ts'

const LOOK_MS = 250
/** How often those who wait for other servers are told for whom. */
const SAY_MS = 10_000
/** How often the list of members is read again. */
const REFRESH_MS = 10_000

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
  readonly log: Logger
  /** Aborted when the server stops before it has begun. */
  readonly signal: AbortSignal
  /** The other members have removed this one. */
  readonly onRemoved: () => void
}

/** What is kept beside the data. */
interface Record {
  readonly datacenter: string
  readonly nodeId: string
  readonly name: string
  readonly peerUrl: string
}

export class OwnEtcd {
  readonly #options: OwnEtcdOptions
  readonly #modules: OwnEtcdModules
  readonly #clientUrl: string
  readonly #peerUrl: string
  readonly #membership: EtcdMembership
  readonly #stopRefreshing: () => void
  #listeners = new Set<(endpoints: readonly string[]) => void>()
  #endpoints: readonly string[]
  #process: EtcdMemberProcess | undefined
  #state: 'starting' | 'running' | 'removed' = 'starting'

  private constructor(options: OwnEtcdOptions, modules: OwnEtcdModules) {
    const { config, store } = options
    const { clock, log } = modules
    const scheme = options.identity() ? 'https' : 'http'
    const host = store.advertiseHost || config.advertiseAddress
    this.#options = options
    this.#modules = modules
    this.#clientUrl = `${scheme}://${formatHostPort(host, store.clientPort)}`
    this.#peerUrl = `${scheme}://${formatHostPort(host, store.peerPort)}`
    this.#endpoints = [this.#clientUrl]
    this.#membership = new EtcdMembership({ endpoints: this.#endpoints, identity: this.identity, clock })
    const timer = clock.every(REFRESH_MS, () => {
      void this.#refresh().catch((error: unknown) =>
        log.debug('the members of etcd could not be listed', { error: messageOf(error) }),
      )
    })
    this.#stopRefreshing = () => timer.cancel()
  }

  /**
   * Resolves when this server's member of etcd runs and votes.
   *
   * @throws ETCD_NOT_FOUND, ETCD_TOO_OLD, ETCD_CERTIFICATE, ETCD_FOREIGN; the reason of the signal
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

  /** Client URLs of all members, our own first. */
  get endpoints(): readonly string[] {
    return this.#endpoints
  }

  /** Calls back when members come or go. */
  onEndpoints(listener: (endpoints: readonly string[]) => void): void {
    this.#listeners.add(listener)
  }

  #known: { readonly from: TlsIdentity; readonly identity: EtcdIdentity } | undefined

  readonly identity = (): EtcdIdentity | undefined => {
    const from = this.#options.identity()
    if (from === undefined) return undefined
    if (this.#known?.from === from) return this.#known.identity
    const { caPem, certPem, keyPem } = from
    const identity = {
      ca: Buffer.from(caPem),
      cert: Buffer.from(certPem),
      key: Buffer.from(keyPem),
      serverName: this.#serverName,
    }
    this.#known = { from, identity }
    return identity
  }

  get #serverName(): string {
    const { datacenter, domain } = this.#options.config
    return `server.${datacenter}.${domain}`
  }

  get #dataDir(): string {
    return join(this.#options.dataDir, 'etcd')
  }

  get #recordFile(): string {
    return join(this.#options.dataDir, 'etcd.json')
  }

  async #start(): Promise<void> {
    const { store } = this.#options
    const tls = this.#tlsFiles()
    const binary = await inspectEtcd(store.binary)
    const launch = async (cluster: readonly { name: string; peerUrl: string }[], founding: boolean, token: string) => {
      this.#process = new EtcdMemberProcess(
        {
          ...store,
          name: this.#options.config.nodeName,
          dataDir: this.#dataDir,
          bindAddress: this.#options.config.bindAddress,
          clientUrl: this.#clientUrl,
          peerUrl: this.#peerUrl,
          tls,
          cluster,
          founding,
          token,
        },
        binary,
        { ...this.#modules, onRemoved: () => this.#removed() },
      )
      await this.#process.start()
    }
    if (this.#record() !== undefined) {
      await this.#moved()
      await launch([{ name: this.#options.config.nodeName, peerUrl: this.#peerUrl }], false, 'hanse')
      if (await this.#ready()) return this.#begun()
      this.#modules.log.warn('the other servers have removed this one from etcd meanwhile, joining them anew')
      this.putAside()
    }
    await this.#foundOrJoin(launch)
    if (!(await this.#ready())) throw agentError('ETCD_REMOVED', { name: this.#options.config.nodeName })
    await this.#begun()
  }

  async #begun(): Promise<void> {
    this.#state = 'running'
    await this.#say('member')
  }

  #removed(): void {
    if (this.#state === 'running') this.#modules.onRemoved()
    this.#state = 'removed'
  }

  async #foundOrJoin(
    launch: (cluster: readonly { name: string; peerUrl: string }[], founding: boolean, token: string) => Promise<void>,
  ): Promise<void> {
    const { nodeName } = this.#options.config
    const { log, signal } = this.#modules
    this.#state = 'starting'
    const decision = await this.#decided()
    if (decision.kind === 'found') {
      log.info('founding etcd with the other servers', { servers: decision.founders.map(({ name }) => name).join(',') })
      await this.#say('founding', decision.agreed)
      this.#writeRecord()
      await launch(decision.founders, true, `hanse-${decision.agreed}`)
      return
    }
    log.info('joining the etcd of the other servers', { endpoints: decision.clientUrls.join(',') })
    this.#membership.useEndpoints(decision.clientUrls)
    const { members } = await this.#membership.add(this.#peerUrl, signal)
    this.#writeRecord()
    await launch(clusterOf(members, { nodeName, peerUrl: this.#peerUrl }), false, 'hanse')
  }

  /** Says how we stand, until there is an etcd to found or to join. */
  async #decided() {
    const { config } = this.#options
    const { lan, clock, log, signal } = this.#modules
    const expect = Math.max(1, config.bootstrapExpect)
    let said = '-'
    let toldMs = -SAY_MS
    for (;;) {
      const others = candidatesAmong(lan.members(), config.datacenter).filter(({ name }) => name !== lan.localName)
      const decision = decide(lan.localName, [...others, this.#candidate('waiting')], expect)
      if (decision.kind !== 'wait') return decision
      if (decision.agreed !== said) await this.#say('waiting', decision.agreed)
      said = decision.agreed
      if (clock.nowMs() - toldMs >= SAY_MS) {
        toldMs = clock.nowMs()
        log.info('waiting for other servers, to found etcd with them', { present: decision.present, expect })
      }
      await sleep(clock, LOOK_MS, signal)
    }
  }

  #candidate(standing: Standing, agreed = ''): EtcdCandidate {
    const { lan } = this.#modules
    return { name: lan.localName, standing, clientUrl: this.#clientUrl, peerUrl: this.#peerUrl, agreed }
  }

  async #say(standing: Standing, agreed = ''): Promise<void> {
    const { lan } = this.#modules
    const own = lan.members().find(({ name }) => name === lan.localName)
    await lan.setTags({ ...own?.tags, [ETCD_TAG]: tagOf(this.#candidate(standing, agreed)) })
  }

  /** A server that has a new address tells the other members before its own begins. */
  async #moved(): Promise<void> {
    const record = this.#record()
    const { config } = this.#options
    const { lan, log, clock, signal } = this.#modules
    if (record === undefined || record.peerUrl === this.#peerUrl) return
    log.info('this server has a new address, telling the other members of etcd', { was: record.peerUrl })
    for (;;) {
      const others = candidatesAmong(lan.members(), config.datacenter).filter(({ standing }) => standing === 'member')
      if (others.length > 0) {
        this.#membership.useEndpoints(others.map(({ clientUrl }) => clientUrl))
        const own = (await this.#membership.list()).find(({ name }) => name === record.name)
        if (own) await this.#membership.update(own.id, this.#peerUrl)
        this.#writeRecord()
        return
      }
      await sleep(clock, LOOK_MS, signal)
    }
  }

  /** Resolves with whether it answers and votes; false: the others have removed it. */
  async #ready(): Promise<boolean> {
    const { clock, signal, log } = this.#modules
    let toldMs = clock.nowMs()
    for (;;) {
      if (this.#state === 'removed') return false
      try {
        await this.#promoted()
        this.#membership.useEndpoints([this.#clientUrl])
        await this.#refresh()
        return true
      } catch (error) {
        if (clock.nowMs() - toldMs >= SAY_MS) {
          toldMs = clock.nowMs()
          log.warn('etcd beside this server has no leader yet', {
            error: messageOf(error),
            last: this.#process?.lastWords ?? '',
          })
        }
        await sleep(clock, LOOK_MS, signal)
      }
    }
  }

  /** A member that was added begins as a learner, also where the server was killed while it caught up. */
  async #promoted(): Promise<void> {
    const { lan, signal } = this.#modules
    const candidates = candidatesAmong(lan.members(), this.#options.config.datacenter)
    const others = candidates.filter(({ standing, name }) => standing === 'member' && name !== lan.localName)
    if (others.length === 0) return
    this.#membership.useEndpoints(others.map(({ clientUrl }) => clientUrl))
    const own = (await this.#membership.list()).find(({ peerUrl }) => peerUrl === this.#peerUrl)
    if (own?.learner) await this.#membership.promote(own.id, signal)
  }

  async #refresh(): Promise<void> {
    const members = await this.#membership.list()
    const others = members.map(({ clientUrl }) => clientUrl).filter((url) => url !== '' && url !== this.#clientUrl)
    const endpoints = [this.#clientUrl, ...others.sort()]
    if (endpoints.join() === this.#endpoints.join()) return
    this.#endpoints = endpoints
    this.#membership.useEndpoints(endpoints)
    for (const listener of this.#listeners) listener(endpoints)
  }

  /** Members by the names of their servers. */
  members(): Promise<readonly KnownMember[]> {
    return this.#membership.list()
  }

  /** Takes a server's member out, if enough are left that run. @throws STORE_REFUSED, STORE_UNREACHABLE */
  async remove(name: string): Promise<void> {
    const member = (await this.#membership.list()).find((each) => each.name === name)
    if (member) await this.#membership.remove(member.id)
    await this.#refresh()
  }

  /** Takes our own member out and removes its data, unless it is the last one. */
  async leave(): Promise<void> {
    const { log } = this.#modules
    const { nodeName } = this.#options.config
    try {
      const members = await this.#membership.list()
      const own = members.find(({ name }) => name === nodeName)
      if (own === undefined || members.every(({ id, learner }) => id === own.id || learner)) return
      this.#membership.useEndpoints(this.#endpoints.filter((url) => url !== this.#clientUrl))
      await this.#membership.remove(own.id)
    } catch (error) {
      log.warn('etcd keeps this server as its member', { error: messageOf(error) })
      return
    }
    await this.#process?.stop({ destroy: true })
    this.#forget()
  }

  /** Others have removed us: the data is put aside, and the next start joins anew. */
  putAside(): void {
    const aside = `${this.#dataDir}.removed-${this.#modules.clock.wallMs()}`
    if (existsSync(this.#dataDir)) renameSync(this.#dataDir, aside)
    this.#forget()
  }

  async stop(): Promise<void> {
    this.#stopRefreshing()
    await this.#process?.stop()
    this.#membership.close()
  }

  #record(): Record | undefined {
    const path = this.#recordFile
    const { config, nodeId } = this.#options
    if (!existsSync(path)) {
      if (!existsSync(join(this.#dataDir, 'member'))) return undefined
      throw agentError('ETCD_FOREIGN', { path: this.#dataDir, reason: 'it does not say whose it is' })
    }
    const record = parseRecord(readFileSync(path, 'utf8'))
    if (record === undefined) throw agentError('ETCD_FOREIGN', { path, reason: 'it cannot be read' })
    if (record.datacenter !== config.datacenter || record.nodeId !== nodeId || record.name !== config.nodeName) {
      const reason = `it is of server "${record.name}" of datacenter "${record.datacenter}"`
      throw agentError('ETCD_FOREIGN', { path: this.#dataDir, reason })
    }
    return record
  }

  #writeRecord(): void {
    const { config, nodeId } = this.#options
    const record: Record = {
      datacenter: config.datacenter,
      nodeId,
      name: config.nodeName,
      peerUrl: this.#peerUrl,
    }
    const path = this.#recordFile
    writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }

  #forget(): void {
    if (existsSync(this.#recordFile)) renameSync(this.#recordFile, `${this.#recordFile}.old`)
  }

  /** @throws ETCD_CERTIFICATE where the other members would not accept what we show them */
  #tlsFiles(): EtcdTlsFiles | undefined {
    const { config, store, identity } = this.#options
    const { caFile, certFile, keyFile } = config.tls.internalRpc
    const host = store.advertiseHost || config.advertiseAddress
    const own = identity()
    if (own === undefined || caFile === '') {
      if (/^127\.|^::1$/.test(host)) return undefined
      throw agentError('ETCD_CERTIFICATE', { host, reason: 'tls.internal_rpc has no ca_file, cert_file and key_file' })
    }
    const certificate = new X509Certificate(own.certPem)
    const names = isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)
    if (names === undefined) {
      throw agentError('ETCD_CERTIFICATE', { host, reason: `the certificate "${certFile}" is not valid for it` })
    }
    if (certificate.checkHost(this.#serverName) === undefined) {
      const reason = `the certificate "${certFile}" is not that of "${this.#serverName}"`
      throw agentError('ETCD_CERTIFICATE', { host, reason })
    }
    return { ca: caFile, cert: certFile, key: keyFile, allowedName: this.#serverName }
  }
}

function parseRecord(text: string): Record | undefined {
  try {
    const { datacenter, nodeId, name, peerUrl } = Object(JSON.parse(text))
    const all = [datacenter, nodeId, name, peerUrl]
    return all.every((each) => typeof each === 'string') ? { datacenter, nodeId, name, peerUrl } : undefined
  } catch {
    return undefined
  }
}

/** The others as they are known, and ourselves by our name; etcd goes by the URLs, but wants a name for each. */
function clusterOf(members: readonly KnownMember[], { nodeName, peerUrl }: { nodeName: string; peerUrl: string }) {
  return members.map((member, position) => ({
    name: member.peerUrl === peerUrl ? nodeName : member.name || `member-${position}`,
    peerUrl: member.peerUrl,
  }))
}
