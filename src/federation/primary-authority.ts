/**
 * What a secondary's certificate authority asks of the primary, through the gateways.
 */
import type { PrimaryAuthority } from '#ca'
import { CASignRequest, DCSpecificRequest } from '#codec'
import { connectCa, type Endpoints } from '#endpoints'

/** How long one question for the roots may wait for a change. */
const ROOTS_WAIT_NS = 600 * 1e9

/** @param token - the replication token as it is now; empty without ACLs */
export function primaryAuthority(
  endpoints: () => Endpoints,
  primaryDatacenter: string,
  token: () => string,
): PrimaryAuthority {
  return {
    roots: (minIndex, signal) =>
      endpoints().call(
        connectCa.roots,
        DCSpecificRequest.of({ Datacenter: primaryDatacenter, MinQueryIndex: minIndex, MaxQueryTime: ROOTS_WAIT_NS }),
        { signal },
      ),
    signIntermediate: (CSR) =>
      endpoints().call(
        connectCa.signIntermediate,
        CASignRequest.of({ Datacenter: primaryDatacenter, CSR, Token: token() }),
      ),
  }
}
