/**
 * The commands by name: what the overview says of each, and how to load it. One file per command.
 */
import type { Command } from './command.ts'

export interface CommandEntry {
  readonly summary: string
  load(): Promise<{ readonly command: Command }>
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  'acl auth-method create': {
    summary: 'Creates an auth method',
    load: async () => ({ command: (await import('./acl-auth-method.ts')).create }),
  },
  'acl auth-method delete': {
    summary: 'Removes an auth method, its binding rules and its tokens',
    load: async () => ({ command: (await import('./acl-auth-method.ts')).remove }),
  },
  'acl auth-method list': {
    summary: 'Lists the auth methods',
    load: async () => ({ command: (await import('./acl-auth-method.ts')).listAll }),
  },
  'acl auth-method read': {
    summary: 'Shows an auth method',
    load: async () => ({ command: (await import('./acl-auth-method.ts')).read }),
  },
  'acl auth-method update': {
    summary: 'Changes an auth method',
    load: async () => ({ command: (await import('./acl-auth-method.ts')).update }),
  },
  'acl binding-rule create': {
    summary: 'Creates a binding rule',
    load: async () => ({ command: (await import('./acl-binding-rule.ts')).create }),
  },
  'acl binding-rule delete': {
    summary: 'Removes a binding rule',
    load: async () => ({ command: (await import('./acl-binding-rule.ts')).remove }),
  },
  'acl binding-rule list': {
    summary: 'Lists the binding rules',
    load: async () => ({ command: (await import('./acl-binding-rule.ts')).listAll }),
  },
  'acl binding-rule read': {
    summary: 'Shows a binding rule',
    load: async () => ({ command: (await import('./acl-binding-rule.ts')).read }),
  },
  'acl binding-rule update': {
    summary: 'Changes a binding rule',
    load: async () => ({ command: (await import('./acl-binding-rule.ts')).update }),
  },
  'acl bootstrap': {
    summary: 'Makes the first token, once',
    load: async () => ({ command: (await import('./acl-token.ts')).bootstrap }),
  },
  'acl policy create': {
    summary: 'Creates a policy',
    load: async () => ({ command: (await import('./acl-policy.ts')).create }),
  },
  'acl policy delete': {
    summary: 'Removes a policy',
    load: async () => ({ command: (await import('./acl-policy.ts')).remove }),
  },
  'acl policy list': {
    summary: 'Lists the policies',
    load: async () => ({ command: (await import('./acl-policy.ts')).listAll }),
  },
  'acl policy read': {
    summary: 'Shows a policy',
    load: async () => ({ command: (await import('./acl-policy.ts')).read }),
  },
  'acl policy update': {
    summary: 'Changes a policy',
    load: async () => ({ command: (await import('./acl-policy.ts')).update }),
  },
  'acl role create': {
    summary: 'Creates a role',
    load: async () => ({ command: (await import('./acl-role.ts')).create }),
  },
  'acl role delete': {
    summary: 'Removes a role',
    load: async () => ({ command: (await import('./acl-role.ts')).remove }),
  },
  'acl role list': {
    summary: 'Lists the roles',
    load: async () => ({ command: (await import('./acl-role.ts')).listAll }),
  },
  'acl role read': {
    summary: 'Shows a role',
    load: async () => ({ command: (await import('./acl-role.ts')).read }),
  },
  'acl role update': {
    summary: 'Changes a role',
    load: async () => ({ command: (await import('./acl-role.ts')).update }),
  },
  'acl templated-policy list': {
    summary: 'Lists the templated policies',
    load: async () => ({ command: (await import('./acl-templated-policy.ts')).listAll }),
  },
  'acl templated-policy preview': {
    summary: 'Shows the policy that a template makes of a name',
    load: async () => ({ command: (await import('./acl-templated-policy.ts')).preview }),
  },
  'acl templated-policy read': {
    summary: 'Shows a templated policy',
    load: async () => ({ command: (await import('./acl-templated-policy.ts')).read }),
  },
  'acl token clone': {
    summary: 'Creates a token with the rights of another one',
    load: async () => ({ command: (await import('./acl-token.ts')).clone }),
  },
  'acl token create': {
    summary: 'Creates a token',
    load: async () => ({ command: (await import('./acl-token.ts')).create }),
  },
  'acl token delete': {
    summary: 'Removes a token',
    load: async () => ({ command: (await import('./acl-token.ts')).remove }),
  },
  'acl token list': {
    summary: 'Lists the tokens',
    load: async () => ({ command: (await import('./acl-token.ts')).listAll }),
  },
  'acl token read': {
    summary: 'Shows a token',
    load: async () => ({ command: (await import('./acl-token.ts')).read }),
  },
  'acl token update': {
    summary: 'Changes a token',
    load: async () => ({ command: (await import('./acl-token.ts')).update }),
  },
  'acl set-agent-token': {
    summary: 'Gives the agent one of its tokens',
    load: () => import('./acl-set-agent-token.ts'),
  },
  agent: { summary: 'Runs a server', load: () => import('./agent.ts') },
  'catalog datacenters': { summary: 'Lists all known datacenters', load: () => import('./catalog-datacenters.ts') },
  'catalog nodes': { summary: 'Lists the nodes of a datacenter', load: () => import('./catalog-nodes.ts') },
  'catalog services': { summary: 'Lists the services of a datacenter', load: () => import('./catalog-services.ts') },
  'config delete': { summary: 'Removes a config entry', load: () => import('./config-delete.ts') },
  'config list': { summary: 'Lists the config entries of a kind', load: () => import('./config-list.ts') },
  'config read': { summary: 'Shows a config entry', load: () => import('./config-read.ts') },
  'config write': { summary: 'Creates or replaces a config entry', load: () => import('./config-write.ts') },
  'connect ca get-config': {
    summary: 'Shows the configuration of the certificate authority',
    load: () => import('./connect-ca-get-config.ts'),
  },
  'connect ca set-config': {
    summary: 'Changes the configuration of the certificate authority',
    load: () => import('./connect-ca-set-config.ts'),
  },
  'connect proxy': {
    summary: 'Runs a built-in proxy: a sidecar, or the mesh gateway',
    load: () => import('./connect-proxy.ts'),
  },
  event: { summary: 'Sends a user event to the agents of a datacenter', load: () => import('./event.ts') },
  'federation secret': {
    summary: 'Exports what secondary datacenters need to join',
    load: () => import('./federation-secret.ts'),
  },
  'federation status': {
    summary: 'Shows each datacenter: gateways, gossip, RPC, replication',
    load: () => import('./federation-status.ts'),
  },
  'force-leave': { summary: 'Takes a failed member out of its pool', load: () => import('./force-leave.ts') },
  info: { summary: 'Shows facts about the agent for operators', load: () => import('./info.ts') },
  'intention check': {
    summary: 'Tells whether a service may call another',
    load: () => import('./intention-check.ts'),
  },
  'intention create': {
    summary: 'Allows or denies calls from one service to another',
    load: () => import('./intention-create.ts'),
  },
  'intention delete': { summary: 'Removes an intention', load: () => import('./intention-delete.ts') },
  'intention get': { summary: 'Shows an intention', load: () => import('./intention-get.ts') },
  'intention list': { summary: 'Lists all intentions', load: () => import('./intention-list.ts') },
  'intention match': {
    summary: 'Lists the intentions that a service is the destination or the source of',
    load: () => import('./intention-match.ts'),
  },
  join: { summary: 'Tells the agent to join a pool', load: () => import('./join.ts') },
  keygen: { summary: 'Makes a key for gossip encryption', load: () => import('./keygen.ts') },
  keyring: { summary: 'Shows and changes the gossip keys of all datacenters', load: () => import('./keyring.ts') },
  'kv delete': { summary: 'Removes entries from the key/value store', load: () => import('./kv-delete.ts') },
  'kv export': { summary: 'Writes entries of the key/value store as JSON', load: () => import('./kv-export.ts') },
  'kv get': { summary: 'Reads entries of the key/value store', load: () => import('./kv-get.ts') },
  'kv import': { summary: 'Reads entries from JSON into the key/value store', load: () => import('./kv-import.ts') },
  'kv put': { summary: 'Sets an entry of the key/value store', load: () => import('./kv-put.ts') },
  leave: { summary: 'Makes the agent leave its pools and stop', load: () => import('./leave.ts') },
  lock: { summary: 'Runs a command while it holds a lock', load: () => import('./lock.ts') },
  login: { summary: 'Gets a token for what an identity provider says', load: () => import('./login.ts') },
  logout: { summary: 'Ends a token that came from a login', load: () => import('./logout.ts') },
  maint: { summary: 'Shows and changes maintenance of the node or a service', load: () => import('./maint.ts') },
  members: { summary: 'Lists the members of a pool', load: () => import('./members.ts') },
  monitor: { summary: 'Shows the log of a running agent', load: () => import('./monitor.ts') },
  'operator autopilot get-config': {
    summary: 'Shows what is done about dead servers',
    load: async () => ({ command: (await import('./operator-autopilot.ts')).getConfig }),
  },
  'operator autopilot set-config': {
    summary: 'Changes what is done about dead servers',
    load: async () => ({ command: (await import('./operator-autopilot.ts')).setConfig }),
  },
  'operator autopilot state': {
    summary: 'Shows how the servers of a datacenter are',
    load: async () => ({ command: (await import('./operator-autopilot.ts')).state }),
  },
  'operator raft list-peers': {
    summary: 'Lists the servers of a datacenter, and who leads',
    load: async () => ({ command: (await import('./operator-raft.ts')).listPeers }),
  },
  'operator raft remove-peer': {
    summary: 'Takes a server that is gone out of its datacenter',
    load: async () => ({ command: (await import('./operator-raft.ts')).removePeer }),
  },
  'operator raft transfer-leader': {
    summary: 'Hands the lead to another server',
    load: async () => ({ command: (await import('./operator-raft.ts')).transferLeader }),
  },
  reload: { summary: 'Makes the agent read its configuration again', load: () => import('./reload.ts') },
  rtt: { summary: 'Estimates the round-trip time between two nodes', load: () => import('./rtt.ts') },
  'services deregister': { summary: 'Takes services from the agent', load: () => import('./services-deregister.ts') },
  'services register': { summary: 'Registers services with the agent', load: () => import('./services-register.ts') },
  'snapshot decode': {
    summary: 'Prints what is in a saved snapshot as lines of JSON',
    load: () => import('./snapshot-decode.ts'),
  },
  'snapshot inspect': { summary: 'Shows what is in a saved snapshot', load: () => import('./snapshot-inspect.ts') },
  'snapshot restore': {
    summary: 'Puts a saved snapshot in the place of everything in a datacenter',
    load: () => import('./snapshot-restore.ts'),
  },
  'snapshot save': { summary: 'Saves everything of a datacenter in a file', load: () => import('./snapshot-save.ts') },
  'tls ca create': { summary: 'Makes a certificate authority', load: () => import('./tls-ca-create.ts') },
  'tls cert create': { summary: 'Makes a certificate signed by the CA', load: () => import('./tls-cert-create.ts') },
  up: { summary: 'Starts a federation of datacenters on this machine', load: () => import('./up.ts') },
  validate: { summary: 'Checks configuration files and directories', load: () => import('./validate.ts') },
  watch: {
    summary: 'Shows something as it is, or runs a program whenever it changes',
    load: () => import('./watch.ts'),
  },
  version: { summary: 'Shows the versions', load: () => import('./version.ts') },
}
