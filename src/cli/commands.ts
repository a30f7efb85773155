/**
 * The commands by name: what the overview says of each, and how to load it. One file per command.
 */
import type { Command } from './command.ts'

export interface CommandEntry {
  readonly summary: string
  load(): Promise<{ readonly command: Command }>
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  agent: { summary: 'Runs a server', load: () => import('./agent.ts') },
  'catalog datacenters': { summary: 'Lists all known datacenters', load: () => import('./catalog-datacenters.ts') },
  'catalog nodes': { summary: 'Lists the nodes of a datacenter', load: () => import('./catalog-nodes.ts') },
  'catalog services': { summary: 'Lists the services of a datacenter', load: () => import('./catalog-services.ts') },
  'config delete': { summary: 'Removes a config entry', load: () => import('./config-delete.ts') },
  'config list': { summary: 'Lists the config entries of a kind', load: () => import('./config-list.ts') },
  'config read': { summary: 'Shows a config entry', load: () => import('./config-read.ts') },
  'config write': { summary: 'Creates or replaces a config entry', load: () => import('./config-write.ts') },
  'connect proxy': {
    summary: 'Runs a built-in proxy: a sidecar, or the mesh gateway',
    load: () => import('./connect-proxy.ts'),
  },
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
  maint: { summary: 'Shows and changes maintenance of the node or a service', load: () => import('./maint.ts') },
  members: { summary: 'Lists the members of a pool', load: () => import('./members.ts') },
  monitor: { summary: 'Shows the log of a running agent', load: () => import('./monitor.ts') },
  reload: { summary: 'Makes the agent read its configuration again', load: () => import('./reload.ts') },
  rtt: { summary: 'Estimates the round-trip time between two nodes', load: () => import('./rtt.ts') },
  'services deregister': { summary: 'Takes services from the agent', load: () => import('./services-deregister.ts') },
  'services register': { summary: 'Registers services with the agent', load: () => import('./services-register.ts') },
  'tls ca create': { summary: 'Makes a certificate authority', load: () => import('./tls-ca-create.ts') },
  'tls cert create': { summary: 'Makes a certificate signed by the CA', load: () => import('./tls-cert-create.ts') },
  up: { summary: 'Starts a federation of datacenters on this machine', load: () => import('./up.ts') },
  validate: { summary: 'Checks configuration files and directories', load: () => import('./validate.ts') },
  version: { summary: 'Shows the versions', load: () => import('./version.ts') },
}
