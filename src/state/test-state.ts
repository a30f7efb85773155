/**
 * What the tests of this folder share: a state over the real engine in memory, and short ways to make records.
 */
import { type Logger, Metrics, silentLogger, systemClock } from '#base'
import { DirEntry, HealthCheck, Node, NodeService } from '#codec'
import { type Engine, openMemory } from '#store'
import { State } from './state.ts'

export function stateOver(engine: Engine, indexFloor = 0, log: Logger = silentLogger): Promise<State> {
  return State.open({ engine, clock: systemClock, log, metrics: new Metrics(), datacenter: 'dc1', indexFloor })
}

/** Opens an empty state, hands it to `use`, and closes it and its engine whatever happens. */
export async function withState(use: (state: State, engine: Engine) => Promise<void>): Promise<void> {
  const engine = await openMemory()
  const state = await stateOver(engine)
  try {
    await use(state, engine)
  } finally {
    await state.close()
    await engine.close()
  }
}

export const node = (name: string, more: Partial<Node> = {}): Node =>
  Node.of({ Node: name, Address: '10.0.0.1', ...more })

export const service = (name: string, more: Partial<NodeService> = {}): NodeService =>
  NodeService.of({ ID: name, Service: name, ...more })

export const check = (nodeName: string, id: string, more: Partial<HealthCheck> = {}): HealthCheck =>
  HealthCheck.of({ Node: nodeName, CheckID: id, Status: 'passing', ...more })

export const entry = (key: string, value = 'v'): DirEntry => DirEntry.of({ Key: key, Value: Buffer.from(value) })
