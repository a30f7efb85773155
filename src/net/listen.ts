/**
 * Begins to listen, or says which address and which setting stood in the way.
 */
import { once } from 'node:events'
import type { Server } from 'node:net'
import { codeOf, formatHostPort, messageOf } from '#base'
import { netError } from './errors.ts'

export interface ListenOptions {
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
  /** The setting that chose the port, as the user wrote it. */
  readonly setting: string
}

/**
 * Resolves when `server` listens.
 *
 * @throws LISTEN_IN_USE, LISTEN_FAILED
 */
export async function listenOn(server: Server, { host, port, setting }: ListenOptions): Promise<void> {
  server.listen({ host, port })
  try {
    await once(server, 'listening')
  } catch (error) {
    const address = formatHostPort(host, port)
    if (codeOf(error) === 'EADDRINUSE') throw netError('LISTEN_IN_USE', { address, setting }, error)
    throw netError('LISTEN_FAILED', { address, setting, reason: messageOf(error) }, error)
  }
}

/** Where a server listens, with the port that the system chose for 0; undefined when it does not. */
export function listeningAddress(server: Server): { readonly host: string; readonly port: number } | undefined {
  const address = server.address()
  return address === null || typeof address === 'string' ? undefined : { host: address.address, port: address.port }
}
