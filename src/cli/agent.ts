/**
 * `hanse agent`: runs a server until a signal or `hanse leave` ends it. SIGHUP reloads.
 */
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { aborted, CONSUL_VERSION, HANSE_VERSION, LogSink, messageOf, systemClock, systemRandom } from '#base'
import type { Command } from './command.ts'
import { cliError } from './errors.ts'

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    throw cliError('FILE_UNWRITABLE', { path, reason: messageOf(error) }, error)
  }
}

export const command: Command = {
  name: 'agent',
  summary: 'Runs a server',
  usage: '[flags of the configuration]',
  help: `Runs a server of a datacenter. Its settings come from -config-file and -config-dir (JSON or HCL) and from flags; see
docs/configuration.md. SIGTERM and SIGINT stop it, SIGHUP reloads what can be reloaded.`,
  flags: {},
  rawArgs: true,
  async run({ args, print, warn, stdout, signal }) {
    const { loadConfig, startAgent } = await import('#agent')
    const { config, warnings } = loadConfig({ args })
    for (const warning of warnings) warn(`==> WARNING: ${warning}`)
    const logFile = config.logFile === '' ? undefined : openLog(config.logFile)
    const logSink = new LogSink({
      level: config.logLevel,
      json: config.logJson,
      write: (line) => {
        stdout.write(`${line}\n`)
        if (logFile !== undefined) writeSync(logFile, `${line}\n`)
      },
    })
    print(`==> Starting Hanse agent ${HANSE_VERSION} (Consul ${CONSUL_VERSION})`)
    const started = startAgent(
      { config, reloadConfig: () => loadConfig({ args }) },
      { logSink, clock: systemClock, random: systemRandom, signal },
    )
    // Stopped while it waits for the other servers of its datacenter: that is no failure.
    const agent = await started.catch((error: unknown) => {
      if (signal.aborted && error === signal.reason) return undefined
      throw error
    })
    if (agent === undefined) return 0
    // Compiled code goes to disk now, not at the end of the process: who starts next (the second datacenter of `hanse up`)
    // finds it, starts in half the time, and does without the compiler's 45 MB.
    flushCompileCache()
    const log = logSink.logger('agent')
    if (config.pidFile !== '') writeFileSync(config.pidFile, `${process.pid}\n`, { mode: 0o644 })
    const reload = () => {
      agent
        .reload()
        .catch((error: unknown) => log.error('reload failed, the old configuration stays', { error: messageOf(error) }))
    }
    process.on('SIGHUP', reload)
    print(`         Datacenter: '${config.datacenter}' (primary: '${config.primaryDatacenter}')`)
    print(`          Node name: '${config.nodeName}'`)
    print(`        Client Addr: HTTP ${agent.ports.http.join(' ')} DNS ${agent.ports.dns.join(' ')}`)
    print(`       Cluster Addr: ${agent.core.rpcAddress}`)
    print(`  Gossip Encryption: ${agent.core.gossip.lan.encrypted}`)
    const failure = await Promise.race([agent.stopped, aborted(signal).then(() => undefined)])
    process.off('SIGHUP', reload)
    if (signal.aborted && config.leaveOnTerminate) await agent.leave()
    else await agent.shutdown()
    if (config.pidFile !== '') rmSync(config.pidFile, { force: true })
    if (logFile !== undefined) closeSync(logFile)
    if (failure !== undefined) warn(`==> ${failure}`)
    return failure === undefined ? 0 : 1
  },
}
