/**
 * base/: clock, chance, errors, log, metrics, durations, addresses. The only code that touches process globals.
 */
export { bytesToIp, formatHostPort, type HostPort, ipToBytes, parseHostPort } from './addresses.ts'
export { aborted, type Clock, ManualClock, sleep, systemClock, type Timer } from './clock.ts'
export { formatDuration, parseDuration } from './durations.ts'
export { environment } from './environment.ts'
export { codeOf, type ErrorFacts, type ErrorRow, errorTable, HanseError, messageOf } from './errors.ts'
export {
  formatJson,
  formatText,
  LOG_LEVELS,
  type LogFields,
  type Logger,
  type LogLevel,
  type LogListener,
  LogSink,
  parseLogLevel,
  silentLogger,
} from './log.ts'
export { type Labels, MAX_SERIES, Metrics } from './metrics.ts'
export { type Random, seededRandom, shuffled, systemRandom, uuid } from './random.ts'
export { BUILD_DATE, CONSUL_VERSION, HANSE_VERSION, PROTOCOL_VERSION } from './version.ts'
