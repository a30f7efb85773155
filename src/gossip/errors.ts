/**
 * What can be wrong with gossip: bytes from outside, requests from the user, the files it keeps.
 */
import { errorTable } from '#base'

export const gossipError = errorTable({
  GOSSIP_PACKET: {
    status: 400,
    message: ({ reason }: { reason: string }) => `Read gossip packet: ${reason}`,
  },
  GOSSIP_STREAM: {
    status: 400,
    message: ({ reason }: { reason: string }) => `Read gossip stream: ${reason}`,
  },
  GOSSIP_UNDECRYPTABLE: {
    status: 400,
    message: (_: Record<never, never>) => 'No installed keys could decrypt the message',
  },
  GOSSIP_KEY: {
    status: 400,
    message: ({ reason }: { reason: string }) => `Read gossip encryption key: ${reason}`,
    hint: () => 'make one with: hanse keygen',
  },
  GOSSIP_KEYRING_FILE: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Read gossip keyring "${path}": ${reason}`,
    hint: () => 'the file is a JSON array of base64 keys, the primary key first; repair it or remove it',
  },
  GOSSIP_DATA_DIR: {
    status: 500,
    message: ({ path, reason }: { path: string; reason: string }) => `Keep gossip files in "${path}": ${reason}`,
    hint: () => 'give the user of this process write access, or choose another data_dir',
  },
  GOSSIP_BIND: {
    status: 500,
    message: ({ pool, address, reason }: { pool: string; address: string; reason: string }) =>
      `Listen for ${pool} gossip on "${address}": ${reason}`,
    hint: ({ pool }: { pool: string; address: string; reason: string }) =>
      `choose another address or port: ports.serf_${pool.toLowerCase()}, bind_addr`,
  },
  GOSSIP_ADVERTISE: {
    status: 500,
    message: ({ pool, address }: { pool: string; address: string }) =>
      `Advertise ${pool} gossip address "${address}": not an IP address that others can reach`,
    hint: () => 'set advertise_addr to an address of this machine',
  },
  GOSSIP_UNKNOWN_NODE: {
    status: 500,
    message: ({ name }: { name: string }) => `No node found with name '${name}'`,
  },
  GOSSIP_TAGS_TOO_LONG: {
    status: 400,
    message: ({ bytes, limit }: { bytes: number; limit: number }) =>
      `Encoded length of tags exceeds limit of ${limit} bytes: ${bytes} bytes`,
  },
  GOSSIP_EVENT_TOO_LARGE: {
    status: 400,
    message: ({ limit }: { limit: number }) => `user event exceeds sane limit of ${limit} bytes before encoding`,
  },
  GOSSIP_QUERY_TOO_LARGE: {
    status: 400,
    message: ({ limit }: { limit: number }) => `query exceeds limit of ${limit} bytes`,
  },
  GOSSIP_STOPPED: {
    status: 500,
    message: ({ reason }: { reason: string }) => `Gossip has stopped: ${reason}`,
  },
})
