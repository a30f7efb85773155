/**
 * Calls that another datacenter does: sent there as bytes, with the text of its errors kept.
 *
 * Source: RPC wire notes §6 to §9.
 */
import { codeOf, messageOf } from '#base'
import { ACLTokenGetRequest, ACLTokenResponse, decode, encode, type Struct } from '#codec'
import { remoteCode } from './addressing.ts'
import { endpointError } from './errors.ts'
import type { Route, WireCall } from './operation.ts'
import type { ForwardRequest, Router } from './ports.ts'
import { forwardedWait, type Waits } from './waits.ts'

/** Added to the error of another datacenter, once per hop. */
const HOP_PREFIX = 'rpc error making call: '

/** What the primary is asked about a token that is not here. */
const TOKEN_READ: WireCall<ACLTokenGetRequest, ACLTokenResponse> = {
  name: 'ACL.TokenRead',
  args: ACLTokenGetRequest,
  reply: ACLTokenResponse,
}
const TOKEN_READ_TIMEOUT_MS = 10_000

/** What sending an operation on looks at. */
export interface Forwarded<A> {
  readonly name: string
  readonly access: string
  readonly args: Struct<A>
  readonly route?: Route<A>
}

export class Forwarder {
  readonly #router: Router
  readonly #waits: Waits

  constructor(router: Router, waits: Waits) {
    this.#router = router
    this.#waits = waits
  }

  /** A call that the primary answers about a token that is not here. */
  askAboutToken(secret: string, primaryDatacenter: string): Promise<ACLTokenResponse> {
    const args = ACLTokenGetRequest.of({
      Datacenter: primaryDatacenter,
      TokenID: secret,
      TokenIDType: 'secret',
      Expanded: true,
      AllowStale: true,
    })
    return this.ask(TOKEN_READ, args, { datacenter: primaryDatacenter, timeoutMs: TOKEN_READ_TIMEOUT_MS })
  }

  async ask<A, R>(
    { name, args: shape, reply }: WireCall<A, R>,
    args: A,
    to: { datacenter: string; timeoutMs: number },
    signal?: AbortSignal,
  ): Promise<R> {
    const request = { ...to, method: name, body: encode(shape, args), ...(signal && { signal }) }
    return decode(reply, await this.#send(request))
  }

  /**
   * An operation, as the caller asked for it.
   *
   * @param args - with the token that may leave this datacenter
   * @returns the encoded reply
   */
  forward<A extends object>(
    operation: Forwarded<A>,
    args: A,
    datacenter: string,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    const { args: asked, timeoutMs } = forwardedWait(this.#waits, args)
    const there = operation.route?.with(asked, datacenter) ?? { ...asked, Datacenter: datacenter }
    const body = encode(operation.args, there)
    const repeatable = operation.access === 'read'
    return this.#send({ datacenter, method: operation.name, body, timeoutMs, repeatable, ...(signal && { signal }) })
  }

  /** To another datacenter; the text of its error gets the prefix of a hop. */
  async #send(request: ForwardRequest): Promise<Buffer> {
    try {
      return await this.#router.forward(request)
    } catch (error) {
      if (codeOf(error) !== 'RPC_REMOTE') throw error
      const text = HOP_PREFIX + messageOf(error)
      throw endpointError(remoteCode(text), { text }, error)
    }
  }
}
