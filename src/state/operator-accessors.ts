/**
 * Accessors of what operators set for the servers of the whole datacenter.
 */
import type { AutopilotConfig } from '#codec'
import { autopilotKey } from './operator-declarations.ts'
import type { Plan } from './plan.ts'
import type { Tables } from './tables.ts'
import type { Topic } from './watches.ts'

export interface OperatorReads {
  /** undefined: nobody has set it. */
  autopilotConfig(): AutopilotConfig | undefined
}

/** Puts return as those of the other tables. */
export interface OperatorWrites {
  putAutopilotConfig(config: AutopilotConfig): boolean
}

export function operatorReads(source: { tables(): Tables; see(topic: Topic): void }): OperatorReads {
  return {
    autopilotConfig: () => {
      const { autopilot } = source.tables()
      source.see(autopilot.recordTopic(autopilotKey))
      return autopilot.get(autopilotKey)?.value
    },
  }
}

export function operatorWrites(plan: Plan): OperatorWrites {
  return { putAutopilotConfig: (config) => plan.put(plan.tables().autopilot, autopilotKey, config) }
}
