/**
 * `hanse tls cert create`: a certificate for a server, a client or the command line, signed by the CA.
 *
 * Names in the certificates are those that servers look for in each other's: `server.<datacenter>.<domain>`.
 *
 * Source: RPC wire notes §2.
 */
import { existsSync } from 'node:fs'
import { messageOf } from '#base'
import { CERTIFICATE_DAYS_DEFAULT, type CertificateOptions, createCertificate } from '#codec'
import { readTextFile } from './api-flags.ts'
import type { Command, Flags } from './command.ts'
import { cliError } from './errors.ts'
import { type PemPaths, refuseExisting, writePair } from './pem-files.ts'
import { checkFileName } from './tls-ca-create.ts'

const DATACENTER_DEFAULT = 'dc1'
const DOMAIN_DEFAULT = 'consul'
/** Certificates of one kind are numbered up to here. */
const MAX_NUMBER = 10_000
const KINDS = ['server', 'client', 'cli'] as const
type CertificateKind = (typeof KINDS)[number]

const SERVER_WARNING = `==> WARNING: Server Certificates grants authority to become a
    server and access all state in the cluster including root keys
    and all ACL tokens. Do not distribute them to production hosts
    that are not server nodes. Store them as securely as CA keys.`

/** @throws ARGUMENTS when none or several are asked for */
function kindOf(flags: Flags): CertificateKind {
  const asked = KINDS.filter((kind) => flags.bool(kind))
  const [kind] = asked
  if (kind === undefined || asked.length > 1) {
    throw cliError('ARGUMENTS', { message: 'Please provide either -server, -client, or -cli' })
  }
  if (flags.has('node') && kind !== 'server') {
    throw cliError('ARGUMENTS', { message: 'Make a certificate: -node goes with -server' })
  }
  return kind
}

/** What is in the certificate of a kind; who shows none to the other side needs no use of the key named. */
function contents(kind: CertificateKind, flags: Flags): Omit<CertificateOptions, 'ca'> {
  const name = `${kind}.${flags.string('dc') ?? DATACENTER_DEFAULT}.${flags.string('domain') ?? DOMAIN_DEFAULT}`
  const node = flags.string('node')
  return {
    commonName: name,
    dnsNames: [
      ...(node === undefined ? [] : [`${node}.${name}`]),
      ...flags.list('additional-dnsname'),
      name,
      'localhost',
    ],
    ipAddresses: [...flags.list('additional-ipaddress'), ...(kind === 'cli' ? [] : ['127.0.0.1'])],
    days: flags.number('days') ?? CERTIFICATE_DAYS_DEFAULT,
    serverAuth: kind !== 'cli',
    clientAuth: kind !== 'cli',
  }
}

/** The first free number. @throws FILE_EXISTS when all are taken */
function freePaths(prefix: string): PemPaths {
  for (let number = 0; number < MAX_NUMBER; number++) {
    const paths = { cert: `${prefix}-${number}.pem`, key: `${prefix}-${number}-key.pem` }
    if (!existsSync(paths.cert) && !existsSync(paths.key)) return paths
  }
  throw cliError('FILE_EXISTS', { path: `${prefix}-${MAX_NUMBER - 1}.pem` })
}

/** @throws CA_UNREADABLE */
function readCa(path: string): string {
  try {
    return readTextFile(path)
  } catch (error) {
    const reason = messageOf(error instanceof Error ? (error.cause ?? error) : error)
    throw cliError('CA_UNREADABLE', { path, reason }, error)
  }
}

export const command: Command = {
  name: 'tls cert create',
  summary: 'Makes a certificate signed by the CA',
  help: `Makes a certificate and its key, signed by a CA that \`hanse tls ca create\` made, in the working directory:
<dc>-<server, client or cli>-<domain>-<number>.pem and …-key.pem. Existing files are left alone: the number grows.`,
  flags: {
    server: { kind: 'bool', help: 'For a server' },
    client: { kind: 'bool', help: 'For a client agent' },
    cli: { kind: 'bool', help: 'For the command line' },
    dc: { kind: 'string', value: 'name', help: `Datacenter, default ${DATACENTER_DEFAULT}` },
    domain: { kind: 'string', value: 'domain', help: `DNS domain, default ${DOMAIN_DEFAULT}` },
    node: {
      kind: 'string',
      value: 'name',
      help: 'With -server: a name for one server alone, <node>.server.<dc>.<domain>',
    },
    days: { kind: 'number', value: 'days', help: `Days that it is valid, default ${CERTIFICATE_DAYS_DEFAULT}` },
    ca: { kind: 'string', value: 'file', help: 'Certificate of the CA, default <domain>-agent-ca.pem' },
    key: { kind: 'string', value: 'file', help: 'Its key, default <domain>-agent-ca-key.pem' },
    'additional-dnsname': { kind: 'list', value: 'name', help: 'A further DNS name; may be given several times' },
    'additional-ipaddress': {
      kind: 'list',
      value: 'address',
      help: 'A further IP address; may be given several times',
    },
  },
  async run({ flags, print }) {
    const kind = kindOf(flags)
    const domain = flags.string('domain') ?? DOMAIN_DEFAULT
    const datacenter = flags.string('dc') ?? DATACENTER_DEFAULT
    checkFileName('dc', datacenter)
    checkFileName('domain', domain)
    const caFile = flags.string('ca') ?? `${domain}-agent-ca.pem`
    const keyFile = flags.string('key') ?? `${domain}-agent-ca-key.pem`
    const ca = { certPem: readCa(caFile), keyPem: readCa(keyFile) }
    const paths = freePaths(`${datacenter}-${kind}-${domain}`)
    refuseExisting(paths)
    const pair = createCertificate({ ca, ...contents(kind, flags) })
    if (kind === 'server') print(SERVER_WARNING)
    print(`==> Using ${caFile} and ${keyFile}`)
    writePair(paths, pair)
    print(`==> Saved ${paths.cert}`)
    print(`==> Saved ${paths.key}`)
    return 0
  },
}
