/**
 * The store's settings: which engine, and how etcd is reached or run; and what of them contradicts itself.
 */
import { isIP } from 'node:net'
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
    founders: foundersOf(reader),
    advertiseHost: text('advertise_host'),
    clientPort: reader.number('store.etcd.client_port', CLIENT_PORT),
    peerPort: reader.number('store.etcd.peer_port', PEER_PORT),
  }
}

/** A server that is told of others and not how many there should be comes later: it founds nothing. */
function foundersOf(reader: TreeReader): number {
  const expect = reader.number('bootstrap_expect', reader.bool('bootstrap', false) ? 1 : 0)
  const told = ['retry_join', 'start_join'].some((key) => reader.strings(key).length > 0)
  return expect === 0 && !told ? 1 : expect
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
    if (isEndpoint(endpoint)) continue
    problem('store.etcd.endpoints', `"${withoutSecrets(endpoint)}" is no URL such as "https://10.0.0.1:2379"`)
  }
  validateFiles(reader, endpoints, problem)
  const prefix = reader.string('store.etcd.prefix')
  if (prefix !== undefined && !/^[^/\0].*\/$/.test(prefix)) {
    problem('store.etcd.prefix', `"${prefix}" must end with a slash and not begin with one`)
  }
  validateOwn(reader, problem)
}

/** Certificates for a named etcd; an own member has those of the server port. */
function validateFiles(reader: TreeReader, endpoints: readonly string[], problem: StoreProblem): void {
  const given = ['ca_file', 'cert_file', 'key_file', 'server_name'].filter(
    (key) => reader.string(`store.etcd.${key}`, '') !== '',
  )
  const [first] = given
  if (given.includes('cert_file') !== given.includes('key_file')) {
    problem('store.etcd.cert_file', 'certificate and key belong together')
  }
  const plain = endpoints.filter((each) => each.startsWith('http:')).length
  if (plain > 0 && plain < endpoints.length) {
    problem('store.etcd.endpoints', 'they begin all with "https:" or all with "http:"')
  } else if (plain > 0 && first !== undefined) {
    problem(`store.etcd.${first}`, 'certificates are used with "https:" only')
  } else if (endpoints.length === 0 && first !== undefined) {
    problem(`store.etcd.${first}`, 'it is for a named etcd (store.etcd.endpoints); an own one uses tls.internal_rpc')
  }
}

function validateOwn(reader: TreeReader, problem: StoreProblem): void {
  const portOf = (key: string, otherwise: number) => reader.number(`store.etcd.${key}`, otherwise)
  const ports = { client_port: portOf('client_port', CLIENT_PORT), peer_port: portOf('peer_port', PEER_PORT) }
  for (const [key, port] of Object.entries(ports)) {
    if (port < 1 || port > 65_535) problem(`store.etcd.${key}`, `${port} is no port`)
  }
  if (ports.client_port === ports.peer_port) {
    problem('store.etcd.peer_port', `${ports.peer_port} is the client_port as well`)
  }
  const host = reader.string('store.etcd.advertise_host', '')
  if (host !== '' && isIP(host) === 0 && !/^[a-z\d]([a-z\d.-]{0,251}[a-z\d])?$/i.test(host)) {
    problem('store.etcd.advertise_host', `"${host}" is neither an address nor a DNS name`)
  }
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.port === '') return false
  return url.pathname === '/' && url.search === '' && url.username === ''
}

/** What comes before an @ may be a password. */
function withoutSecrets(endpoint: string): string {
  return endpoint.replace(/[^/]*@/, '')
}
