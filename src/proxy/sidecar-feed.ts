/**
 * What a sidecar is to do, followed through the HTTP API of its agent by questions that wait for a change.
 */
import { type Clock, type Logger, messageOf, sleep } from '#base'
import { type HttpClient, segment } from '#client'
import { ProxySnapshot } from '#mesh'

const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 10_000
const WAIT = '5m'

/**
 * Hands over the first snapshot and each that differs from the one before, until the signal is aborted. What was handed
 * over stays in force while the agent does not answer.
 */
export async function followSnapshot(
  proxyId: string,
  apply: (snapshot: ProxySnapshot) => Promise<void>,
  modules: { readonly client: HttpClient; readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { client, clock, log, signal } = modules
  let hash = ''
  let failures = 0
  while (!signal.aborted) {
    try {
      const path = `/v1/internal/proxy-snapshot/${segment(proxyId)}`
      const query = hash === '' ? {} : { hash, wait: WAIT, index: 1 }
      const answer = await client.expect('GET', path, { query, signal })
      const snapshot = ProxySnapshot.fromJson(JSON.parse(answer.body.toString('utf8')), '', { unknownKeys: 'skip' })
      const next = String(answer.headers['x-consul-contenthash'] ?? '')
      if (next !== hash) await apply(snapshot)
      hash = next
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures++
      if (failures === 1) log.warn('no new configuration, the last one stays in force', { error: messageOf(error) })
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 8))
      await sleep(clock, delayMs, signal).catch(() => undefined)
    }
  }
}
