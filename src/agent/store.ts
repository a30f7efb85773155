/**
 * Opens the store that the configuration names: SQLite in the data directory, memory with -dev, an etcd that the user
 * runs, or a member of etcd beside this server.
 */
import { join } from 'node:path'
import { aborted, type Clock, type Logger, type LogSink, type Metrics, type Random } from '#base'
import type { GossipPool } from '#gossip'
import type { TlsIdentity } from '#net'
import {
  type Engine,
  type EtcdEngine,
  type EtcdIdentity,
  openEtcd,
  openMemory,
  openSqlite,
  type StoreMembers,
} from '#store'
import type { RuntimeConfig, StoreConfig } from './config-runtime.ts'
import { OwnEtcd } from './own-etcd.ts'
import { readTlsFile } from './tls-files.ts'

export interface StoreOptions {
  readonly config: RuntimeConfig
  readonly nodeId: string
  readonly dataDir: string
  readonly identity: () => TlsIdentity | undefined
}

export interface StoreModules {
  readonly logSink: LogSink
  readonly metrics: Metrics
  readonly clock: Clock
  readonly random: Random
  /** Aborted when the server stops before it has begun. */
  readonly signal: AbortSignal
}

/** A store that is open. */
export interface OpenStore {
  readonly engine: Engine
  /** The member of etcd beside this server, where there is one. */
  readonly etcd?: OwnEtcd
  /** Those who keep the data, where they come and go with the servers. */
  readonly members?: StoreMembers
  /** Reads certificates again. */
  refresh(): void
  close(): Promise<void>
}

/** Whether it can only be opened with the other servers of the datacenter. */
export function needsOthers({ store }: RuntimeConfig): boolean {
  return store.kind === 'own-etcd'
}

/** @throws STORE_ codes; nothing is left open then */
export async function openStore(options: StoreOptions, modules: StoreModules): Promise<OpenStore> {
  const { config, dataDir } = options
  const { metrics } = modules
  const { store } = config
  if (store.kind === 'named-etcd') return openNamed(store, options, modules)
  const engine =
    config.dev && config.dataDir === ''
      ? await openMemory({ metrics })
      : await openSqlite({ directory: join(dataDir, 'store'), metrics })
  return { engine, refresh: () => {}, close: () => engine.close() }
}

async function openNamed(
  store: Extract<StoreConfig, { kind: 'named-etcd' }>,
  options: StoreOptions,
  modules: StoreModules,
): Promise<OpenStore> {
  let identity = identityFrom(store)
  const common = etcdOptions(store.prefix, options, modules)
  common.log.info('opening the store in etcd', { endpoints: store.endpoints.join(','), prefix: store.prefix })
  const engine = await unlessAborted(modules.signal, openEtcd({ ...common, ...store, identity: () => identity }))
  const refresh = () => {
    identity = identityFrom(store)
  }
  return { engine, refresh, close: () => engine.close() }
}

/** Runs a member of etcd beside this server, and opens the store on it. */
export async function openWithOthers(
  options: StoreOptions,
  modules: StoreModules & { readonly lan: GossipPool; readonly onRemoved: () => void },
): Promise<OpenStore> {
  const { store } = options.config
  if (store.kind !== 'own-etcd') throw new Error('the store is not one with others')
  const log = modules.logSink.logger('agent.server.etcd')
  const etcd = await OwnEtcd.start({ ...options, store }, { ...modules, log })
  try {
    const { identity } = etcd
    const { endpoints } = etcd.members
    const opening = openEtcd({ ...etcdOptions(store.prefix, options, modules), endpoints, identity })
    const engine = await unlessAborted(modules.signal, opening)
    etcd.members.onEndpoints((known) => engine.useEndpoints(known))
    engine.useEndpoints(etcd.members.endpoints)
    const close = async () => {
      await engine.close()
      await etcd.stop()
    }
    const members: StoreMembers = {
      list: async () => (await etcd.members.list()).map(({ name, learner }) => ({ name, voter: !learner })),
      remove: (name) => etcd.members.remove(name),
    }
    return { engine, etcd, members, refresh: () => {}, close }
  } catch (error) {
    await etcd.stop()
    throw error
  }
}

/** What is still being opened when the server stops is closed once it is open. @throws the reason of the signal */
async function unlessAborted(signal: AbortSignal, opening: Promise<EtcdEngine>): Promise<EtcdEngine> {
  const stopped = aborted(signal).then(() => undefined)
  const engine = await Promise.race([opening, stopped])
  if (engine !== undefined) return engine
  void opening.then((late) => late.close()).catch(() => undefined)
  throw signal.reason
}

function etcdOptions(prefix: string, { config, nodeId }: StoreOptions, modules: StoreModules) {
  const { clock, random, metrics, logSink } = modules
  const log: Logger = logSink.logger('agent.server.store')
  return { prefix, datacenter: config.datacenter, writer: nodeId, clock, random, metrics, log }
}

function identityFrom(store: Extract<StoreConfig, { kind: 'named-etcd' }>): EtcdIdentity | undefined {
  const { caFile, certFile, keyFile, serverName } = store
  const pem = (setting: string, path: string) => Buffer.from(readTlsFile(setting, path))
  if (caFile === '' && certFile === '' && serverName === '') return undefined
  return {
    ...(caFile === '' ? {} : { ca: pem('store.etcd.ca_file', caFile) }),
    ...(certFile === '' ? {} : { cert: pem('store.etcd.cert_file', certFile) }),
    ...(keyFile === '' ? {} : { key: pem('store.etcd.key_file', keyFile) }),
    ...(serverName === '' ? {} : { serverName }),
  }
}
