/**
 * /v1/agent/service/:id, which blocks on the hash of its content instead of an index.
 */
import type { AgentPort } from '../agent-port.ts'
import { apiError } from '../errors.ts'
import { type Answer, jsonAnswer } from '../http/answer.ts'
import { readOptions } from '../http/read-options.ts'
import type { ApiRequest } from '../http/request.ts'
import { agentServiceJson, contentHashOf } from './agent-json.ts'
import type { RoutePorts } from './read-route.ts'

/** Answers at once, or when the hash is no longer the one that was given, or when the wait is over. */
export async function waitForHash(ports: RoutePorts, agent: AgentPort, request: ApiRequest): Promise<Answer> {
  const { MaxQueryTime } = readOptions(request.query)
  const given = request.query.get('hash') ?? ''
  const first = current(agent, request)
  if (given === '' || first.hash !== given) return first.answer
  const waitMs = ports.endpoints.cappedWaitMs(MaxQueryTime)
  return new Promise((resolve, reject) => {
    const finish = () => {
      stopListening()
      timer.cancel()
      try {
        resolve(current(agent, request).answer)
      } catch (thrown) {
        reject(thrown)
      }
    }
    const timer = ports.clock.after(waitMs, finish)
    const stopListening = agent.onServiceChange(() => {
      if (agent.service(request.rest) === undefined || current(agent, request).hash !== given) finish()
    })
    request.signal.addEventListener('abort', finish, { once: true })
  })
}

function current(agent: AgentPort, request: ApiRequest): { hash: string; answer: Answer } {
  const service = agent.service(request.rest)
  if (service === undefined) throw apiError('UNKNOWN_SERVICE_ID', { id: request.rest })
  const hash = contentHashOf(agentServiceJson(service, agent.datacenter))
  const json = agentServiceJson(service, agent.datacenter, hash)
  return { hash, answer: jsonAnswer(json, request.pretty, ['X-Consul-Contenthash', hash]) }
}
