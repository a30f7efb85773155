/**
 * What the victims of kills write to: a directory for the embedded engine, or a prefix in etcd for one of its servers.
 *
 * Arguments: `DIRECTORY`, or `PREFIX SERVER ENDPOINT…`.
 */
import { silentLogger, systemClock, systemRandom } from '#base'
import type { Engine } from './engine.ts'
import { openEtcd } from './etcd/engine.ts'
import { openSqlite } from './sqlite-engine.ts'

const KEEP_ALIVE_MS = 60_000

export function openVictim(args: readonly string[]): Promise<Engine> {
  const [place = '', writer, ...endpoints] = args
  if (writer === undefined) return openSqlite({ directory: place })
  // The engine's own timers keep no process alive, and between two attempts there is no socket that does.
  setInterval(() => {}, KEEP_ALIVE_MS)
  return openEtcd({
    endpoints,
    identity: () => undefined,
    datacenter: 'dc1',
    prefix: place,
    writer,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  })
}
