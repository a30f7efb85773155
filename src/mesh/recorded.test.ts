/**
 * Recorded exchanges about entries, intentions and chains, replayed at the level of this folder: each write is decoded,
 * checked and kept, each question answered from what is kept. Hashes and indexes are another server's.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HanseError } from '#base'
import {
  CompiledDiscoveryChain,
  type ConfigEntry,
  configEntryName,
  configEntryToJson,
  type ServiceIntentions as Entry,
  goJson,
  Intention,
  isConfigEntryKind,
  parseGoJson,
} from '#codec'
import * as mesh from './index.ts'
import {
  checkDelete,
  checkWrite,
  compileChain,
  decodeChainOverrides,
  decodeEntryJson,
  EntrySet,
  meshError,
} from './index.ts'

interface Exchange {
  readonly n: number
  readonly area: string
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly anonymous: boolean
  readonly status: number
  readonly response: string
}
interface Answer {
  readonly status: number
  readonly text: string
}

const { exchanges }: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL('../../test/vectors/http-mesh.json', import.meta.url), 'utf8'),
)

/** What this folder does not decide. */
const ELSEWHERE: Readonly<Record<number, string>> = {
  488: 'the parameter cas is read by the API',
  490: 'the path is read by the API',
  595: 'parameters are read by the API',
  603: 'parameters are read by the API',
  604: 'parameters are read by the API',
  608: 'parameters are read by the API',
  609: 'parameters are read by the API',
  613: 'the body of an intention is read by the API',
  616: 'the form of an ID is checked by the API',
  640: 'the path is read by the API',
  642: 'asks the secondary, which had not copied the last entries yet',
}

const TRUST_DOMAIN = '66679aad-6740-68de-6eb4-3b50d0fc5ad2.consul'

class Replay {
  entries = new EntrySet()
  #index = 100

  answer(exchange: Exchange): Answer {
    try {
      return this.#route(exchange, new URL(exchange.path, 'http://localhost'))
    } catch (thrown) {
      if (!(thrown instanceof HanseError)) throw thrown
      return { status: thrown.status, text: thrown.message }
    }
  }

  #route(exchange: Exchange, url: URL): Answer {
    const parts = url.pathname.split('/').slice(2)
    if (parts[0] === 'config')
      return this.#config(
        exchange,
        url,
        parts.slice(1).filter((part) => part !== ''),
      )
    if (parts[0] === 'discovery-chain') return this.#chain(exchange, url, parts[1] ?? '')
    return this.#intentions(exchange, url, parts[2] ?? '')
  }

  #config({ method, body }: Exchange, url: URL, [kind, name]: string[]): Answer {
    const cas = url.searchParams.get('cas')
    if (method === 'PUT') {
      const entry = checkWrite(this.entries, decodeEntryJson(body ?? ''), 'dc1')
      const before = this.entries.get(entry.Kind, configEntryName(entry))
      // A set that is there cannot be written with the index 0; the others were stale when recorded.
      if (cas !== null && (before !== undefined || cas !== '0')) return ok(false)
      this.#store(entry)
      return ok(true)
    }
    if (kind === undefined) return ok(this.entries.entries().map(configEntryToJson))
    if (!isConfigEntryKind(kind)) throw meshError('ENTRY_KIND', { kind })
    if (method === 'DELETE') {
      if (cas === '1') return ok(false)
      checkDelete(this.entries, kind, name ?? '', 'dc1')
      this.entries = this.entries.with({ kind, name: name ?? '', entry: undefined })
      return ok(cas === null ? {} : true)
    }
    if (name === undefined) return ok(this.entries.all(kind).map(configEntryToJson))
    const entry = this.entries.get(kind, name)
    if (entry !== undefined) return ok(configEntryToJson(entry))
    return { status: 404, text: `Config entry not found for "${kind}" / "${name}"` }
  }

  #store(entry: ConfigEntry): void {
    const name = configEntryName(entry)
    const index = this.#index++
    const CreateIndex = this.entries.get(entry.Kind, name)?.CreateIndex ?? index
    this.entries = this.entries.with({ kind: entry.Kind, name, entry: { ...entry, CreateIndex, ModifyIndex: index } })
  }

  #chain({ body, response }: Exchange, url: URL, service: string): Answer {
    const overrides = decodeChainOverrides(body ?? '')
    const recorded: { Chain: { AutoVirtualIPs: string[] | null; ManualVirtualIPs: string[] | null } } =
      JSON.parse(response)
    const chain = compileChain(this.entries, {
      service,
      datacenter: url.searchParams.get('compile-dc') ?? 'dc1',
      trustDomain: TRUST_DOMAIN,
      overrideProtocol: overrides.OverrideProtocol,
      overrideMeshGatewayMode: overrides.OverrideMeshGateway.Mode,
      overrideConnectTimeoutNs: overrides.OverrideConnectTimeout,
      autoVirtualIps: recorded.Chain.AutoVirtualIPs,
      manualVirtualIps: recorded.Chain.ManualVirtualIPs,
    })
    return ok({ Chain: CompiledDiscoveryChain.toJson(chain) })
  }

  #intentions(exchange: Exchange, url: URL, what: string): Answer {
    const { method, body } = exchange
    const parameter = (name: string) => url.searchParams.get(name) ?? ''
    const [source, destination] = [parameter('source'), parameter('destination')]
    if (what === 'match') return this.#match(parameter('by') === 'source' ? 'source' : 'destination', parameter('name'))
    if (what === 'check') {
      const { allowed } = mesh.checkIntention(this.entries, { source, destination, defaultAllow: false })
      return ok({ Allowed: allowed })
    }
    if (what === 'exact') {
      if (method === 'GET') return one(mesh.exactIntention(this.entries, source, destination))
      if (method === 'PUT') {
        const intention = intentionOf(body ?? '{}')
        this.#keep(mesh.upsertIntention(this.entries, { source, destination, intention }))
      } else this.#keepRest(destination, mesh.removeIntention(this.entries, source, destination))
      return ok(true)
    }
    return what === '' ? this.#listOrCreate(exchange, url) : this.#byId(exchange, what)
  }

  #match(by: 'source' | 'destination', name: string): Answer {
    const found = mesh.matchIntentions(this.entries, { by, name })
    return ok({ [name]: found.map((intention) => Intention.toJson(intention)) })
  }

  #listOrCreate({ method, body, response }: Exchange, url: URL): Answer {
    if (method === 'GET') {
      const wanted = /SourceName == (\w+)/.exec(url.searchParams.get('filter') ?? '')?.[1]
      const all = mesh.listIntentions(this.entries)
      return ok(all.filter((i) => wanted === undefined || i.SourceName === wanted).map((i) => Intention.toJson(i)))
    }
    const id = /"ID":"([^"]+)"/.exec(response)?.[1] ?? 'none'
    const now = '2026-11-23T10:20:13.582260459Z'
    this.#keep(mesh.createLegacyIntention(this.entries, intentionOf(body ?? '{}'), { id, now }))
    return ok({ ID: id })
  }

  #byId({ method, body }: Exchange, id: string): Answer {
    if (method === 'GET') return one(mesh.intentionById(this.entries, id))
    if (method === 'DELETE') {
      const rest = mesh.removeLegacyIntention(this.entries, id)
      if (rest) this.#keepRest(rest.destination, rest.entry)
      return ok(true)
    }
    const issue = { id, now: '2026-11-23T10:20:13.586944302Z' }
    this.#keep(mesh.updateLegacyIntention(this.entries, intentionOf(body ?? '{}'), issue))
    return ok({ ID: id })
  }

  #keep(entry: Entry): void {
    this.#store(checkWrite(this.entries, entry, 'dc1'))
  }

  #keepRest(destination: string, rest: Entry | null | undefined): void {
    if (rest) this.#keep(rest)
    else this.entries = this.entries.with({ kind: 'service-intentions', name: destination, entry: undefined })
  }
}

const ok = (value: unknown): Answer => ({ status: 200, text: goJson(value) })

function one(intention: Intention | undefined): Answer {
  if (intention === undefined) throw meshError('INTENTION_NOT_FOUND', {})
  return ok(Intention.toJson(intention))
}

function intentionOf(body: string): Intention {
  return Intention.fromJson(parseGoJson(body), '', { unknownKeys: 'refuse' })
}

/** The same text without what another server counts or computes. */
const comparable = (text: string) =>
  text.replace(/"(Hash|CreateIndex|ModifyIndex)":("[^"]*"|\d+),?/g, '').replaceAll(',}', '}')

test('every recorded exchange about entries, intentions and chains is answered as recorded', () => {
  const replay = new Replay()
  const counts = new Map<string, number>()
  for (const exchange of exchanges) {
    if (exchange.anonymous || exchange.n in ELSEWHERE) continue
    const { status, text } = replay.answer(exchange)
    const what = `${exchange.n} ${exchange.method} ${exchange.path} ${exchange.body ?? ''}`
    assert.equal(comparable(text), comparable(exchange.response), what)
    assert.equal(status, exchange.status, what)
    counts.set(exchange.area, (counts.get(exchange.area) ?? 0) + 1)
  }
  assert.deepEqual(Object.fromEntries(counts), {
    'config entries': 25,
    'config entry validation': 89,
    intentions: 33,
    'discovery chain': 6,
    'community edition: namespace and partition': 1,
  })
})
