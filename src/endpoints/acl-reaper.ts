/**
 * Removes tokens that have ended: they are refused from that moment on, and take no room a little later.
 *
 * Global ones are the primary's to remove; copies follow.
 */
import { isExpired } from '#acl'
import { type Clock, type Logger, messageOf } from '#base'
import type { State } from '#state'

const REAP_INTERVAL_MS = 5_000
/** Tokens removed in one transaction. */
const REAPED_AT_A_TIME = 48

/** @returns what stops it */
export function reapExpiredTokens(
  state: State,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  { primary }: { readonly primary: boolean },
): () => void {
  const reap = async () => {
    try {
      await state.write((tx) => {
        const ended = tx.aclTokens.all().filter((token) => (primary || token.Local) && isExpired(token, clock.wallMs()))
        for (const { AccessorID } of ended.slice(0, REAPED_AT_A_TIME)) tx.deleteAclToken(AccessorID)
      })
    } catch (error) {
      log.debug('expired tokens were not removed', { error: messageOf(error) })
    }
  }
  const timer = clock.every(REAP_INTERVAL_MS, () => void reap())
  return () => timer.cancel()
}
