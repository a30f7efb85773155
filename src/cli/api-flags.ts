/**
 * Flags and environment that every command that talks to an agent has, and the client made of them.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '#base'
import { HttpClient } from '#client'
import type { CommandContext, FlagSpecs, Flags } from './command.ts'
import { cliError } from './errors.ts'

export const DEFAULT_HTTP_ADDRESS = '127.0.0.1:8500'

export const CLIENT_FLAGS: FlagSpecs = {
  'http-addr': {
    kind: 'string',
    value: 'address',
    help: 'Address of the agent (CONSUL_HTTP_ADDR), default 127.0.0.1:8500',
  },
  token: { kind: 'string', value: 'token', help: 'ACL token (CONSUL_HTTP_TOKEN)' },
  'token-file': { kind: 'string', value: 'file', help: 'File that holds the ACL token (CONSUL_HTTP_TOKEN_FILE)' },
  'ca-file': { kind: 'string', value: 'file', help: 'CA that signed the agent’s certificate (CONSUL_CACERT)' },
  'ca-path': { kind: 'string', value: 'directory', help: 'Directory of such CAs (CONSUL_CAPATH)' },
  'client-cert': { kind: 'string', value: 'file', help: 'Certificate to show to the agent (CONSUL_CLIENT_CERT)' },
  'client-key': { kind: 'string', value: 'file', help: 'Its key (CONSUL_CLIENT_KEY)' },
  'tls-server-name': {
    kind: 'string',
    value: 'name',
    help: 'Name in the agent’s certificate (CONSUL_TLS_SERVER_NAME)',
  },
}

export const SERVER_FLAGS: FlagSpecs = {
  datacenter: { kind: 'string', value: 'name', help: 'Datacenter to ask, default that of the agent' },
  stale: { kind: 'bool', help: 'Any server may answer' },
}

export const API_FLAGS: FlagSpecs = { ...CLIENT_FLAGS, ...SERVER_FLAGS }

/** @throws FILE_UNREADABLE */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw cliError('FILE_UNREADABLE', { path, reason: messageOf(error) }, error)
  }
}

/** All certificates of a directory, as one text. @throws FILE_UNREADABLE */
function readCaDirectory(path: string): string {
  let names: string[]
  try {
    names = readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => entry.name)
  } catch (error) {
    throw cliError('FILE_UNREADABLE', { path, reason: messageOf(error) }, error)
  }
  return names
    .sort()
    .map((name) => readTextFile(join(path, name)))
    .join('\n')
}

/** The client of the agent that flags and environment name. @throws FILE_UNREADABLE, ADDRESS_INVALID */
export function apiClient({ flags, env }: { readonly flags: Flags; readonly env: CommandContext['env'] }): HttpClient {
  const pick = (flag: string, variable: string) => flags.string(flag) ?? (env[variable] || undefined)
  const file = (flag: string, variable: string) => {
    const path = pick(flag, variable)
    return path === undefined ? undefined : readTextFile(path)
  }
  const address = pick('http-addr', 'CONSUL_HTTP_ADDR') ?? DEFAULT_HTTP_ADDRESS
  const secure = /^(1|t|true)$/i.test(env.CONSUL_HTTP_SSL ?? '') && !address.includes('://')
  const token = file('token-file', 'CONSUL_HTTP_TOKEN_FILE')?.trim() ?? pick('token', 'CONSUL_HTTP_TOKEN')
  const caPath = pick('ca-path', 'CONSUL_CAPATH')
  const caPem = file('ca-file', 'CONSUL_CACERT') ?? (caPath === undefined ? undefined : readCaDirectory(caPath))
  const certPem = file('client-cert', 'CONSUL_CLIENT_CERT')
  const keyPem = file('client-key', 'CONSUL_CLIENT_KEY')
  const serverName = pick('tls-server-name', 'CONSUL_TLS_SERVER_NAME')
  const datacenter = flags.string('datacenter')
  return new HttpClient({
    address: secure ? `https://${address}` : address,
    ...(token === undefined ? {} : { token }),
    ...(datacenter === undefined ? {} : { datacenter }),
    stale: flags.bool('stale'),
    tls: {
      verify: !/^(0|f|false)$/i.test(env.CONSUL_HTTP_SSL_VERIFY ?? ''),
      ...(caPem === undefined ? {} : { caPem }),
      ...(certPem === undefined ? {} : { certPem }),
      ...(keyPem === undefined ? {} : { keyPem }),
      ...(serverName === undefined ? {} : { serverName }),
    },
  })
}
