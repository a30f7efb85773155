/**
 * How a server gets a place among the members of an etcd that others run already.
 *
 * etcd adds one learner at a time and refuses while too few members run. Both pass, so it is asked again and again; only a
 * learner whose server is gone for good is taken out of the way.
 */
import { type Clock, codeOf, type Logger, messageOf } from '#base'
import type { EtcdMemberProcess, EtcdMembership, KnownMember } from '#store'
import { agentError } from './agent-errors.ts'
import type { Founder } from './etcd-founding.ts'
import type { EtcdStanding } from './etcd-standing.ts'

/** Between two attempts at what etcd refuses for now. */
const RETRY_MS = 300
/** How long a learner may stand in the way while no server says that it is its own. */
const ABANDONED_MS = 30_000
/** How often it is said what is waited for. */
const SAY_MS = 10_000
/** How often etcd is asked whether it has a leader. */
const READY_LOOK_MS = 100
/** How long one such question may take. */
const READY_CALL_MS = 2_000
/** How long one question may take, before others are asked who are members by now. */
const CALL_MS = 5_000

export interface JoiningModules {
  readonly standing: EtcdStanding
  readonly membership: EtcdMembership
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * Adds a server as a learner, in the place of what it was before: that is lost.
 *
 * @returns all members
 * @throws ETCD_ADDRESS_TAKEN; the reason of the signal
 */
export async function joinMembers(self: Founder, modules: JoiningModules): Promise<readonly Founder[]> {
  const { standing, membership, clock, log, signal } = modules
  const startedMs = clock.nowMs()
  let toldMs = startedMs
  for (;;) {
    const endpoints = standing.memberUrls()
    try {
      if (endpoints.length > 0) {
        membership.useEndpoints(endpoints)
        const members = await attempt(self, modules, clock.nowMs() - startedMs > ABANDONED_MS)
        if (members) return clusterOf(members, self)
        continue
      }
    } catch (error) {
      if (!mayPass(error)) throw error
      if (clock.nowMs() - toldMs >= SAY_MS) {
        toldMs = clock.nowMs()
        log.warn('etcd does not take this server in yet', { error: messageOf(error) })
      }
    }
    await standing.changed(RETRY_MS, signal)
  }
}

/** @returns undefined where it was added just now: who is a member is asked again */
async function attempt(self: Founder, { standing, membership, log, signal }: JoiningModules, late: boolean) {
  const call = { signal, timeoutMs: CALL_MS }
  const members = await membership.list(call)
  for (const member of members) {
    const { id, name, peerUrl, learner } = member
    const mine = peerUrl === self.peerUrl || name === self.name
    // One that was added and not started has nothing to lose.
    if (mine && name === '' && learner) return members
    if (mine && name !== self.name && standing.isAlive(name)) {
      throw agentError('ETCD_ADDRESS_TAKEN', { peerUrl, name })
    }
    const abandoned = learner && late && !standing.others().some((other) => other.peerUrl === peerUrl)
    if (!mine && !abandoned) continue
    log.info('taking a member of etcd out that is no more', { name, peerUrl })
    await membership.remove(id, call)
  }
  await membership.add(self.peerUrl, call)
  return undefined
}

function mayPass(error: unknown): boolean {
  return codeOf(error) === 'STORE_REFUSED' || codeOf(error) === 'STORE_UNREACHABLE'
}

/** The others as they are known, and ourselves by our name; etcd goes by the URLs, but wants a name for each. */
function clusterOf(members: readonly KnownMember[], { name, peerUrl }: Founder): readonly Founder[] {
  return members.map((member, position) => ({
    name: member.peerUrl === peerUrl ? name : member.name || `member-${position}`,
    peerUrl: member.peerUrl,
  }))
}

/** A member that has been started. */
export interface StartedMember extends Founder {
  readonly clientUrl: string
  readonly process: EtcdMemberProcess
  /** Whether the others have removed it. */
  readonly isOver: () => boolean
}

/** Resolves with true when the member answers and votes, with false when it is over. @throws ETCD_ENDS */
export async function becomeVoter(self: StartedMember, modules: JoiningModules): Promise<boolean> {
  const { standing, membership, clock, log, signal } = modules
  let toldMs = clock.nowMs()
  while (!self.isOver()) {
    self.process.assertAlive()
    try {
      await takePlace(self, modules)
      membership.useEndpoints([self.clientUrl])
      const members = await membership.list({ signal, timeoutMs: READY_CALL_MS })
      // Where its port is another's, that one answers.
      if (members.some(({ name, peerUrl }) => name === self.name && peerUrl === self.peerUrl)) return true
    } catch (error) {
      signal.throwIfAborted()
      if (clock.nowMs() - toldMs >= SAY_MS) {
        toldMs = clock.nowMs()
        log.warn('etcd beside this server has no leader yet', {
          error: messageOf(error),
          last: self.process.lastWords,
        })
      }
    }
    await standing.changed(READY_LOOK_MS, signal)
  }
  return false
}

/**
 * Asks for a vote, and tells the members where this one is now. A member that was added begins as a learner, also where
 * the server was killed while it caught up; and one may have a new address.
 */
async function takePlace(
  { name, peerUrl, clientUrl }: StartedMember,
  { standing, membership, log, signal }: JoiningModules,
): Promise<void> {
  const call = { signal, timeoutMs: READY_CALL_MS }
  const isNew = (each: KnownMember) => each.peerUrl === peerUrl && each.name === ''
  const others = standing.memberUrls()
  membership.useEndpoints(others.length > 0 ? others : [clientUrl])
  const members = await membership.list(call)
  const own = members.find((each) => each.name === name) ?? members.find(isNew)
  if (own && own.peerUrl !== peerUrl) {
    log.info('this server has a new address, telling the other members of etcd', { was: own.peerUrl })
    await membership.update(own.id, peerUrl, call)
  }
  if (own?.learner) await membership.promote(own.id, call)
}
