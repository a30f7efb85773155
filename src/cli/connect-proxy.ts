/**
 * `hanse connect proxy -gateway=mesh`: the built-in mesh gateway, a process of its own beside the servers.
 */
import { formatHostPort, type LogLevel, LogSink, Metrics, parseHostPort, parseLogLevel, systemClock } from '#base'
import { GatewayRegistration, gatewayFeed, MeshGateway } from '#proxy'
import { API_FLAGS, apiClient } from './api-flags.ts'
import type { Command, Flags } from './command.ts'
import { cliError } from './errors.ts'

const DEFAULT_PORT = 8443
const DEFAULT_SERVICE = 'mesh-gateway'

function address(flags: Flags, name: string, fallback: string): { host: string; port: number } {
  const text = flags.string(name) ?? fallback
  const parsed = parseHostPort(text, DEFAULT_PORT)
  if (!parsed) throw cliError('FLAG_VALUE', { flag: name, value: text, wanted: 'host:port' })
  return parsed
}

function logLevel(flags: Flags): LogLevel {
  const text = flags.string('log-level') ?? 'info'
  const level = parseLogLevel(text)
  if (!level)
    throw cliError('FLAG_VALUE', { flag: 'log-level', value: text, wanted: 'trace, debug, info, warn or error' })
  return level
}

export const command: Command = {
  name: 'connect proxy',
  summary: 'Runs a built-in proxy: the mesh gateway',
  help: `With -gateway=mesh: passes TLS connections between datacenters on by the server name they ask for. It reads only
the first message of a connection and never ends TLS; it holds no key. Its routes come from the server at -http-addr.`,
  flags: {
    ...API_FLAGS,
    gateway: { kind: 'string', value: 'kind', help: 'Kind of gateway: mesh' },
    register: { kind: 'bool', help: 'Register the gateway with the agent, and keep it registered' },
    service: { kind: 'string', value: 'name', help: `Name to register, default ${DEFAULT_SERVICE}` },
    'proxy-id': { kind: 'string', value: 'id', help: 'ID to register, default the name' },
    'expose-servers': { kind: 'bool', help: 'Carry the traffic between servers of different datacenters' },
    address: {
      kind: 'string',
      value: 'host:port',
      help: 'LAN address, where its own datacenter reaches it; default 127.0.0.1:8443',
    },
    'wan-address': {
      kind: 'string',
      value: 'host:port',
      help: 'Where other datacenters reach it; default the LAN address',
    },
    'bind-address': { kind: 'string', value: 'host:port', help: 'Where to listen; default the LAN address' },
    'log-level': { kind: 'string', value: 'level', help: 'trace, debug, info, warn or error' },
  },
  async run({ flags, env, stdout, signal }) {
    if (flags.string('gateway') !== 'mesh') {
      throw cliError('ARGUMENTS', { message: 'Run a proxy: -gateway=mesh is the kind that there is' })
    }
    const lan = address(flags, 'address', `127.0.0.1:${DEFAULT_PORT}`)
    const lanText = formatHostPort(lan.host, lan.port)
    const wan = address(flags, 'wan-address', lanText)
    const bind = address(flags, 'bind-address', lanText)
    const sink = new LogSink({ level: logLevel(flags), write: (line) => stdout.write(`${line}\n`) })
    const log = sink.logger('gateway')
    const client = apiClient({ flags, env })
    const gateway = new MeshGateway({
      host: bind.host,
      port: bind.port,
      source: gatewayFeed(client),
      clock: systemClock,
      log,
      metrics: new Metrics(),
    })
    await gateway.start()
    log.info('mesh gateway listening', { address: formatHostPort(bind.host, bind.port), lan: lanText })
    const service = flags.string('service') ?? DEFAULT_SERVICE
    const registration = new GatewayRegistration(
      { service, id: flags.string('proxy-id') ?? service, lan, wan, exposeServers: flags.bool('expose-servers') },
      { client, clock: systemClock, log },
    )
    if (flags.bool('register')) registration.start()
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    log.info('stopping')
    await registration.stop()
    await gateway.close()
    client.close()
    return 0
  },
}
