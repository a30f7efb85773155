/**
 * What the HTTP API needs of the agent it runs in: everything under /v1/agent, and what only the agent can know.
 *
 * agent/ implements it; the API turns requests into these calls, and what they answer into Consul's JSON. Values are the
 * catalog's shapes (`NodeService`, `HealthCheck`) as the agent holds them locally; the API makes the agent form of
 * them (null tags as [], content hash, datacenter). Definitions come checked (definition-checks.ts). Errors are
 * HanseErrors: the message is the body, the status the status.
 */
import type { LogListener, Metrics } from '#base'
import type {
  AgentCheckDefinition,
  AgentServiceDefinition,
  HealthCheck,
  IssuedCert,
  NodeService,
  UserEvent,
} from '#codec'

/** One member of a gossip pool, in the JSON form of /v1/agent/members. `Status`: 1 alive, 2 leaving, 3 left, 4 failed. */
export interface AgentMember {
  readonly Name: string
  readonly Addr: string
  readonly Port: number
  readonly Tags: Readonly<Record<string, string>>
  readonly Status: number
  readonly ProtocolMin: number
  readonly ProtocolMax: number
  readonly ProtocolCur: number
  readonly DelegateMin: number
  readonly DelegateMax: number
  readonly DelegateCur: number
}

/** What agent/self says; all but `Config` may be as small as the agent likes. Secrets stand as "hidden". */
export interface AgentSelf {
  readonly Config: {
    readonly Datacenter: string
    readonly PrimaryDatacenter: string
    readonly NodeName: string
    readonly NodeID: string
    readonly Revision: string
    readonly Server: boolean
    readonly Version: string
    readonly BuildDate: string
  }
  readonly DebugConfig: Readonly<Record<string, unknown>>
  readonly Coord: unknown
  readonly Member: AgentMember
  readonly Stats: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly Meta: Readonly<Record<string, string>>
  readonly xDS?: unknown
}

export interface AgentVersion {
  readonly SHA: string
  readonly BuildDate: string
  readonly HumanVersion: string
  readonly FIPS: string
}

export type CheckStatus = 'passing' | 'warning' | 'critical'

export interface AgentPort {
  readonly nodeName: string
  readonly datacenter: string
  /** Whether checks that run programs may be registered by HTTP (`enable_script_checks`). */
  readonly remoteScriptChecks: boolean

  self(): AgentSelf
  version(): AgentVersion
  /** Facts about the machine: Memory, CPU, Host, Disk, CollectionTime, Errors. */
  host(): Readonly<Record<string, unknown>>
  readonly metrics: Metrics
  /** When Prometheus text is asked for: positive where `telemetry.prometheus_retention_time` is set. */
  readonly prometheusRetentionMs: number

  /** Members of the LAN pool, or of the WAN pool (none on a client agent), in the order they became known. */
  members(options: { readonly wan: boolean }): readonly AgentMember[]
  /** Resolves once at least one address has answered; else rejects with what each said. */
  join(address: string, options: { readonly wan: boolean }): Promise<void>
  /** Leaves both pools; the process ends some time after it resolved. */
  leave(): Promise<void>
  /** Rejects with "agent: No node found with name 'x'". */
  forceLeave(node: string, options: { readonly prune: boolean; readonly wan: boolean }): Promise<void>
  reload(): Promise<void>

  /** Local services. Changes come with a new object: the same reference means the same content. */
  services(): readonly NodeService[]
  service(id: string): NodeService | undefined
  /** Calls back at each change of a local service or check; the answer cancels. */
  onServiceChange(callback: () => void): () => void
  /** Local checks (also those of services), with `Interval`, `Timeout` and `Type` filled in. */
  checks(): readonly HealthCheck[]
  check(id: string): HealthCheck | undefined

  registerService(
    definition: AgentServiceDefinition,
    options: { readonly replaceExistingChecks: boolean },
  ): Promise<void>
  /** Rejects with 404 `Unknown service ID "x". Ensure that the service ID is passed, not the service name.` */
  deregisterService(id: string): Promise<void>
  /** Rejects with 404 `ServiceID "x" does not exist`. */
  registerCheck(definition: AgentCheckDefinition): Promise<void>
  /** Rejects with 404 `Unknown check ID "x". Ensure that the check ID is passed, not the check name.` */
  deregisterCheck(id: string): Promise<void>
  /** Rejects with the 404 above, or 500 `CheckID "x" does not have associated TTL`. Output is cut by the agent. */
  updateTtl(id: string, status: CheckStatus, output: string): Promise<void>
  nodeMaintenance(enable: boolean, reason: string): Promise<void>
  /** Rejects with 404 as deregisterService(). */
  serviceMaintenance(id: string, enable: boolean, reason: string): Promise<void>

  /**
   * The leaf certificate of a service with its key, once its index is above `minIndex` or the wait is over. Rejects
   * while there is no authority.
   */
  leaf(
    service: string,
    options: { readonly minIndex: number; readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<{ readonly certificate: IssuedCert; readonly index: number }>

  /**
   * All that a sidecar of this agent must know, its key included: at once when it is not what `hash` names, else when it
   * changes or the wait is over.
   */
  proxySnapshot(
    proxyId: string,
    options: { readonly hash: string; readonly waitMs: number; readonly signal: AbortSignal; readonly token: string },
  ): Promise<{ readonly snapshot: object; readonly hash: string }>

  /** The user events that reached this agent and are meant for it, the oldest first. */
  readonly events: { list(): readonly UserEvent[]; onEvent(callback: () => void): () => void }

  /** Feeds log lines to a listener until the answer is called. */
  monitor(listener: LogListener): () => void
  /** GET /v1/internal/federation-status: FederationStatus of federation/. */
  federationStatus(): object | Promise<object>
}
