/**
 * The agent's own tokens: what the configuration names, what was set while it ran, and, where that is wanted, what it
 * remembers of the latter over a restart.
 *
 * The configuration wins over what is remembered. The file is readable by its owner alone; no message names a token.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, type Logger, messageOf } from '#base'
import { agentError } from './agent-errors.ts'

export const TOKEN_KINDS = [
  'default',
  'agent',
  'agent_recovery',
  'config_file_service_registration',
  'replication',
  'dns',
] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]

const FILE = 'acl-tokens.json'
const SECRET_FILE_MODE = 0o600
/** Longest token; Consul's are UUIDs. */
const MAX_TOKEN_CHARACTERS = 256

type Tokens = Partial<Record<TokenKind, string>>

export interface AgentTokensOptions {
  readonly dataDir: string
  /** `acl.enable_token_persistence`. */
  readonly persist: boolean
  /** `acl.tokens`. */
  readonly configured: Readonly<Record<string, string>>
}

export class AgentTokens {
  readonly #options: AgentTokensOptions
  readonly #set: Tokens
  readonly #listeners = new Set<(kind: TokenKind) => void>()

  constructor(options: AgentTokensOptions, log: Logger) {
    this.#options = options
    this.#set = options.persist ? remembered(join(options.dataDir, FILE), log) : {}
    for (const kind of TOKEN_KINDS) {
      const configured = options.configured[kind] ?? ''
      if (configured !== '') this.#set[kind] = configured
    }
  }

  /** Empty where none is set. */
  get(kind: TokenKind): string {
    return this.#set[kind] ?? ''
  }

  /** Sets a token from now on; an empty one takes it away. @throws HanseError TOKENS_NOT_WRITTEN, TOKEN_TOO_LONG */
  set(kind: TokenKind, token: string): void {
    if (token.length > MAX_TOKEN_CHARACTERS) throw agentError('TOKEN_TOO_LONG', { limit: MAX_TOKEN_CHARACTERS })
    this.#set[kind] = token
    if (this.#options.persist) this.#write()
    for (const listener of this.#listeners) listener(kind)
  }

  onSet(listener: (kind: TokenKind) => void): void {
    this.#listeners.add(listener)
  }

  /** Whole or not at all. */
  #write(): void {
    const path = join(this.#options.dataDir, FILE)
    try {
      writeFileSync(`${path}.new`, JSON.stringify(this.#set), { mode: SECRET_FILE_MODE, flush: true })
      renameSync(`${path}.new`, path)
    } catch (error) {
      throw agentError('TOKENS_NOT_WRITTEN', { path, reason: messageOf(error) }, error)
    }
  }
}

function remembered(path: string, log: Logger): Tokens {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const entries = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : []
    const kept = entries.filter(([kind, token]) => isTokenKind(kind) && typeof token === 'string')
    return Object.fromEntries(kept)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') log.warn('remembered tokens could not be read', { path })
    return {}
  }
}

export function isTokenKind(kind: string): kind is TokenKind {
  return TOKEN_KINDS.some((known) => known === kind)
}

const RESET_FILE = 'acl-bootstrap-reset'

/** The reset index that an operator wrote into the data directory; the file is removed. */
export async function takeBootstrapReset(dataDir: string): Promise<number | undefined> {
  const path = join(dataDir, RESET_FILE)
  try {
    const text = readFileSync(path, 'utf8').trim()
    rmSync(path)
    return /^\d{1,15}$/.test(text) ? Number(text) : undefined
  } catch {
    return undefined
  }
}
