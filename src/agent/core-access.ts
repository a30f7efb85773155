/** Access control of a server: its settings as the endpoints ask for them, and what the leader sets up and looks after. */
import { messageOf } from '#base'
import { type AclPort, type DownPolicy, reapExpiredTokens, seedAcls } from '#endpoints'
import type { Federation } from '#federation'
import type { State } from '#state'
import { type AgentTokens, takeBootstrapReset } from './agent-tokens.ts'
import type { CoreModules, CoreOptions } from './core-options.ts'

export function aclPort({ config, dataDir }: CoreOptions, tokens: AgentTokens, federation: Federation): AclPort {
  const { acl, datacenter, primaryDatacenter } = config
  return {
    enabled: acl.enabled,
    defaultPolicy: acl.defaultPolicy === 'deny' ? 'deny' : 'allow',
    downPolicy: DOWN_POLICIES.find((known) => known === acl.downPolicy) ?? 'extend-cache',
    tokenTtlMs: acl.tokenTtlMs,
    keyListPolicy: acl.enableKeyListPolicy,
    replicatesTokens: datacenter !== primaryDatacenter && acl.enableTokenReplication,
    replicationToken: () => tokens.get('replication'),
    takeBootstrapReset: () => takeBootstrapReset(dataDir),
    replicationStatus: () => federation.aclReplicationStatus(acl.enabled),
  }
}

const DOWN_POLICIES: readonly DownPolicy[] = ['allow', 'deny', 'extend-cache', 'async-cache']

/** What is there from the first start, before anyone is served; what stops the removal of ended tokens. The leader's. */
export async function startAcls({ config }: CoreOptions, modules: CoreModules, state: State): Promise<() => void> {
  const { clock, logSink } = modules
  const primary = config.datacenter === config.primaryDatacenter
  const initialManagement = config.acl.tokens['initial_management'] || config.acl.tokens['master'] || ''
  const log = logSink.logger('agent.acl')
  const seed = () => seedAcls(state, modules, { primary, initialManagement })
  await seed()
  // A snapshot may be from before there was access control here.
  const forget = state.onRestored(() => {
    seed().catch((error: unknown) => log.error('access control could not be set up', { error: messageOf(error) }))
  })
  const stopReaping = reapExpiredTokens(state, { clock, log }, { primary })
  return () => {
    forget()
    stopReaping()
  }
}
