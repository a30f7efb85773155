/**
 * `hanse watch`: what an agent knows of something, once, or by a handler that runs at each change.
 *
 * The handler gets the answer as JSON on its standard input and the index in CONSUL_INDEX. It runs first with what is there,
 * then once for each answer that differs from the last; one run ends before the next begins.
 */
import { spawn } from 'node:child_process'
import { messageOf, sleep, systemClock } from '#base'
import { goJson, type JsonValue } from '#codec'
import { type AgentApi, withAgent } from './agent-api.ts'
import { API_FLAGS } from './api-flags.ts'
import type { Command, CommandContext } from './command.ts'
import { cliError } from './errors.ts'
import { questionOf, WATCH_TYPES, type WatchedQuestion } from './watch-types.ts'

const DOING = 'Error querying Consul agent'
/** After a failure, growing with each up to the longest. */
const RETRY_MS = 5_000
const MAX_RETRY_MS = 180_000
/** How long one question waits for a change. */
const WAIT = '300s'

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
    const question = questionOf(context.flags)
    return withAgent(context, async (agent) => {
      if (context.args.length > 0) return follow(agent, question, context)
      const { value } = await ask(agent, question, '')
      context.print(goJson(value, { indent: '    ' }))
      return 0
    })
  },
}

interface Asked {
  readonly value: JsonValue
  /** As text: those of events use all 64 bits. */
  readonly index: string
}

async function ask(agent: AgentApi, { path, query, byHash, pick }: WatchedQuestion, known: string): Promise<Asked> {
  const waiting = known === '' ? {} : { [byHash ? 'hash' : 'index']: known, wait: WAIT }
  const answer = await agent.ask(DOING, path, { ...query, ...waiting })
  const header = answer.headers[byHash ? 'x-consul-contenthash' : 'x-consul-index']
  const body = answer.status === 404 ? undefined : answer.body.toString('utf8')
  return { value: pick(body), index: typeof header === 'string' ? header : '' }
}

async function follow(agent: AgentApi, question: WatchedQuestion, context: CommandContext): Promise<number> {
  const { signal, warn } = context
  let known = ''
  let shown: string | undefined
  let failures = 0
  while (!signal.aborted) {
    try {
      const { value, index } = await ask(agent, question, known)
      // Without one the next question would not wait.
      if (index === '') throw cliError('REQUEST_FAILED', { doing: DOING, reason: 'the answer has no index', hint: '' })
      failures = 0
      // One that went back is of a server that began anew: nothing is to be waited for.
      known = !question.byHash && isLower(index, known) && question.path !== EVENTS ? '' : index
      const text = goJson(value)
      if (text === shown) continue
      shown = text
      await handle(text, index, context)
    } catch (error) {
      if (signal.aborted) break
      const delayMs = Math.min(MAX_RETRY_MS, RETRY_MS * ++failures)
      warn(`${messageOf(error)}, retry in ${delayMs / 1_000}s`)
      await sleep(systemClock, delayMs, signal).catch(() => undefined)
    }
  }
  return 0
}

/** Its indexes name events and do not grow. */
const EVENTS = '/v1/event/list'

function isLower(index: string, than: string): boolean {
  return index !== '' && than !== '' && BigInt(index) < BigInt(than)
}

/** Runs the handler to its end. One that fails is told of and does not end the watch. */
function handle(text: string, index: string, { args, flags, env, stdout, stderr, signal, warn }: CommandContext) {
  const [program = '', ...rest] = args
  const shell = !flags.has('shell') || flags.bool('shell')
  const child = shell
    ? spawn('sh', ['-c', args.join(' ')], { env: { ...env, CONSUL_INDEX: index } })
    : spawn(program, rest, { env: { ...env, CONSUL_INDEX: index } })
  child.stdout.pipe(stdout, { end: false })
  child.stderr.pipe(stderr, { end: false })
  // A handler need not read what it is given.
  child.stdin.on('error', () => {})
  child.stdin.end(`${text}\n`)
  const stop = () => void child.kill('SIGTERM')
  signal.addEventListener('abort', stop, { once: true })
  return new Promise<void>((resolve) => {
    const done = (problem: string | undefined) => {
      signal.removeEventListener('abort', stop)
      if (problem !== undefined && !signal.aborted) warn(`Error executing handler: ${problem}`)
      resolve()
    }
    child.once('error', (error) => done(error.message))
    child.once('close', (code, killed) => done(code === 0 ? undefined : `exit status ${code ?? killed}`))
  })
}
