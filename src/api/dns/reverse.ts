/**
 * Addresses → names, for PTR questions: nodes first, then services that have an address of their own.
 *
 * The tables by address are made once per answer that they come from, and go with it.
 */
import { DCSpecificRequest, type IndexedNodeDump } from '#codec'
import { type Endpoints, internal, type LiveAnswer } from '#endpoints'

export class ReverseNames {
  readonly #endpoints: Endpoints
  readonly #token: (() => string) | undefined
  readonly #tables = new WeakMap<object, ReadonlyMap<string, string>>()

  constructor(endpoints: Endpoints, token: (() => string) | undefined) {
    this.#endpoints = endpoints
    this.#token = token
  }

  /** The name without the domain, and what it depends on. */
  nameOf(address: string): {
    readonly name: string | undefined
    readonly sources: readonly Pick<LiveAnswer<unknown>, 'fired'>[] | undefined
  } {
    const { datacenter } = this.#endpoints
    const args = DCSpecificRequest.of({ Datacenter: datacenter, AllowStale: true, Token: this.#token?.() ?? '' })
    const live = this.#endpoints.live(internal.nodeDump, args)
    if (live === undefined) return { name: undefined, sources: undefined }
    let table = this.#tables.get(live.reply)
    if (table === undefined) {
      table = tableOf(live.reply, datacenter)
      this.#tables.set(live.reply, table)
    }
    return { name: table.get(address), sources: [live] }
  }
}

function tableOf({ Dump }: IndexedNodeDump, datacenter: string): Map<string, string> {
  const names = new Map<string, string>()
  for (const { Services } of Dump ?? []) {
    for (const { Address, Service } of Services ?? []) {
      if (Address !== '' && !names.has(Address)) names.set(Address, `${escaped(Service)}.service.${datacenter}`)
    }
  }
  // Last, so that they win.
  for (const { Address, Node } of [...(Dump ?? [])].reverse()) names.set(Address, `${escaped(Node)}.node.${datacenter}`)
  return names
}

function escaped(label: string): string {
  return label.replace(/[.\\]/g, '\\$&')
}
