/**
 * Finds servers that say they are of our datacenter and are not: members of the WAN pool under our datacenter's name that
 * our LAN pool does not know. That is what two datacenters with one name look like.
 */
import type { Member } from './api.ts'
import { splitWanName } from './wan-route.ts'

/** WAN members of `datacenter` that have no counterpart in its LAN. */
export function foreignNamesakes(
  wan: readonly Member[],
  lan: readonly Member[],
  datacenter: string,
): readonly Member[] {
  const local = new Map(lan.map((member) => [member.name, member]))
  return wan.filter((member) => {
    const name = splitWanName(member.name)
    if (name?.datacenter !== datacenter || member.status !== 'alive') return false
    const twin = local.get(name.node)
    return twin === undefined || (twin.tags['id'] ?? '') !== (member.tags['id'] ?? '')
  })
}
