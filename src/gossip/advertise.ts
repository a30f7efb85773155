/**
 * The address that others are told to reach us at.
 */
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { gossipError } from './errors.ts'

const WILDCARDS = new Set(['0.0.0.0', '::', ''])

/**
 * The configured address, else the bound one, else this machine's first address that is not loopback.
 *
 * @throws HanseError GOSSIP_ADVERTISE
 */
export function advertiseAddress(
  pool: string,
  { bindAddress, advertiseAddress: configured }: { bindAddress: string; advertiseAddress?: string },
): string {
  const wanted = configured ?? bindAddress
  if (!WILDCARDS.has(wanted)) {
    if (isIP(wanted) === 0) throw gossipError('GOSSIP_ADVERTISE', { pool, address: wanted })
    return wanted
  }
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const own = all.find((entry) => !entry.internal && entry.family === (wanted === '::' ? 'IPv6' : 'IPv4'))
  if (!own) throw gossipError('GOSSIP_ADVERTISE', { pool, address: wanted })
  return own.address
}
