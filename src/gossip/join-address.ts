/**
 * Join addresses as users write them: "host", "host:port", "name/host:port".
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { parseHostPort } from '#base'
import type { Destination } from './effects.ts'

/** Most addresses that one host name may stand for. */
export const MAX_ADDRESSES_PER_NAME = 64

/** Splits an address; undefined when it is none. */
export function parseJoinAddress(text: string, defaultPort: number): Destination | undefined {
  const slash = text.indexOf('/')
  const at = parseHostPort(text.slice(slash + 1), defaultPort)
  return at && { name: slash < 0 ? '' : text.slice(0, slash), address: at.host, port: at.port }
}

/** Every IP address that a join address stands for. Rejects with the resolver's error. */
export async function resolveJoinAddress(text: string, defaultPort: number): Promise<readonly Destination[]> {
  const parsed = parseJoinAddress(text, defaultPort)
  if (!parsed) throw new Error('not an address of the form host:port')
  if (isIP(parsed.address) !== 0) return [parsed]
  const found = await lookup(parsed.address, { all: true })
  return found.slice(0, MAX_ADDRESSES_PER_NAME).map(({ address }) => ({ ...parsed, address }))
}
