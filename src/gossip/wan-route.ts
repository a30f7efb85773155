/**
 * Which way a WAN message goes: members of our own datacenter are reached directly, others through gateways by name.
 *
 * Source: gossip wire notes §15; federation wire notes §4.
 */
import type { Destination } from './effects.ts'

export type Route =
  | { readonly kind: 'direct' }
  | { readonly kind: 'carried'; readonly node: string; readonly datacenter: string }
  | { readonly kind: 'none'; readonly reason: string }

/** The two parts of a WAN name `<node>.<dc>`; undefined for any other name. */
export function splitWanName(name: string): { node: string; datacenter: string } | undefined {
  const parts = name.split('.')
  const [node = '', datacenter = ''] = parts
  return parts.length === 2 && node !== '' && datacenter !== '' ? { node, datacenter } : undefined
}

/** @param carried - whether gateways carry what goes to other datacenters */
export function wanRoute(to: Destination, ourDatacenter: string, carried: boolean): Route {
  if (!carried) return { kind: 'direct' }
  const name = splitWanName(to.name)
  if (!name) {
    // Without a name only an address that a datagram came from is left, and that is in our own datacenter.
    if (to.name === '' && to.address !== '') return { kind: 'direct' }
    return { kind: 'none', reason: `the name '${to.name}' is not of the form <node>.<datacenter>` }
  }
  return name.datacenter === ourDatacenter ? { kind: 'direct' } : { kind: 'carried', ...name }
}
