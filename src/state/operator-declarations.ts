/**
 * The table of what operators set for the servers of the whole datacenter: what is done about dead ones. One record.
 */
import { AutopilotConfig } from '#codec'
import { joinKey } from './keys.ts'
import type { TableDeclaration } from './table.ts'

const ONLY = 'only'
export const autopilotKey: string = joinKey('autopilot-config', ONLY)

export const autopilotTable: TableDeclaration<AutopilotConfig> = {
  name: 'autopilot-config',
  shape: AutopilotConfig,
  fits: (_, key) => key === ONLY,
  indexes: {},
}
