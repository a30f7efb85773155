/**
 * What can keep an agent from starting or from doing what it is asked, beyond its configuration.
 */
import { errorTable } from '#base'

export const agentError = errorTable({
  TOKENS_NOT_WRITTEN: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Remember tokens in "${path}": ${reason}`,
    hint: () => 'the token is in use until the next start; make room in data_dir, then set it again',
  },
  TOKEN_TOO_LONG: {
    status: 400,
    message: ({ limit }: { limit: number }) => `Set token: it is longer than ${limit} characters`,
  },
  DATA_DIR_UNWRITABLE: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Open data directory "${path}": ${reason}`,
    hint: () => 'set data_dir to a directory that this user may write',
  },
  ETCD_CERTIFICATE: {
    status: 500,
    message: ({ host, reason }: { host: string; reason: string }) =>
      `Run a member of etcd that others reach at "${host}": ${reason}`,
    hint: ({ host }: { host: string; reason: string }) =>
      `make the server's certificate with "-additional-ipaddress=${host}" (or -additional-dnsname), or set store.etcd.advertise_host`,
  },
  ETCD_ADDRESS_TAKEN: {
    status: 500,
    message: ({ peerUrl, name }: { peerUrl: string; name: string }) =>
      `Join etcd at "${peerUrl}": that is the address of server "${name}", which is alive`,
    hint: () => 'give each server an advertise_addr (or store.etcd.advertise_host) and store.etcd.peer_port of its own',
  },
  ETCD_REMOVED: {
    status: 500,
    message: ({ name }: { name: string }) => `Join etcd as "${name}": the other servers have taken it out again`,
    hint: () => 'start the server again; see whether another one has the same node name',
  },
  ETCD_FOREIGN: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) =>
      `Use the data of etcd in "${path}": ${reason}; nothing was changed`,
    hint: () => 'set data_dir to the directory of this server, or move the data of etcd away to join the others anew',
  },
  NODE_ID_CORRUPT: {
    status: 500,
    message: ({ path }: { path: string }) => `Read node ID "${path}": it is no UUID`,
    hint: ({ path }: { path: string }) => `set node_id, or remove "${path}" to get a new one`,
  },
  TLS_FILE_UNREADABLE: {
    status: 500,
    message: ({ setting, path, reason }: { setting: string; path: string; reason: string }) =>
      `Read ${setting} "${path}": ${reason}`,
    hint: ({ setting }: { setting: string; path: string; reason: string }) =>
      `compare the setting ${setting} with where the file is`,
  },
  JOIN_FAILED: {
    status: 500,
    /** Each reason names its address. */
    message: ({ reasons }: { address: string; reasons: readonly string[] }) =>
      `${reasons.length} error${reasons.length === 1 ? '' : 's'} occurred:\n${reasons.map((reason) => `\t* ${reason}\n`).join('')}\n`,
  },
  CONNECT_OFF: {
    status: 500,
    message: (_: Record<never, never>) => 'Connect must be enabled in order to use this endpoint',
    hint: () => 'set connect { enabled = true }',
  },
  UNKNOWN_PROXY: {
    status: 404,
    message: ({ id }: { id: string }) => `Configure proxy "${id}": this agent has no such service`,
    hint: () => 'register it: Connect.SidecarService of a service, or a service of Kind connect-proxy',
  },
  NO_WAN_POOL: {
    status: 500,
    message: (_: Record<never, never>) => 'This server has no WAN pool: ports.serf_wan is off',
  },
  UNKNOWN_MEMBER: {
    status: 500,
    message: ({ node }: { node: string }) => `agent: No node found with name '${node}'`,
  },
})
