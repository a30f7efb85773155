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
  'connect proxy': { summary: 'Runs a built-in proxy: the mesh gateway', load: () => import('./connect-proxy.ts') },
  'federation secret': {
    summary: 'Exports what secondary datacenters need to join',
    load: () => import('./federation-secret.ts'),
  },
  'federation status': {
    summary: 'Shows each datacenter: gateways, gossip, RPC, replication',
    load: () => import('./federation-status.ts'),
  },
  up: { summary: 'Starts a federation of datacenters on this machine', load: () => import('./up.ts') },
}
