/**
 * What can be wrong with entries, intentions and chains. The texts are what clients and pages know: byte for byte.
 */
import { errorTable } from '#base'

export const meshError = errorTable({
  ENTRY_DECODE: {
    status: 400,
    message: ({ problem }: { problem: string }) => `Request decoding failed: ${problem}`,
    hint: () => 'compare the field names with the documentation of the kind',
  },
  ENTRY_KIND: {
    status: 500,
    message: ({ kind }: { kind: string }) => `invalid config entry kind: ${kind}`,
  },
  ENTRY_INVALID: {
    status: 500,
    message: ({ problem }: { problem: string; kind: string; name: string }) => problem,
  },
  OVERRIDE_INVALID: {
    status: 400,
    message: ({ parameter }: { parameter: string }) => `Invalid ${parameter} parameter`,
    hint: () => 'a gateway mode is "none", "local" or "remote"',
  },
  CHAIN_INVALID: {
    status: 500,
    message: ({ problem }: { problem: string; service: string }) => problem,
    hint: ({ service }: { problem: string; service: string }) =>
      `see what is configured for "${service}": hanse config list -kind service-resolver, service-splitter, service-router`,
  },
  CHAIN_TOO_LARGE: {
    status: 500,
    message: ({ service, what, limit }: { service: string; what: string; limit: number }) =>
      `Compile discovery chain "${service}": more than ${limit} ${what}`,
    hint: () => 'let fewer splitters lead to splitters',
  },
  INTENTION_INVALID: {
    status: 500,
    message: ({ problem }: { problem: string }) => problem,
  },
  INTENTION_NOT_FOUND: { status: 404, message: () => 'Intention not found' },
  SNAPSHOT_INCOMPLETE: {
    status: 500,
    message: ({ proxy, what }: { proxy: string; what: string }) => `Build snapshot of proxy "${proxy}": ${what}`,
    hint: () => 'see what is registered: hanse catalog services -tags, /v1/agent/service/<id>',
  },
})
