/**
 * Which differences between two configurations a reload can apply, and which need a restart.
 *
 * The key table says it per key (`reload`); here it is asked of RuntimeConfig's fields, which is what parts hold.
 */
import type { RuntimeConfig } from './config-runtime.ts'

export interface ReloadPlan {
  /** Fields of RuntimeConfig that changed and take effect now. */
  readonly apply: readonly (keyof RuntimeConfig)[]
  /** Fields that changed and wait for a restart; paths such as `limits.kvMaxValueBytes` where only a part waits. */
  readonly restart: readonly string[]
}

const RELOADABLE: ReadonlySet<keyof RuntimeConfig> = new Set<keyof RuntimeConfig>([
  'recursors',
  'dnsConfig',
  'tls',
  'logLevel',
  'discardCheckOutput',
  'services',
  'checks',
  'watches',
])

/** Compares a running configuration with a newly loaded one. */
export function reloadable(running: RuntimeConfig, loaded: RuntimeConfig): ReloadPlan {
  const apply: (keyof RuntimeConfig)[] = []
  const restart: string[] = []
  for (const field of fieldsOf(running)) {
    if (same(running[field], loaded[field])) continue
    if (field === 'limits') {
      const names = (Object.keys(running.limits) as (keyof RuntimeConfig['limits'])[]).filter(
        (name) => running.limits[name] !== loaded.limits[name],
      )
      restart.push(...names.map((name) => `limits.${name}`))
    } else if (RELOADABLE.has(field)) apply.push(field)
    else restart.push(field)
  }
  if (hasHttps(running) !== hasHttps(loaded)) restart.push('tls.https.certFile')
  return { apply, restart }
}

/** Whether there is a certificate to open the HTTPS port with, which happens at a start only. */
function hasHttps({ ports, tls: { https } }: RuntimeConfig): boolean {
  return ports.https >= 0 && https.certFile !== '' && https.keyFile !== ''
}

function fieldsOf(config: RuntimeConfig): (keyof RuntimeConfig)[] {
  return Object.keys(config) as (keyof RuntimeConfig)[]
}

/** Deep equality of plain values, whatever the order of keys. */
function same(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) !== Array.isArray(right)) return false
  const leftEntries = Object.entries(left)
  if (leftEntries.length !== Object.keys(right).length) return false
  return leftEntries.every(([key, value]) => Object.hasOwn(right, key) && same(value, Reflect.get(right, key)))
}
