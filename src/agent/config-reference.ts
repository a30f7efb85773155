/**
 * docs/configuration.md, made from the key table. A test holds the file equal to this, so it cannot go stale.
 *
 * To write it anew: `node src/agent/config-reference.ts > docs/configuration.md` with the pinned Node.
 */
import { CONFIG_KEYS } from './config-keys.ts'
import { CHECK_KEYS, SERVICE_CHECK_KEYS, SERVICE_KEYS } from './config-keys-definitions.ts'
import type { KeySpec, KeyTable } from './config-spec.ts'

const INTRODUCTION = `# Configuration

An agent takes its configuration from files in JSON or HCL (\`-config-file\`, \`-config-dir\`) and from flags. The keys are
Consul's. Order: defaults, \`-dev\`, files and directories as given (a directory's \`.json\` and \`.hcl\` files in lexical
order), \`-hcl\`, flags. Later scalars win, lists grow, objects merge.

- A key that nobody knows is an error with file, line and the nearest known key. A key that Consul knows and Hanse does
  not use is a warning; the last section lists them. All problems are told at once.
- A duration is text with a unit: \`"500ms"\`, \`"30s"\`, \`"1h30m"\`. Sizes are in bytes.
- Ports: -1 is off, 0 is any free one. A default port that is taken is done without, a configured one is an error.
- "Reload": applied by \`hanse reload\` or SIGHUP; everything else needs a restart.
- Try a file with \`hanse validate FILE\`.
`

const EXAMPLES = `## Example: primary and secondary

Both need certificates of one CA (\`hanse tls ca create\`, \`hanse tls cert create -server -dc dc1\`) and one gossip key
(\`hanse keygen\`).

\`\`\`hcl
# primary.hcl: hanse agent -config-file primary.hcl
server           = true
bootstrap_expect = 1
datacenter       = "dc1"
node_name        = "server-1"
data_dir         = "/var/lib/hanse"
encrypt          = "<output of hanse keygen>"

connect {
  enabled                            = true
  enable_mesh_gateway_wan_federation = true
}

tls {
  internal_rpc {
    ca_file                = "/etc/hanse/consul-agent-ca.pem"
    cert_file              = "/etc/hanse/dc1-server-consul-0.pem"
    key_file               = "/etc/hanse/dc1-server-consul-0-key.pem"
    verify_incoming        = true
    verify_outgoing        = true
    verify_server_hostname = true
  }
}
\`\`\`

\`\`\`hcl
# secondary.hcl: the same but for its names, and with gateways of the primary
server             = true
bootstrap_expect   = 1
datacenter         = "dc2"
primary_datacenter = "dc1"
primary_gateways   = ["203.0.113.10:8443"]
node_name          = "server-2"
data_dir           = "/var/lib/hanse"
encrypt            = "<output of hanse keygen>"

connect {
  enabled                            = true
  enable_mesh_gateway_wan_federation = true
}

tls {
  internal_rpc {
    ca_file                = "/etc/hanse/consul-agent-ca.pem"
    cert_file              = "/etc/hanse/dc2-server-consul-0.pem"
    key_file               = "/etc/hanse/dc2-server-consul-0-key.pem"
    verify_incoming        = true
    verify_outgoing        = true
    verify_server_hostname = true
  }
}
\`\`\`
`

const DEFINITIONS = new Set(['service', 'services', 'check', 'checks'])

/** The text of docs/configuration.md. */
export function renderConfigurationReference(): string {
  const rows = rowsOf(CONFIG_KEYS, '', (key) => !DEFINITIONS.has(key))
  const parts = [
    INTRODUCTION,
    EXAMPLES,
    `## Keys\n\n${table(rows)}\n`,
    '## Services and checks\n\n`service { … }` or `services = [ … ]`, `check { … }` or `checks = [ … ]`; keys may also be written in CamelCase.\n',
    `### Keys of a service\n\n${table(rowsOf(SERVICE_KEYS, ''))}\n`,
    `### Keys of a check\n\n${table(rowsOf(CHECK_KEYS, ''))}\n`,
    `## Keys of Consul without effect\n\n${knownKeys(CONFIG_KEYS, '')
      .map((key) => `\`${key}\``)
      .join(', ')}\n`,
  ]
  return parts.join('\n')
}

interface Row {
  readonly key: string
  readonly spec: KeySpec
}

/** Keys that do something, objects before their own keys. */
function rowsOf(keys: KeyTable, prefix: string, wanted: (key: string) => boolean = () => true): Row[] {
  return Object.entries(keys).flatMap(([key, spec]) => {
    if (spec.status === 'known' || !wanted(key)) return []
    const path = `${prefix}${key}`
    const isCheck = spec.keys === CHECK_KEYS || spec.keys === SERVICE_CHECK_KEYS
    const mark = spec.kind === 'objects' ? '[]' : spec.kind === 'objects by name' ? '.<name>' : ''
    const repeated = isCheck || key === 'sidecar_service'
    return [{ key: path, spec }, ...(spec.keys && !repeated ? rowsOf(spec.keys, `${path}${mark}.`) : [])]
  })
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ key, spec }) => {
    const value = spec.default === undefined ? '' : code(spec.default)
    const about = `${spec.about ?? ''}${spec.secret ? ' (secret)' : ''}`
    return `| \`${key}\` | ${spec.kind} | ${value} | ${spec.reload ? 'yes' : ''} | ${about.replaceAll('|', '\\|')} |`
  })
  return ['| key | kind | default | reload | meaning |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')
}

/** Literal defaults as code, described ones as text. */
function code(text: string): string {
  return /^("[^"]*"|-?\d+|true|false|[a-z_]+_addr|datacenter|name|node_name)$/.test(text) ? `\`${text}\`` : text
}

function knownKeys(keys: KeyTable, prefix: string): string[] {
  return Object.entries(keys).flatMap(([key, spec]) => {
    if (spec.status === 'known') return [`${prefix}${key}`]
    return DEFINITIONS.has(key) && prefix === '' ? [] : knownKeys(spec.keys ?? {}, `${prefix}${key}.`)
  })
}

if (import.meta.main) process.stdout.write(renderConfigurationReference())
