/**
 * The versions Hanse speaks of: its own, and the Consul version whose interfaces it serves.
 *
 * Peers gate features on the Consul one (a `build` tag that parses as a version of at least 1.6.0), tools parse it.
 */

export const HANSE_VERSION = '0.1.0'

/** The version in the `build` tag, `Consul-Version` and /v1/agent/self. */
export const CONSUL_VERSION = '1.21.0'

/** Server RPC protocol spoken and understood (`vsn`, `vsn_min`, `vsn_max`). */
export const PROTOCOL_VERSION = { current: 2, min: 2, max: 3 } as const

/** The build date that Consul's tools parse; a build from source says this one. */
export const BUILD_DATE = '1970-01-01T00:00:01Z'
