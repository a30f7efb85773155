/**
 * Errors of the operations: what a request lacks, where it could not be sent, what is not served.
 *
 * Texts that Consul's clients match on stay as they are, byte for byte.
 */
import { errorTable } from '#base'

export const endpointError = errorTable({
  CONNECT_DISABLED: {
    status: 500,
    message: (_: Record<never, never>) => 'Connect must be enabled in order to use this endpoint',
    hint: () => 'set connect { enabled = true } on the servers',
  },
  INVALID_REQUEST: { status: 500, message: ({ text }: { text: string }) => text },
  NO_CLUSTER_LEADER: {
    status: 500,
    message: (_: Record<never, never>) => 'No cluster leader',
    hint: () => 'Ask again in a few seconds; "hanse operator raft list-peers -stale" shows the servers',
  },
  PEER_NOT_FOUND: {
    status: 500,
    message: ({ kind, value }: { kind: 'id' | 'address'; value: string }) =>
      `${kind} "${value}" was not found in the Raft configuration`,
    hint: () => '"hanse operator raft list-peers" shows ids and addresses',
  },
  PEER_ALIVE: {
    status: 500,
    message: ({ node }: { node: string }) => `Cannot remove server "${node}": it is alive`,
    hint: ({ node }: { node: string }) => `run "hanse leave" on "${node}"`,
  },
  NO_SUCH_PEER: {
    status: 500,
    message: (_: Record<never, never>) => 'cannot find peer',
    hint: () => 'the lead goes to another server that is alive; "hanse operator raft list-peers" shows them',
  },
  LEAD_NOT_TAKEN: {
    status: 500,
    message: ({ node }: { node: string }) => `Cannot hand the lead to server "${node}": another server has taken it`,
    hint: () => 'look at the log of that server, then try again',
  },
  REMOTE_ERROR: { status: 500, message: ({ text }: { text: string }) => text },
  REMOTE_REFUSED: { status: 403, message: ({ text }: { text: string }) => text },
  REMOTE_NOT_FOUND: { status: 404, message: ({ text }: { text: string }) => text },
  INTENTION_ID_INVALID: {
    status: 400,
    message: () => 'failed config entry lookup: index error: UUID must be 36 characters',
  },
  NO_PATH_TO_DATACENTER: {
    status: 500,
    message: (_: { datacenter: string }) => 'No path to datacenter',
    hint: ({ datacenter }: { datacenter: string }) =>
      `No server of datacenter "${datacenter}" is known; see "hanse federation status"`,
  },
  DATACENTER_UNREACHABLE: {
    status: 500,
    message: (_: { datacenter: string; reason?: string }) => 'Remote DC has no server currently reachable',
    hint: ({ datacenter, reason }: { datacenter: string; reason?: string }) =>
      `Datacenter "${datacenter}" does not answer${reason === undefined ? '' : `: ${reason}`}; see "hanse federation status"`,
  },
  NOT_PRIMARY: {
    status: 500,
    message: (facts: { operation: string; datacenter: string; primaryDatacenter: string }) =>
      `Cannot run ${facts.operation} in "${facts.datacenter}": not the primary datacenter, which is "${facts.primaryDatacenter}"`,
    hint: () => 'Give all datacenters the same primary_datacenter',
  },
  KEY_TOO_LONG: {
    status: 400,
    message: ({ keyBytes, limitBytes }: { keyBytes: number; limitBytes: number }) =>
      `Cannot write key: its name has ${keyBytes} bytes and the limit is ${limitBytes}`,
  },
  VALUE_TOO_LARGE: {
    status: 413,
    message: ({ valueBytes, limitBytes }: { valueBytes: number; limitBytes: number }) =>
      `Value exceeds ${limitBytes} byte limit: it has ${valueBytes}`,
  },
  TXN_TOO_LARGE: {
    status: 413,
    message: ({ operations, limit }: { operations: number; limit: number }) =>
      `Transaction contains too many operations (${operations} > ${limit})`,
    hint: () => 'Split it into several transactions',
  },
  TOO_MANY_WAITERS: {
    status: 429,
    message: ({ operation, limit }: { operation: string; limit: number }) =>
      `Cannot wait for a change of ${operation}: ${limit} requests wait already and that is the limit`,
    hint: () => 'Ask again without "index", or use another server',
  },
  EVENTS_NOT_SERVED: {
    status: 500,
    message: ({ name }: { name: string }) => `Cannot fire event "${name}": this server has no gossip pool`,
  },
  REQUEST_CANCELLED: {
    status: 500,
    message: ({ operation }: { operation: string }) => `Cannot finish ${operation}: the caller has gone`,
  },
})
