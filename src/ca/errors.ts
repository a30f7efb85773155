/**
 * What can go wrong around the certificate authority. Texts that Consul's clients match on are byte for byte the
 * recorded ones; no message holds a private key.
 */
import { errorTable } from '#base'

type None = Record<never, never>

export const caError = errorTable({
  CA_NOT_SPIFFE: { status: 500, message: (_facts: { uri: string }) => "SPIFFE ID must have 'spiffe' scheme" },
  CA_BAD_SPIFFE_ID: {
    status: 500,
    message: ({ uri, reason }: { uri: string; reason: string }) => `cannot read SPIFFE ID "${uri}": ${reason}`,
  },
  CA_CSR_KIND: { status: 500, message: (_facts: None) => 'URI must be either service, agent, server, or kind' },
  CA_CSR_NAMES: {
    status: 500,
    message: ({ reason }: { reason: string }) =>
      `cannot sign CSR: it must ask for exactly one name, a URI, but ${reason}`,
  },
  CA_CSR_TRUST_DOMAIN: {
    status: 500,
    message: ({ asked, ours }: { asked: string; ours: string }) =>
      `SPIFFE ID in CSR from a different trust domain: ${asked}, we are ${ours}`,
  },
  CA_CSR_DATACENTER: {
    status: 500,
    message: ({ asked, ours }: { asked: string; ours: string }) =>
      `SPIFFE ID in CSR from a different datacenter: ${asked}, we are ${ours}`,
    hint: () => 'leaf certificates are signed in the datacenter of the service',
  },
  CA_CSR_NAMESPACE: {
    status: 500,
    message: ({ uri }: { uri: string }) => `cannot sign CSR for "${uri}": only namespace and partition "default" exist`,
  },
  CA_CSR_AUTHORITY: {
    status: 500,
    message: ({ uri, wanted }: { uri: string; wanted: string }) =>
      `cannot sign CSR for "${uri}": it must ask for ${wanted}`,
  },
  CA_RATE_LIMITED: {
    status: 429,
    message: (_facts: None) => 'Rate limit reached, try again later',
    hint: () => 'raise CSRMaxPerSecond with: hanse connect ca set-config',
  },
  CA_NOT_READY: {
    status: 500,
    message: (_facts: None) => 'CA has not finished initializing',
    hint: () =>
      'see `hanse federation status`: a secondary needs its primary and a replication token with operator:write',
  },
  CA_NOT_PRIMARY: { status: 500, message: (_facts: None) => 'not the primary datacenter' },
  CA_UNKNOWN_PROVIDER: {
    status: 500,
    message: ({ provider }: { provider: string }) => `could not initialize provider: unknown CA provider "${provider}"`,
    hint: () => 'the built-in provider is called "consul"',
  },
  CA_BAD_CONFIG: {
    status: 500,
    message: ({ reason }: { reason: string }) => `error configuring provider: ${reason}`,
  },
  CA_BUSY: {
    status: 500,
    message: (_facts: None) => 'cannot change CA configuration: another change is not finished',
  },
  CA_TOO_MANY_ROOTS: {
    status: 500,
    message: ({ limit }: { limit: number }) => `cannot rotate the root certificate: ${limit} roots are still trusted`,
    hint: () => 'roots are removed when twice the leaf TTL has passed since they were rotated out',
  },
  CA_NO_KEY: {
    status: 500,
    message: ({ reason }: { reason: string }) => `cannot make a private key for the CA: ${reason}`,
  },
  CA_TOO_MANY_LEAFS: {
    status: 429,
    message: ({ limit }: { limit: number }) => `cannot keep another leaf certificate: this agent keeps ${limit}`,
  },
  CA_BAD_STATE: {
    status: 500,
    message: ({ reason }: { reason: string }) => `cannot read the CA's stored state: ${reason}`,
    hint: () => 'restore a snapshot, or set a new root with: hanse connect ca set-config',
  },
})
