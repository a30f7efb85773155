/**
 * Who is a member of etcd: asked, added and removed through any member that answers.
 *
 * A new member begins as a learner, which counts for no quorum, and is promoted once it has caught up; etcd has one
 * learner at a time. It refuses by itself a removal that would leave too few members that run.
 */
import { messageOf } from '#base'
import type { EtcdMember } from '#codec'
import { EtcdClient, type EtcdClientOptions } from './client.ts'
import { memberAdd, memberList, memberPromote, memberRemove, memberUpdate } from './methods.ts'

const CALL_MS = 10_000

export interface KnownMember {
  /** Hexadecimal, as etcd's own tools write it. */
  readonly id: string
  /** Empty for one that was added and has not begun. */
  readonly name: string
  readonly peerUrl: string
  readonly clientUrl: string
  readonly learner: boolean
}

/** Ends a question before its time: `timeoutMs` is that of all attempts together. */
export interface MembershipCall {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

export class EtcdMembership {
  readonly #client: EtcdClient

  constructor(options: EtcdClientOptions) {
    this.#client = new EtcdClient(options)
  }

  useEndpoints(endpoints: readonly string[]): void {
    this.#client.useEndpoints(endpoints)
  }

  /** As a quorum knows it. @throws STORE_UNREACHABLE, STORE_REFUSED */
  async list(call: MembershipCall = {}): Promise<readonly KnownMember[]> {
    const { members } = await this.#client.call(memberList, { linearizable: true }, { timeoutMs: CALL_MS, ...call })
    return (members ?? []).map(known)
  }

  /** Adds a learner. Not sent twice: the second would be refused, because the first was taken. @throws as list() */
  async add(peerUrl: string, call: MembershipCall = {}): Promise<void> {
    const request = { peerUrls: [peerUrl], learner: true }
    await this.#client.call(memberAdd, request, { timeoutMs: CALL_MS, ...call, once: true })
  }

  /** Lets a learner vote. @throws STORE_REFUSED while it has not caught up */
  async promote(id: string, call: MembershipCall = {}): Promise<void> {
    try {
      await this.#client.call(memberPromote, { id: numberOf(id) }, { timeoutMs: CALL_MS, ...call })
    } catch (error) {
      if (!/can only promote a learner member$/.test(messageOf(error))) throw error
    }
  }

  /** A member's new place. */
  async update(id: string, peerUrl: string, call: MembershipCall = {}): Promise<void> {
    await this.#client.call(memberUpdate, { id: numberOf(id), peerUrls: [peerUrl] }, { timeoutMs: CALL_MS, ...call })
  }

  /** Harmless for one that is none any more. @throws STORE_REFUSED where too few would be left */
  async remove(id: string, call: MembershipCall = {}): Promise<void> {
    try {
      await this.#client.call(memberRemove, { id: numberOf(id) }, { timeoutMs: CALL_MS, ...call })
    } catch (error) {
      if (!/member not found/i.test(messageOf(error))) throw error
    }
  }

  close(): void {
    this.#client.close()
  }
}

function numberOf(id: string): bigint {
  return BigInt(`0x${id}`)
}

function known({ id, name, peerUrls, clientUrls, learner }: EtcdMember): KnownMember {
  return { id: id.toString(16), name, peerUrl: peerUrls?.[0] ?? '', clientUrl: clientUrls?.[0] ?? '', learner }
}
