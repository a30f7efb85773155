/**
 * `hanse federation secret`: exports what secondaries need, as the Kubernetes manifest that the federation guide passes on.
 */
import { closeSync, fchmodSync, fstatSync, openSync, writeFileSync } from 'node:fs'
import { messageOf } from '#base'
import { exportFederationSecret, renderFederationSecret } from '#federation'
import { API_FLAGS, apiClient, readTextFile } from './api-flags.ts'
import type { Command, CommandContext } from './command.ts'
import { cliError } from './errors.ts'
import { readInput } from './input.ts'

const WARNING = `The federation secret holds the key of the certificate authority, the gossip encryption key and, if given, the replication token:
whoever has it can become a server of the federation. Delete the file once it is imported.`

export const command: Command = {
  name: 'federation secret',
  summary: 'Exports what secondary datacenters need to join',
  help: `Writes the federation secret of a primary datacenter: the CA certificate and its key, the gossip encryption key, the
replication token where there is access control, and the addresses of the primary's mesh gateways, as \`kubectl get secret consul-federation --output yaml\` prints it.

${WARNING}`,
  flags: {
    ...API_FLAGS,
    ca: { kind: 'string', value: 'file', help: 'Certificate of the CA, default consul-agent-ca.pem' },
    'ca-key': { kind: 'string', value: 'file', help: 'Its key, default consul-agent-ca-key.pem' },
    'replication-token-file': {
      kind: 'string',
      value: 'file',
      help: 'Holds the SecretID of the token that secondaries copy policies, roles and tokens with; - for standard input',
    },
    out: {
      kind: 'string',
      value: 'file',
      help: 'File to write (mode 0600); default consul-federation-secret.yaml, - for standard output',
    },
    name: { kind: 'string', value: 'name', help: 'Name of the Secret, default consul-federation' },
    namespace: { kind: 'string', value: 'name', help: 'Namespace of the Secret, default consul' },
  },
  async run(context) {
    const { flags, env, print, warn, stdout } = context
    const replicationToken = await replicationTokenOf(context)
    const files = {
      caCert: readTextFile(flags.string('ca') ?? 'consul-agent-ca.pem'),
      caKey: readTextFile(flags.string('ca-key') ?? 'consul-agent-ca-key.pem'),
      ...(replicationToken === undefined ? {} : { replicationToken }),
    }
    const client = apiClient({ flags, env })
    try {
      const secret = await exportFederationSecret(client, files)
      const manifest = renderFederationSecret(secret, flags.string('name'), flags.string('namespace'))
      const out = flags.string('out') ?? 'consul-federation-secret.yaml'
      if (out === '-') stdout.write(manifest)
      else {
        write(out, manifest)
        print(`==> Saved ${out}`)
      }
      warn(`==> WARNING: ${WARNING}`)
      return 0
    } finally {
      client.close()
    }
  },
}

/** @throws FLAG_VALUE for a file without a SecretID; FILE_UNREADABLE */
async function replicationTokenOf(context: CommandContext): Promise<string | undefined> {
  const flag = 'replication-token-file'
  const file = context.flags.string(flag)
  if (file === undefined) return undefined
  const text = (await readInput(file === '-' ? file : `@${file}`, context)).toString('utf8').trim()
  // What is in it stays unsaid: it may be a secret all the same.
  if (!/^\S+$/.test(text)) throw cliError('FLAG_VALUE', { flag, value: file, wanted: 'a file with one SecretID' })
  return text
}

function write(path: string, text: string): void {
  try {
    const file = openSync(path, 'w', 0o600)
    try {
      // One that was there keeps its mode otherwise; it is empty now, so nothing was ever readable.
      if (fstatSync(file).isFile()) fchmodSync(file, 0o600)
      writeFileSync(file, text)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw cliError('FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
}
