/** What a server's core is made from: its settings, and what the process gives it. */
import type { Clock, LogSink, Metrics, Random } from '#base'
import type { TlsIdentity } from '#net'
import type { Engine } from '#store'
import type { RuntimeConfig, TlsConfig } from './config-runtime.ts'

export interface CoreOptions {
  readonly config: RuntimeConfig
  readonly nodeId: string
  readonly dataDir: string
  /** The identity as it is now; a reload changes what it returns. */
  readonly identity: () => TlsIdentity | undefined
  /** The HTTPS port's, likewise. */
  readonly https: () => TlsIdentity | undefined
  /** The rest of the TLS settings, likewise. */
  readonly tls: () => TlsConfig
  /** PEM texts of the leafs that this agent keeps now. */
  readonly leafs: () => readonly string[]
}

export interface CoreModules {
  readonly logSink: LogSink
  readonly metrics: Metrics
  readonly clock: Clock
  readonly random: Random
  /** Opens the store in the place of the configured one: servers of one process that share one. */
  readonly openStore?: (() => Promise<Engine>) | undefined
  /** Aborted when the server is stopped before it has begun. */
  readonly signal: AbortSignal
  /** The other servers have taken this one's copy of the data out. */
  readonly onRemoved: () => void
}
