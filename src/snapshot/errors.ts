/**
 * Errors of snapshots: files that are none, that are cut or altered, or that this version may not restore.
 */
import { errorTable } from '#base'

export const snapshotError = errorTable({
  /** The text that Consul's users know for what is no gzip. */
  SNAPSHOT_NO_ARCHIVE: {
    status: 500,
    message: (_: Record<never, never>) => 'failed to decompress snapshot: gzip: invalid header',
    hint: () => 'Name a file that `hanse snapshot save` wrote',
  },
  SNAPSHOT_DAMAGED: {
    status: 400,
    message: ({ reason }: { reason: string }) => `Cannot read snapshot: it is damaged, ${reason}`,
    hint: () => 'Nothing was changed; use another snapshot, or copy this one again',
  },
  SNAPSHOT_FOREIGN: {
    status: 400,
    message: ({ reason }: { reason: string }) => `Cannot read snapshot: it was not made by Hanse, ${reason}`,
    hint: () => 'Move a Consul datacenter by registering its services and `hanse kv export`, `hanse kv import`',
  },
  SNAPSHOT_NEWER: {
    status: 400,
    message: ({ what, found, known }: { what: string; found: number; known: number }) =>
      `Cannot read snapshot: it has ${what} ${found} and this version of Hanse knows ${known}`,
    hint: () => 'Use the version of Hanse that made it, or a newer one',
  },
  SNAPSHOT_TOO_LARGE: {
    status: 413,
    message: ({ what, limitBytes }: { what: string; limitBytes: number }) =>
      `Cannot use snapshot: ${what} has more than ${limitBytes} bytes, which is the limit`,
  },
  SNAPSHOT_OF_ANOTHER_DATACENTER: {
    status: 400,
    message: ({ found, datacenter }: { found: string; datacenter: string }) =>
      `Cannot restore snapshot: it is of datacenter "${found}" and this is "${datacenter}"`,
    hint: ({ found }: { found: string; datacenter: string }) =>
      `Restore it in "${found}" (-datacenter), or name this datacenter so`,
  },
  SNAPSHOT_UNREADABLE: {
    status: 400,
    message: ({ reason }: { reason: string }) => `Cannot restore snapshot: ${reason}`,
    hint: () => 'Nothing was changed; the version of Hanse that made it can restore it',
  },
  SNAPSHOT_BUSY: {
    status: 429,
    message: ({ limit }: { limit: number }) =>
      `Cannot begin snapshot: ${limit} are being saved or restored already, which is the limit`,
    hint: () => 'Try again when they are done',
  },
  SNAPSHOT_NO_SPACE: {
    status: 500,
    message: ({ directory, reason }: { directory: string; reason: string }) =>
      `Cannot keep snapshot in "${directory}" while it is checked: ${reason}`,
    hint: () => 'Free space on the disk of the data directory',
  },
})
