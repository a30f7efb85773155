/**
 * Waiting for the other servers until there is an etcd to found with them or to join.
 */
import type { Clock, Logger, Random } from '#base'
import { type Decision, type Founder, Founding } from './etcd-founding.ts'
import type { EtcdStanding } from './etcd-standing.ts'

/** How long the LAN pool may be silent before it is looked at again. */
const LOOK_MS = 1_000
/** How often those who wait for other servers are told for whom. */
const SAY_MS = 10_000
const NONCE_BYTES = 6

export interface AgreementModules {
  readonly standing: EtcdStanding
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * Says how we stand, until there is an etcd to found or to join.
 *
 * @param expect - servers that found it together; 0: only joins
 * @throws the reason of the signal
 */
export async function agree(
  self: Founder,
  expect: number,
  { standing, clock, random, log, signal }: AgreementModules,
): Promise<Exclude<Decision, { kind: 'wait' }>> {
  const founding = new Founding(self, expect, () => random.bytes(NONCE_BYTES).toString('hex'))
  let toldMs = -SAY_MS
  for (;;) {
    const decision = founding.decide(standing.others())
    if (decision.kind !== 'wait') return decision
    const { says, present, gone } = decision
    await standing.say('waiting', founding.nonce, says)
    if (clock.nowMs() - toldMs >= SAY_MS) {
      toldMs = clock.nowMs()
      if (gone.length > 0) {
        log.warn(
          'waiting for servers that may have founded etcd before they went; restart this one if they never return',
          {
            servers: gone.join(','),
          },
        )
      } else if (expect === 0) log.info('waiting for a server that is a member of etcd, to join it', { present })
      else log.info('waiting for other servers, to found etcd with them', { present, expect })
    }
    await standing.changed(LOOK_MS, signal)
  }
}
