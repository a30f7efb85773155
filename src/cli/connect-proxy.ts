/**
 * `hanse connect proxy`: the built-in proxies, a sidecar or the mesh gateway, each a process of its own.
 */
import {
  aborted,
  formatHostPort,
  type LogLevel,
  LogSink,
  Metrics,
  parseHostPort,
  parseLogLevel,
  systemClock,
  systemRandom,
} from '#base'
import type { HttpClient } from '#client'
import { followSnapshot, GatewayRegistration, gatewayFeed, MeshGateway, Sidecar } from '#proxy'
import { API_FLAGS, apiClient } from './api-flags.ts'
import type { Command, CommandContext, Flags } from './command.ts'
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
  summary: 'Runs a built-in proxy: a sidecar, or the mesh gateway',
  help: `With -sidecar-for or -proxy-id: carries the connections of one service, inbound and outbound, over mutual TLS, as
the agent's catalog, config entries and intentions say.

With -gateway=mesh: passes TLS connections between datacenters on by the server name they ask for. It reads only
the first message of a connection and never ends TLS; it holds no key. Its routes come from the server at -http-addr.`,
  flags: {
    ...API_FLAGS,
    gateway: { kind: 'string', value: 'kind', help: 'Kind of gateway: mesh' },
    'sidecar-for': { kind: 'string', value: 'id', help: 'ID of the service whose registered sidecar this is' },
    register: { kind: 'bool', help: 'Register the gateway with the agent, and keep it registered' },
    service: { kind: 'string', value: 'name', help: `Name to register, default ${DEFAULT_SERVICE}` },
    'proxy-id': {
      kind: 'string',
      value: 'id',
      help: 'ID of the registered sidecar; of a gateway: ID to register, default its name',
    },
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
  async run(context) {
    const { flags } = context
    if (flags.string('gateway') === 'mesh') return runGateway(context)
    if (flags.has('sidecar-for') || flags.has('proxy-id')) return runSidecar(context)
    throw cliError('ARGUMENTS', { message: 'Run a proxy: one of -sidecar-for, -proxy-id and -gateway=mesh is needed' })
  },
}

function logOf({ flags, stdout }: CommandContext, component: string) {
  return new LogSink({ level: logLevel(flags), write: (line) => stdout.write(`${line}\n`) }).logger(component)
}

/** The registered sidecar of a service. @throws NO_SIDECAR */
async function sidecarOf(client: HttpClient, serviceId: string): Promise<string> {
  const services = await client.json('GET', '/v1/agent/services')
  for (const [id, service] of Object.entries(services ?? {})) {
    const destination: unknown = service?.Proxy?.DestinationServiceID
    if (service?.Kind === 'connect-proxy' && destination === serviceId) return id
  }
  throw cliError('NO_SIDECAR', { service: serviceId })
}

async function runSidecar(context: CommandContext): Promise<number> {
  const { flags, signal } = context
  const log = logOf(context, 'proxy')
  const client = apiClient(context)
  const sidecar = new Sidecar({ clock: systemClock, random: systemRandom, log, metrics: new Metrics() })
  const service = flags.string('sidecar-for')
  try {
    const proxyId = flags.string('proxy-id') ?? (await sidecarOf(client, service ?? ''))
    await followSnapshot(proxyId, (snapshot) => sidecar.apply(snapshot), { client, clock: systemClock, log, signal })
  } finally {
    await sidecar.close()
    client.close()
  }
  return 0
}

async function runGateway(context: CommandContext): Promise<number> {
  const { flags, signal } = context
  const lan = address(flags, 'address', `127.0.0.1:${DEFAULT_PORT}`)
  const lanText = formatHostPort(lan.host, lan.port)
  const wan = address(flags, 'wan-address', lanText)
  const bind = address(flags, 'bind-address', lanText)
  const log = logOf(context, 'gateway')
  const client = apiClient(context)
  const gateway = new MeshGateway({
    host: bind.host,
    port: bind.port,
    source: gatewayFeed(client, systemClock),
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
  await aborted(signal)
  log.info('stopping')
  await registration.stop()
  await gateway.close()
  client.close()
  return 0
}
