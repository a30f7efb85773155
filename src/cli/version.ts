/**
 * `hanse version`: the Consul version whose interfaces are served, Hanse's own, and the protocols.
 */
import { BUILD_DATE, CONSUL_VERSION, HANSE_VERSION, PROTOCOL_VERSION } from '#base'
import { goJson } from '#codec'
import type { Command } from './command.ts'

const JSON_INDENT = '   '

export const command: Command = {
  name: 'version',
  summary: 'Shows the versions',
  help: 'Shows the version of Consul whose interfaces are served, the version of Hanse, and the protocols it speaks.',
  flags: { format: { kind: 'string', value: 'pretty or json', help: 'How to show them, default pretty' } },
  async run({ flags, print }) {
    const { current, min, max } = PROTOCOL_VERSION
    if (flags.choice('format', ['pretty', 'json']) === 'json') {
      const RPC = { Default: current, Min: min, Max: max }
      const json = { Version: CONSUL_VERSION, Revision: '', Prerelease: '', BuildDate: BUILD_DATE, RPC }
      print(goJson({ ...json, Hanse: HANSE_VERSION }, { indent: JSON_INDENT }))
      return 0
    }
    print(`Consul v${CONSUL_VERSION}`)
    print(`Hanse v${HANSE_VERSION}`)
    print(`Build Date ${BUILD_DATE}`)
    print(
      `Protocol ${current} spoken by default, understands ${min} to ${max} (agent will automatically use protocol >${current} when speaking to compatible agents)\n`,
    )
    return 0
  },
}
