/**
 * Log lines in the form that Consul users grep: time, [LEVEL], component, message, key=value pairs.
 *
 * A Logger writes to one LogSink, which filters by level, formats as text or JSON, and feeds `monitor` listeners with
 * their own level. Secrets never reach it: callers pass names, never values of tokens or keys.
 */

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

export interface LogRecord {
  readonly wallMs: number
  readonly level: LogLevel
  readonly component: string
  readonly message: string
  readonly fields: LogFields
}

export interface Logger {
  trace(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger for a part: `agent` → `agent.server`. */
  named(part: string): Logger
}

/** Reads a level as users write it ("INFO", "warn", "err"); undefined when it is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const lower = text.toLowerCase()
  if (lower === 'err') return 'error'
  if (lower === 'warning') return 'warn'
  return LOG_LEVELS.find((level) => level === lower)
}

const TAGS: Record<LogLevel, string> = {
  trace: '[TRACE]',
  debug: '[DEBUG]',
  info: '[INFO] ',
  warn: '[WARN] ',
  error: '[ERROR]',
}

function textValue(value: string | number | boolean | null): string {
  const text = String(value)
  return typeof value === 'string' && (text === '' || /[\s"=]/.test(text)) ? JSON.stringify(text) : text
}

export function formatText(record: LogRecord): string {
  const pairs = Object.entries(record.fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${textValue(value ?? null)}`)
    .join('')
  const colon = pairs === '' ? '' : ':'
  return `${new Date(record.wallMs).toISOString()} ${TAGS[record.level]} ${record.component}: ${record.message}${colon}${pairs}`
}

export function formatJson(record: LogRecord): string {
  return JSON.stringify({
    '@level': record.level,
    '@message': record.message,
    '@module': record.component,
    '@timestamp': new Date(record.wallMs).toISOString(),
    ...record.fields,
  })
}

export interface LogListener {
  readonly level: LogLevel
  readonly json: boolean
  write(line: string): void
}

/** Where the lines of a process go. */
export class LogSink {
  level: LogLevel
  readonly #json: boolean
  readonly #write: (line: string) => void
  readonly #wallMs: () => number
  readonly #listeners = new Set<LogListener>()

  constructor(options: { level: LogLevel; json?: boolean; write: (line: string) => void; wallMs?: () => number }) {
    this.level = options.level
    this.#json = options.json ?? false
    this.#write = options.write
    this.#wallMs = options.wallMs ?? Date.now
  }

  /** Adds a `monitor` listener; the returned function removes it. */
  listen(listener: LogListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  emit(level: LogLevel, component: string, message: string, fields: LogFields = {}): void {
    const rank = LOG_LEVELS.indexOf(level)
    const wanted = rank >= LOG_LEVELS.indexOf(this.level)
    if (!wanted && this.#listeners.size === 0) return
    const record: LogRecord = { wallMs: this.#wallMs(), level, component, message, fields }
    if (wanted) this.#write(this.#json ? formatJson(record) : formatText(record))
    for (const listener of this.#listeners) {
      if (rank >= LOG_LEVELS.indexOf(listener.level)) {
        listener.write(listener.json ? formatJson(record) : formatText(record))
      }
    }
  }

  logger(component: string): Logger {
    return {
      trace: (message, fields) => this.emit('trace', component, message, fields),
      debug: (message, fields) => this.emit('debug', component, message, fields),
      info: (message, fields) => this.emit('info', component, message, fields),
      warn: (message, fields) => this.emit('warn', component, message, fields),
      error: (message, fields) => this.emit('error', component, message, fields),
      named: (part) => this.logger(`${component}.${part}`),
    }
  }
}

/** Says nothing. For tests and tools that show errors themselves. */
export const silentLogger: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  named: () => silentLogger,
}
