/**
 * What can go wrong in a gateway. Errors of single connections are counted and logged; they reach no caller.
 */
import { errorTable } from '#base'

export const proxyError = errorTable({
  GATEWAY_TOO_MANY_ROUTES: {
    status: 500,
    message: ({ routes, limit }: { routes: number; limit: number }) =>
      `cannot use route table: ${routes} routes, the limit is ${limit}`,
  },
  GATEWAY_NO_ENDPOINT: {
    status: 502,
    message: ({ sni, tried, reason }: { sni: string; tried: readonly string[]; reason: string }) =>
      `cannot pass connection for "${sni}" on: ${tried.length === 0 ? 'no endpoint known' : `tried ${tried.join(', ')}: ${reason}`}`,
  },
  GATEWAY_SERVER_ANSWER: {
    status: 500,
    message: ({ address }: { address: string }) => `Ask "${address}" for its datacenter: the answer names none`,
    hint: () => 'what listens there may be no Hanse server: compare -http-addr',
  },
  SIDECAR_NOT_READY: {
    status: 500,
    message: (_: Record<never, never>) => 'Pass connection on: the sidecar has no configuration yet',
  },
  SIDECAR_NO_ENDPOINT: {
    status: 502,
    message: ({ upstream, reason }: { upstream: string; reason: string }) =>
      `Connect to upstream "${upstream}": ${reason}`,
    hint: () => 'see which instances are healthy: hanse catalog nodes -service NAME -datacenter DC',
  },
  SIDECAR_WRONG_IDENTITY: {
    status: 502,
    message: ({ address, identity, wanted }: { address: string; identity: string; wanted: readonly string[] }) =>
      `Connect to "${address}": its certificate is of "${identity}": wanted ${wanted.join(' or ')}`,
  },
})
