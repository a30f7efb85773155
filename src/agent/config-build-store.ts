/**
 * The store's settings: which engine, and how etcd is reached or run; and what of them contradicts itself.
 */
import type { TreeReader } from './config-read.ts'
import type { StoreConfig } from './config-runtime.ts'

/** etcd's own default ports. */
const CLIENT_PORT = 2379
const PEER_PORT = 2380

/** What is wrong with the store's settings, as (setting, reason). */
export type StoreProblem = (setting: string, reason: string) => void

export function buildStore(reader: TreeReader, datacenter: string): StoreConfig {
  const text = (key: string) => reader.string(`store.etcd.${key}`, '')
  const endpoints = reader.strings('store.etcd.endpoints')
  const several = reader.number('bootstrap_expect', 0) > 1
  const engine = reader.string('store.engine', endpoints.length > 0 || several ? 'etcd' : 'sqlite')
  if (engine !== 'etcd') return { kind: 'sqlite' }
  const prefix = reader.string('store.etcd.prefix', `hanse/${datacenter}/`)
  if (endpoints.length > 0) {
    const files = { caFile: text('ca_file'), certFile: text('cert_file'), keyFile: text('key_file') }
    return { kind: 'named-etcd', endpoints, prefix, ...files, serverName: text('server_name') }
  }
  return {
    kind: 'own-etcd',
    prefix,
    binary: reader.string('store.etcd.binary', 'etcd'),
    advertiseHost: text('advertise_host'),
    clientPort: reader.number('store.etcd.client_port', CLIENT_PORT),
    peerPort: reader.number('store.etcd.peer_port', PEER_PORT),
  }
}

/** @param expect - `bootstrap_expect` as it was given */
export function validateStore(reader: TreeReader, dev: boolean, expect: number, problem: StoreProblem): void {
  const engine = reader.string('store.engine')
  if (engine !== undefined && engine !== 'sqlite' && engine !== 'etcd') {
    problem('store.engine', `"${engine}" is neither "sqlite" nor "etcd"`)
    return
  }
  const endpoints = reader.strings('store.etcd.endpoints')
  if (engine === 'sqlite' && (endpoints.length > 0 || expect > 1)) {
    problem('store.engine', 'sqlite keeps the data of one server: several share an etcd')
  }
  if (dev && (engine === 'etcd' || endpoints.length > 0)) problem('store.engine', 'with -dev the data is in memory')
  for (const endpoint of endpoints) {
    if (!isEndpoint(endpoint))
      problem('store.etcd.endpoints', `"${endpoint}" is no URL such as "https://10.0.0.1:2379"`)
  }
  const has = (key: string) => reader.string(`store.etcd.${key}`, '') !== ''
  if (has('cert_file') !== has('key_file')) problem('store.etcd.cert_file', 'certificate and key belong together')
  if (endpoints.length > 0 && endpoints.some((each) => each.startsWith('http:')) && has('cert_file')) {
    problem('store.etcd.endpoints', 'certificates are used with "https:" only')
  }
  const prefix = reader.string('store.etcd.prefix')
  if (prefix !== undefined && !/^[^/\0].*\/$/.test(prefix)) {
    problem('store.etcd.prefix', `"${prefix}" must end with a slash and not begin with one`)
  }
  for (const key of ['client_port', 'peer_port']) {
    const port = reader.number(`store.etcd.${key}`, CLIENT_PORT)
    if (port < 1 || port > 65_535) problem(`store.etcd.${key}`, `${port} is no port`)
  }
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.port !== '' && url.pathname === '/' && url.search === ''
}
