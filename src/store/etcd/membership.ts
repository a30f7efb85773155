/**
 * Who is a member of etcd: asked, added and removed through any member that answers.
 *
 * A new member begins as a learner, which counts for no quorum, and is promoted once it has caught up. etcd itself
 * refuses a removal that would leave too few members that run.
 */
import { type Clock, codeOf, messageOf, sleep } from '#base'
import type { EtcdMember } from '#codec'
import { EtcdClient, type EtcdClientOptions } from './client.ts'
import { memberAdd, memberList, memberPromote, memberRemove, memberUpdate, moveLeader, status } from './methods.ts'

const CALL_MS = 10_000
/** Between two attempts at what etcd refuses for now. */
const RETRY_MS = 300

export interface KnownMember {
  /** Hexadecimal, as etcd's own tools write it. */
  readonly id: string
  /** Empty for one that was added and has not begun. */
  readonly name: string
  readonly peerUrl: string
  readonly clientUrl: string
  readonly learner: boolean
}

export class EtcdMembership {
  readonly #client: EtcdClient
  readonly #clock: Clock

  constructor(options: EtcdClientOptions) {
    this.#client = new EtcdClient(options)
    this.#clock = options.clock
  }

  useEndpoints(endpoints: readonly string[]): void {
    this.#client.useEndpoints(endpoints)
  }

  /** As a quorum knows it. @throws STORE_UNREACHABLE, STORE_REFUSED */
  async list(): Promise<readonly KnownMember[]> {
    const { members } = await this.#client.call(memberList, { linearizable: true }, { timeoutMs: CALL_MS })
    return (members ?? []).map(known)
  }

  /** The id of the leader, and how far the member that answered is. */
  async status(): Promise<{ readonly leader: string; readonly version: string; readonly raftIndex: number }> {
    const { leader, version, raftIndex } = await this.#client.call(status, {}, { timeoutMs: CALL_MS })
    return { leader: leader.toString(16), version, raftIndex }
  }

  /**
   * Adds a member that will listen at `peerUrl`, in the place of one that was there before: what that one had is lost.
   *
   * @returns all members; the new one has no name yet
   */
  async add(peerUrl: string, signal: AbortSignal): Promise<{ readonly id: string; members: readonly KnownMember[] }> {
    for (;;) {
      const members = await this.list()
      const mine = members.find((member) => member.peerUrl === peerUrl)
      // One that was added and not started has nothing to lose.
      if (mine && mine.name === '' && mine.learner) return { id: mine.id, members }
      try {
        if (mine) await this.remove(mine.id)
        // Not sent twice: the second would be refused, because the first was taken.
        const request = { peerUrls: [peerUrl], learner: true }
        await this.#client.call(memberAdd, request, { timeoutMs: CALL_MS, once: true, signal })
      } catch (error) {
        // Another one is joining, or etcd has too few members that run: both pass.
        if (codeOf(error) !== 'STORE_REFUSED' && codeOf(error) !== 'STORE_UNREACHABLE') throw error
        await sleep(this.#clock, RETRY_MS, signal)
      }
    }
  }

  /** Resolves when the member has caught up and votes. */
  async promote(id: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#client.call(memberPromote, { id: BigInt(`0x${id}`) }, { timeoutMs: CALL_MS, signal })
        return
      } catch (error) {
        if (/can only promote a learner member$/.test(messageOf(error))) return
        if (codeOf(error) !== 'STORE_REFUSED' && codeOf(error) !== 'STORE_UNREACHABLE') throw error
        await sleep(this.#clock, RETRY_MS, signal)
      }
    }
  }

  /** A member's new place. */
  async update(id: string, peerUrl: string): Promise<void> {
    await this.#client.call(memberUpdate, { id: BigInt(`0x${id}`), peerUrls: [peerUrl] }, { timeoutMs: CALL_MS })
  }

  /** Harmless for one that is none any more. @throws STORE_REFUSED where too few would be left */
  async remove(id: string): Promise<void> {
    try {
      await this.#client.call(memberRemove, { id: BigInt(`0x${id}`) }, { timeoutMs: CALL_MS })
    } catch (error) {
      if (!/member not found/i.test(messageOf(error))) throw error
    }
  }

  /** Hands etcd's own leadership to another member, if this one has it. */
  async moveLeader(to: string): Promise<void> {
    await this.#client.call(moveLeader, { target: BigInt(`0x${to}`) }, { timeoutMs: CALL_MS, once: true })
  }

  close(): void {
    this.#client.close()
  }
}

function known({ id, name, peerUrls, clientUrls, learner }: EtcdMember): KnownMember {
  return { id: id.toString(16), name, peerUrl: peerUrls?.[0] ?? '', clientUrl: clientUrls?.[0] ?? '', learner }
}
