/**
 * What can go wrong between datacenters. The first two texts are what Consul's clients match on.
 */
import { errorTable } from '#base'

interface Silence {
  readonly datacenter: string
  readonly primary: boolean
  readonly gateways: readonly string[]
  readonly silentMs: number
  readonly reason: string
}

function silence({ datacenter, primary, gateways, silentMs, reason }: Silence): string {
  const known = gateways.length === 0 ? 'no mesh gateway known' : `mesh gateways tried: ${gateways.join(', ')}`
  const since = Number.isFinite(silentMs) ? `silent for ${(silentMs / 1000).toFixed(1)} s` : 'never reached'
  const why = reason === '' ? '' : ` (${reason})`
  return `${primary ? 'primary datacenter' : 'datacenter'} "${datacenter}", ${known}, ${since}${why}`
}

export const federationError = errorTable({
  REPLICATION_TOKEN_TOO_WEAK: {
    status: 500,
    message: () => 'Cannot copy tokens: the primary hides their secrets from the replication token',
    hint: () => 'the replication token needs acl = "write"',
  },
  LOCAL_SERVER_ADDRESS: {
    status: 500,
    message: ({ address }: { address: string }) => `Cannot call server at "${address}": it is no "ip:port"`,
    hint: () => 'look at the tags of the server in `hanse members -detailed`',
  },
  NO_PATH_TO_DATACENTER: {
    status: 500,
    message: (_facts: { datacenter: string }) => 'No path to datacenter',
    hint: ({ datacenter }: { datacenter: string }) =>
      `no server of "${datacenter}" is in the WAN pool: check the name with \`hanse catalog datacenters\`, then \`hanse federation status\``,
  },
  REMOTE_DC_UNREACHABLE: {
    status: 500,
    message: (facts: {
      datacenter: string
      primary: boolean
      gateways: readonly string[]
      silentMs: number
      reason: string
    }) => `Remote DC has no server currently reachable: ${silence(facts)}`,
    hint: () => 'see `hanse federation status` for what each gateway answered',
  },
  REPLICATION_TOKEN_MISSING: {
    status: 500,
    message: () => 'Cannot copy from the primary: no replication token is set',
    hint: () => 'set acl.tokens.replication, or `hanse acl set-agent-token replication <token>`',
  },
  REPLICATION_FILTERED: {
    status: 500,
    message: ({ type }: { type: string }) =>
      `Cannot copy ${type} from the primary: the replication token may not read all of them`,
    hint: () => 'give its policy operator = "write", service_prefix "" { policy = "read" intentions = "read" }',
  },
  SECRET_NOT_A_MANIFEST: {
    status: 400,
    message: ({ source, reason }: { source: string; reason: string }) =>
      `Read federation secret "${source}": not a Secret manifest: ${reason}`,
    hint: () =>
      'give the file that `hanse federation secret` or `kubectl get secret consul-federation --output yaml` wrote',
  },
  SECRET_KEY_MISSING: {
    status: 400,
    message: ({ source, key }: { source: string; key: string }) =>
      `Read federation secret "${source}": key "${key}" is missing`,
    hint: () => 'export it again in the primary datacenter',
  },
  SECRET_KEY_INVALID: {
    status: 400,
    message: ({ source, key, reason }: { source: string; key: string; reason: string }) =>
      `Read federation secret "${source}": key "${key}" is not usable: ${reason}`,
    hint: () => 'export it again in the primary datacenter',
  },
  SECRET_NOT_PRIMARY: {
    status: 400,
    message: ({ datacenter, primaryDatacenter }: { datacenter: string; primaryDatacenter: string }) =>
      `Export federation secret: this is datacenter "${datacenter}": its primary is "${primaryDatacenter}"`,
    hint: () => 'ask a server of the primary datacenter: -http-addr',
  },
  SECRET_NO_GATEWAY: {
    status: 500,
    message: ({ datacenter }: { datacenter: string }) =>
      `Export federation secret: no healthy mesh gateway of "${datacenter}" is registered for federation`,
    hint: () => 'start one: hanse connect proxy -gateway=mesh -register -expose-servers',
  },
})
