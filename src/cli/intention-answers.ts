/**
 * What the commands about intentions share: source and destination as people name them, and an intention in words.
 */
import type { Query } from '#client'
import { Intention, pointer } from '#codec'
import type { AgentApi } from './agent-api.ts'
import { cliError } from './errors.ts'

const MaybeIntention = pointer(Intention)
export const EXACT_PATH = '/v1/connect/intentions/exact'
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** @throws ARGUMENTS with the words that Consul's users know */
export function sourceAndDestination(args: readonly string[]): { source: string; destination: string } {
  const [source, destination] = args
  if (args.length === 2 && source && destination) return { source, destination }
  throw cliError('ARGUMENTS', { message: 'Error: Must specify two arguments: source and destination' })
}

/** Where the intention is found that one ID, or a source and a destination, name. @throws ARGUMENTS */
export function intentionPlace(args: readonly string[]): { readonly path: string; readonly query: Query } {
  const [id = ''] = args
  if (args.length === 1 && UUID.test(id)) return { path: `/v1/connect/intentions/${id.toLowerCase()}`, query: {} }
  if (args.length === 1) {
    throw cliError('ARGUMENTS', { message: `Find intention "${id}": it is no ID; name a source and a destination` })
  }
  return { path: EXACT_PATH, query: { ...sourceAndDestination(args) } }
}

/** @throws REQUEST_FAILED, where there is none too */
export async function findIntention(agent: AgentApi, doing: string, args: readonly string[]): Promise<Intention> {
  const { path, query } = intentionPlace(args)
  const found = await agent.get(doing, MaybeIntention, path, query)
  if (found === null) throw cliError('REQUEST_FAILED', { doing, reason: 'the answer is not an intention', hint: '' })
  return found
}

/** "allow", "deny", or how many permissions decide. */
export function decisionOf({ Action, Permissions }: Pick<Intention, 'Action' | 'Permissions'>): string {
  const count = Permissions?.length ?? 0
  return count === 0 ? Action : `${count} permission${count === 1 ? '' : 's'}`
}

/** "web => db (allow)" */
export function inWords(
  intention: Pick<Intention, 'SourceName' | 'DestinationName' | 'Action' | 'Permissions'>,
): string {
  return `${intention.SourceName} => ${intention.DestinationName} (${decisionOf(intention)})`
}
