/**
 * `hanse intention create`: says whether a service may call another, from flags or from files.
 */
import { Intention, list, pointer } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext, Flags } from './command.ts'
import { readEntryText } from './entry-text.ts'
import { cliError } from './errors.ts'
import { EXACT_PATH, inWords, sourceAndDestination } from './intention-answers.ts'

const LIST_PATH = '/v1/connect/intentions'
const ListedIntentions = list(pointer(Intention))

/** @throws ARGUMENTS where both or contradicting flags are given */
function actionOf(flags: Flags): string {
  if (flags.bool('allow') && flags.bool('deny')) {
    throw cliError('ARGUMENTS', { message: 'Only one of -allow or -deny may be specified' })
  }
  return flags.bool('deny') ? 'deny' : 'allow'
}

/** @throws ARGUMENTS, FLAG_VALUE; REQUEST_FAILED for a file that holds no intention */
async function intentionsOf(context: CommandContext): Promise<readonly Intention[]> {
  const { flags, args } = context
  const shared = {
    Action: actionOf(flags),
    SourceType: 'consul',
    Meta: flags.has('meta') ? Object.fromEntries(flags.pairs('meta')) : null,
  }
  if (!flags.bool('file')) {
    const { source, destination } = sourceAndDestination(args)
    return [Intention.of({ ...shared, SourceName: source, DestinationName: destination })]
  }
  if (args.length === 0) throw cliError('ARGUMENTS', { message: 'Create intentions: -file needs a FILE' })
  const intentions: Intention[] = []
  for (const file of args) {
    const doing = `Error reading intention from "${file}"`
    const text = await readEntryText(file, doing, context)
    try {
      intentions.push(Intention.fromJson(text, '', { unknownKeys: 'refuse' }))
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'it is no intention'
      throw cliError('REQUEST_FAILED', { doing, reason, hint: '' }, error)
    }
  }
  return intentions
}

/** What is written: nothing that the server decides. */
function bodyOf(intention: Intention): object {
  const { SourceName, DestinationName, SourceType, Action, Meta, Description, Permissions } = intention
  return Intention.toJson(
    Intention.of({ SourceName, DestinationName, SourceType, Action, Meta, Description, Permissions }),
  ) as object
}

/** Replaces the one that is there, if there is one. */
async function replace(agent: AgentApi, doing: string, intention: Intention): Promise<boolean> {
  const query = { source: intention.SourceName, destination: intention.DestinationName }
  const known = await agent.get(`${doing}: looking for the one to replace`, ListedIntentions, LIST_PATH)
  const old = known?.find(
    (each) => each?.SourceName === query.source && each.DestinationName === query.destination && each.SourcePeer === '',
  )
  if (!old) return false
  if (old.ID !== '') {
    await agent.send(doing, 'PUT', `${LIST_PATH}/${old.ID}`, { body: bodyOf(intention) })
    return true
  }
  await agent.send(doing, 'PUT', EXACT_PATH, { query, body: bodyOf(intention) })
  return true
}

export const command: Command = {
  name: 'intention create',
  summary: 'Allows or denies calls from one service to another',
  usage: 'SOURCE DESTINATION',
  help: 'Creates an intention: whether SOURCE may call DESTINATION. "*" is every service. With -file: those of files.',
  args: [0, Number.POSITIVE_INFINITY],
  flags: {
    ...API_FLAGS,
    allow: { kind: 'bool', help: 'Allow the calls (default)' },
    deny: { kind: 'bool', help: 'Deny the calls' },
    file: { kind: 'bool', help: 'The arguments are files (JSON or HCL), one intention each' },
    meta: { kind: 'list', value: 'key=value', help: 'Metadata; may be given several times' },
    replace: { kind: 'bool', help: 'Replace the intention that is there' },
  },
  async run(context) {
    const { flags, print } = context
    const intentions = await intentionsOf(context)
    return withAgent(context, async (agent) => {
      for (const intention of intentions) {
        const doing = `Error creating intention "${inWords(intention)}"`
        const replaced = flags.bool('replace') && (await replace(agent, doing, intention))
        if (!replaced) await agent.send(doing, 'POST', LIST_PATH, { body: bodyOf(intention) })
        print(`Created: ${inWords(intention)}`)
      }
      return 0
    })
  },
}
