/**
 * `hanse tls ca create`: a new certificate authority, as two files in the working directory.
 */
import { CA_DAYS_DEFAULT, createCertificateAuthority } from '#codec'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'
import { refuseExisting, writePair } from './pem-files.ts'

const DOMAIN_DEFAULT = 'consul'

export const command: Command = {
  name: 'tls ca create',
  summary: 'Makes a certificate authority',
  help: `Makes a certificate authority: <domain>-agent-ca.pem and its key <domain>-agent-ca-key.pem, in the working
directory. All datacenters of a federation need certificates of one CA. Whoever has its key can become a server.`,
  flags: {
    days: { kind: 'number', value: 'days', help: `Days that it is valid, default ${CA_DAYS_DEFAULT}` },
    domain: { kind: 'string', value: 'domain', help: `DNS domain of the datacenters, default ${DOMAIN_DEFAULT}` },
    'common-name': { kind: 'string', value: 'name', help: 'Name of the CA' },
    'cluster-id': { kind: 'string', value: 'id', help: 'ID of the cluster, as name spiffe://<id>.consul' },
    'name-constraint': { kind: 'bool', help: 'Only names below the domain, and localhost, may be signed' },
    'additional-name-constraint': {
      kind: 'list',
      value: 'domain',
      help: 'With -name-constraint: a further domain; may be given several times',
    },
  },
  async run({ flags, print }) {
    const domain = flags.string('domain') ?? DOMAIN_DEFAULT
    checkFileName('domain', domain)
    const more = flags.list('additional-name-constraint')
    if (more.length > 0 && !flags.bool('name-constraint')) {
      throw cliError('ARGUMENTS', { message: 'Make a CA: -additional-name-constraint needs -name-constraint' })
    }
    const paths = { cert: `${domain}-agent-ca.pem`, key: `${domain}-agent-ca-key.pem` }
    refuseExisting(paths)
    const pair = createCertificateAuthority({
      domain,
      days: flags.number('days') ?? CA_DAYS_DEFAULT,
      nameConstraint: flags.bool('name-constraint'),
      additionalNameConstraints: more,
      ...(flags.has('common-name') ? { commonName: flags.string('common-name') } : {}),
      ...(flags.has('cluster-id') ? { clusterId: flags.string('cluster-id') } : {}),
    })
    writePair(paths, pair)
    print(`==> Saved ${paths.cert}`)
    print(`==> Saved ${paths.key}`)
    return 0
  },
}

/** A value that becomes part of file names and of DNS names. @throws FLAG_VALUE */
export function checkFileName(flag: string, value: string): void {
  if (/^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(value)) return
  throw cliError('FLAG_VALUE', { flag, value, wanted: 'a name of letters, digits, dots, - and _' })
}
