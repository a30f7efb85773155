/**
 * `watches` of the configuration → what the agent follows, and the handler of each. A watch that could never run is a
 * fault of the configuration.
 */
import { messageOf } from '#base'
import {
  DEFAULT_HANDLER_TIMEOUT_MS,
  type HttpHandler,
  questionOf,
  type ScriptHandler,
  type WatchParameters,
} from '#watch'
import { placeOf, type Tree } from './config-decode.ts'
import { type ConfigProblems, configError } from './config-errors.ts'
import { TreeReader } from './config-read.ts'

/** Each holds a connection to this agent. */
export const MAX_WATCHES = 64

export interface WatchConfig {
  readonly parameters: WatchParameters
  /** Empty: that of the agent. */
  readonly datacenter: string
  /** Secret. Empty: the agent's default one. */
  readonly token: string
  readonly script?: ScriptHandler
  readonly http?: HttpHandler
}

type Fault = (key: string, problem: string) => void

/** The watches; faults go to `problems`. */
export function buildWatches(tree: Tree, problems: ConfigProblems): WatchConfig[] {
  const { watches } = tree
  const trees = Array.isArray(watches) ? watches.filter((each): each is Tree => typeof each === 'object') : []
  if (trees.length > MAX_WATCHES) {
    const problem = `there are ${trees.length}, the limit is ${MAX_WATCHES}`
    problems.add(configError('CONFIG_INVALID_VALUE', { key: 'watches', place: placeOf(tree, 'watches'), problem }))
    return []
  }
  return trees.map((watch) => {
    const place = placeOf(watch, Object.keys(watch)[0] ?? '')
    return buildWatch(new TreeReader(watch), (key, problem) => {
      const at = Object.hasOwn(watch, key) ? placeOf(watch, key) : place
      problems.add(configError('CONFIG_INVALID_VALUE', { key: `watches.${key}`, place: at, problem }))
    })
  })
}

function buildWatch(reader: TreeReader, fault: Fault): WatchConfig {
  const parameters: WatchParameters = {
    type: reader.string('type'),
    key: reader.string('key'),
    prefix: reader.string('prefix'),
    name: reader.string('name'),
    service: reader.string('service'),
    serviceId: reader.string('service_id'),
    tag: reader.has('tag') ? reader.strings('tag') : undefined,
    passingOnly: reader.bool('passingonly', false),
    state: reader.string('state'),
    filter: reader.string('filter'),
  }
  try {
    questionOf(parameters)
  } catch (error) {
    fault('type', messageOf(error))
  }
  const asked = { parameters, datacenter: reader.string('datacenter', ''), token: reader.string('token', '') }
  const kind = reader.string('handler_type', 'script')
  if (kind === 'script') return { ...asked, script: scriptOf(reader, fault) }
  if (kind === 'http') return { ...asked, http: httpOf(reader, fault) }
  fault('handler_type', `"${kind}" is none of script, http`)
  return asked
}

function scriptOf(reader: TreeReader, fault: Fault): ScriptHandler {
  const words = reader.strings('args')
  const line = reader.string('handler', '')
  if (reader.has('http_handler_config')) fault('http_handler_config', 'it needs "handler_type" to be "http"')
  if (words.length > 0 && line !== '') fault('handler', '"args" and "handler" exclude each other')
  else if ((words[0] ?? '') === '' && line === '') fault('args', 'there is no handler: name the program in "args"')
  return line === '' ? { words, shell: false } : { words: [line], shell: true }
}

function httpOf(reader: TreeReader, fault: Fault): HttpHandler {
  for (const key of ['args', 'handler']) if (reader.has(key)) fault(key, 'it needs "handler_type" to be "script"')
  const url = reader.string('http_handler_config.path', '')
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  // The URL itself may hold a secret and stays out of the message.
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol)) {
    fault('http_handler_config', '"path" is no URL with http:// or https://')
  } else if (parsed.username !== '' || parsed.password !== '') {
    fault('http_handler_config', '"path" has a name or a password: send them in "header"')
  }
  const method = reader.string('http_handler_config.method', '') || 'POST'
  if (!/^[A-Z]{1,16}$/.test(method)) fault('http_handler_config', `"${method.slice(0, 40)}" is no HTTP method`)
  const headers = headersOf(reader, fault)
  const timeoutMs = reader.durationMs('http_handler_config.timeout', DEFAULT_HANDLER_TIMEOUT_MS)
  if (timeoutMs <= 0) fault('http_handler_config', '"timeout" must be above 0')
  return { url, method, headers, timeoutMs, skipVerify: reader.bool('http_handler_config.tls_skip_verify', false) }
}

function headersOf(reader: TreeReader, fault: Fault): HttpHandler['headers'] {
  const given = reader.get('http_handler_config.header')
  if (typeof given !== 'object' || Array.isArray(given)) return {}
  const headers: Record<string, readonly string[]> = {}
  for (const name of Object.keys(given)) {
    const value = given[name]
    const values = Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || values.some((each) => !/^[\t\x20-\x7e\x80-\xff]*$/.test(each))) {
      fault('http_handler_config', `"header" has one that HTTP does not allow: "${name.slice(0, 40)}"`)
    } else headers[name] = values
  }
  return headers
}
