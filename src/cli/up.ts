/**
 * `hanse up` (`npm start`): a federation of datacenters on this machine.
 */
import type { Command } from './command.ts'

export const command: Command = {
  name: 'up',
  summary: 'Starts a federation of datacenters on this machine',
  help: `Starts two federated datacenters (or more), each with a server, a mesh gateway and a demo service, verifies that
they read and call each other through the gateways, and stays until Ctrl-C. Nothing is left behind. Access control denies by
default; the bootstrap token is in a file that the output names. Certificates between servers and services are always on:
mesh gateways route by them.`,
  flags: {
    datacenters: {
      kind: 'string',
      value: 'names',
      help: 'Names with commas between, the primary first; default dc1,dc2',
    },
    'data-dir': { kind: 'string', value: 'directory', help: 'Keep everything there, and resume from it' },
    servers: {
      kind: 'number',
      value: 'count',
      help: 'Servers of each datacenter, default 1; several keep their data in etcd, which must be installed',
    },
    'base-port': { kind: 'number', value: 'port', help: 'Fixed ports from this one on; default: free ones' },
    acls: { kind: 'bool', help: 'Access control that denies by default; -acls=false: none' },
    'gossip-encryption': { kind: 'bool', help: 'Encrypted gossip; -gossip-encryption=false: none' },
    check: { kind: 'bool', help: 'End after the verification, with status 0 if it succeeded' },
  },
  async run({ flags, env, print, signal }) {
    const { up } = await import('#local')
    const datacenters = flags.string('datacenters')
    const dataDir = flags.string('data-dir')
    const basePort = flags.number('base-port')
    const servers = flags.number('servers')
    return up({
      ...(datacenters === undefined ? {} : { datacenters }),
      ...(dataDir === undefined ? {} : { dataDir }),
      ...(basePort === undefined ? {} : { basePort }),
      ...(servers === undefined ? {} : { servers }),
      ...(flags.has('acls') ? { acls: flags.bool('acls') } : {}),
      ...(flags.has('gossip-encryption') ? { gossipEncryption: flags.bool('gossip-encryption') } : {}),
      check: flags.bool('check'),
      env,
      print,
      signal,
    })
  },
}
