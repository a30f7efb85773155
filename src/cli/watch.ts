/**
 * `hanse watch`: what an agent knows of something, once, or by a handler that runs at each change.
 */
import { systemClock } from '#base'
import { goJson } from '#codec'
import { type Ask, follow, questionOf, runHandler, WATCH_TYPES, watchError, watched } from '#watch'
import { withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command } from './command.ts'

const DOING = 'Error querying Consul agent'

export const command: Command = {
  name: 'watch',
  summary: 'Shows something as it is, or runs a program whenever it changes',
  usage: '[CHILD...]',
  help: [
    `Types: ${WATCH_TYPES.join(', ')}.`,
    'Without a program the answer is printed once. With one, the program runs now and at each change until Ctrl-C: it gets',
    'the answer as JSON on its standard input, and the index in CONSUL_INDEX.',
  ].join('\n'),
  args: [0, Number.MAX_SAFE_INTEGER],
  flags: {
    ...API_FLAGS,
    type: { kind: 'string', value: 'type', help: 'What to watch' },
    key: { kind: 'string', value: 'key', help: 'Of type key' },
    prefix: { kind: 'string', value: 'prefix', help: 'Of type keyprefix' },
    name: { kind: 'string', value: 'name', help: 'Of type event: only events of that name' },
    service: {
      kind: 'string',
      value: 'service',
      help: 'Of types service, checks and connect_leaf; of agent_service its ID',
    },
    tag: { kind: 'string', value: 'tag', help: 'Of type service: only instances with this tag' },
    passingonly: { kind: 'bool', help: 'Of type service: only instances that pass their checks' },
    state: { kind: 'string', value: 'state', help: 'Of type checks: only checks in this state' },
    filter: { kind: 'string', value: 'expression', help: 'Of types services, nodes, service and checks' },
    shell: { kind: 'bool', help: 'Run the program by a shell; default true' },
  },
  run(context) {
    const { args, flags, print, warn, signal } = context
    const text = (name: string) => flags.string(name)
    const question = questionOf({
      type: text('type'),
      key: text('key'),
      prefix: text('prefix'),
      name: text('name'),
      service: text('service'),
      tag: text('tag'),
      passingOnly: flags.bool('passingonly'),
      state: text('state'),
      filter: text('filter'),
    })
    return withAgent(context, async (agent) => {
      const ask: Ask = (path, query) => agent.ask(DOING, path, query)
      if (args.length === 0) {
        print(goJson((await watched(ask, question)).value, { indent: '    ' }))
        return 0
      }
      const handler = { words: args, shell: !flags.has('shell') || flags.bool('shell') }
      const handle = async (answer: string, index: string) => {
        const reason = await runHandler(handler, { text: answer, index }, context)
        // One that fails is told of and does not end the watch.
        if (reason !== undefined) warn(watchError('WATCH_HANDLER_FAILED', { reason }).message)
      }
      await follow(question, { ask, clock: systemClock, signal, handle, warn })
      return 0
    })
  },
}
