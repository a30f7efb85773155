/**
 * Errors of the store: transactions it refuses, data directories it will not open, engines that have failed.
 *
 * Messages name the path and what was found there; the hint says how to get on. Values and keys never appear in them:
 * a value may be a secret.
 */
import { errorTable, HanseError } from '#base'

/** What the engine's thread can report about a place on disk. */
type PlaceFacts = { path: string; reason: string }

const RESTORE = 'Move the directory aside and start with an empty one, then restore the last snapshot'

export const storeError = errorTable({
  STORE_BUSY: {
    status: 429,
    message: (facts: { queued: number; limit: number; unit: string }) =>
      `Cannot queue transaction: ${facts.queued} ${facts.unit} are waiting and the limit is ${facts.limit}`,
    hint: () => 'Write more slowly, or use a faster disk',
  },
  STORE_CONTENDED: {
    status: 429,
    message: (facts: { seconds: number }) =>
      `Cannot commit transaction: it has too many keys to be compared one by one, and other servers wrote all the time for ${facts.seconds} s`,
    hint: () => 'Nothing was written: try again, or split it into transactions of at most 127 keys',
  },
  STORE_TRANSACTION_TOO_LARGE: {
    status: 413,
    message: (facts: { what: string; count: number; limit: number }) =>
      `Cannot commit transaction: it has ${facts.count} ${facts.what} and the limit is ${facts.limit}`,
    hint: () => 'Split it into several transactions',
  },
  STORE_TRANSACTION_INVALID: {
    status: 400,
    message: (facts: { reason: string }) => `Cannot commit transaction: ${facts.reason}`,
  },
  STORE_HISTORY_GONE: {
    status: 500,
    message: (facts: { after: number; from: number; to: number }) =>
      `Cannot follow changes after revision ${facts.after}: revisions ${facts.from} to ${facts.to} are kept`,
    hint: () => 'Load the whole state again',
  },
  STORE_REPLACED: {
    status: 503,
    message: (facts: { revision: number }) =>
      `Cannot go on with the store: everything in it was replaced at revision ${facts.revision}, as by a restore`,
    hint: () => 'Try again: nothing was written',
  },
  STORE_CLOSED: {
    status: 500,
    message: (facts: { path: string }) => `Cannot use store "${facts.path}": it is closed`,
  },
  STORE_LOCKED: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot open store "${facts.path}": it is in use by ${facts.reason}`,
    hint: () => 'Stop that process, or choose another data directory',
  },
  STORE_UNWRITABLE: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot write data directory "${facts.path}": ${facts.reason}`,
    hint: () => 'Give this user write access to the directory, or choose another one',
  },
  STORE_FOREIGN: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot open store "${facts.path}": ${facts.reason}; nothing was changed`,
    hint: ({ path }: PlaceFacts) =>
      /^https?:/.test(path)
        ? 'Set store.etcd.prefix or store.etcd.endpoints to what is of this datacenter'
        : 'Choose another data directory, or move this file away',
  },
  STORE_CORRUPT: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot read store "${facts.path}": it is damaged, ${facts.reason}`,
    hint: () => RESTORE,
  },
  STORE_VERSION: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot open store "${facts.path}": ${facts.reason}; nothing was changed`,
    hint: () => 'Start the version of Hanse that wrote it, or a newer one',
  },
  STORE_FULL: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot write store "${facts.path}": no space is left, ${facts.reason}`,
    hint: () => 'Free space on the disk or raise the size limit; reads go on, and writes as soon as there is space',
  },
  STORE_FAILED: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot write store "${facts.path}": ${facts.reason}`,
    hint: () => 'Check the disk, then restart; reads go on until then, and nothing that was answered is lost',
  },
  STORE_UNREACHABLE: {
    status: 500,
    message: (facts: PlaceFacts) => `No cluster leader: etcd "${facts.path}" does not answer: ${facts.reason}`,
    hint: () =>
      'See that most of its members run and reach each other; reads go on from memory, and writes once it answers',
  },
  STORE_REFUSED: {
    status: 500,
    message: (facts: PlaceFacts) => `Cannot use etcd "${facts.path}": it refuses: ${facts.reason}`,
    hint: () => 'Give this server the rights to read and write below its prefix, with a certificate that etcd trusts',
  },
  STORE_OTHER_ETCD: {
    status: 500,
    message: (facts: PlaceFacts) =>
      `Cannot use etcd "${facts.path}": it is not the one that this server has its data from: ${facts.reason}`,
    hint: () =>
      'Point it at its own etcd again; if that was emptied or set back on purpose, restart the servers. Reads go on from memory',
  },
  STORE_WRITER_CLASH: {
    status: 500,
    message: (facts: { path: string; writer: string }) =>
      `Cannot write store "${facts.path}": another process writes as server "${facts.writer}"`,
    hint: () => 'Give every server a data directory and a node ID of its own, and start this one again',
  },
  ETCD_NOT_FOUND: {
    status: 500,
    message: (facts: { binary: string; reason: string }) => `Cannot run etcd "${facts.binary}": ${facts.reason}`,
    hint: () => 'Install etcd 3.4 or newer, set store.etcd.binary to its path, or name an etcd by store.etcd.endpoints',
  },
  ETCD_TOO_OLD: {
    status: 500,
    message: (facts: { binary: string; version: string; least: string }) =>
      `Cannot use etcd "${facts.binary}": it is version ${facts.version}, at least ${facts.least} is needed`,
    hint: () => 'Install a newer etcd, or set store.etcd.binary to one',
  },
  ETCD_ENDS: {
    status: 500,
    message: (facts: { binary: string; deaths: number; last: string }) =>
      `Cannot run etcd "${facts.binary}": it has ended ${facts.deaths} times, and never worked: ${facts.last}`,
    hint: () => 'See what it says; often its ports (store.etcd.client_port, peer_port) are in use',
  },
  STORE_LEASE_LOST: {
    status: 500,
    message: (facts: { name: string; reason: string }) => `Lost duty "${facts.name}": ${facts.reason}`,
  },
})

/** Codes that say something about a place on disk; all share the facts `path` and `reason`. */
export const PLACE_CODES = [
  'STORE_LOCKED',
  'STORE_UNWRITABLE',
  'STORE_FOREIGN',
  'STORE_CORRUPT',
  'STORE_VERSION',
  'STORE_FULL',
  'STORE_FAILED',
] as const
export type PlaceCode = (typeof PLACE_CODES)[number]

export function isOfPlace(error: unknown): error is HanseError {
  return error instanceof HanseError && PLACE_CODES.some((code) => code === error.code)
}
