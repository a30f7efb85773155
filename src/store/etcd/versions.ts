/** Versions of etcd that lose what they answered, so that a server can warn of them. Pure. */

/** What is the matter with a version; undefined for one that may be used. */
export function knownFault(version: string): string | undefined {
  // etcd.io, "v3.5 data corruption": fixed in 3.5.3.
  if (!/^3\.5\.[012](?:$|[^0-9])/.test(version)) return undefined
  return `etcd ${version} may lose what it has answered when it is killed while it writes: use 3.5.3 or newer`
}
