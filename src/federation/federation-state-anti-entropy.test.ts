/**
 * Telling the primary of our gateways, over real tables: once for each change, and again until it worked.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics, silentLogger, sleep, systemClock } from '#base'
import { type FederationState, Node, NodeService } from '#codec'
import { State } from '#state'
import { openMemory } from '#store'
import { FederationStateAntiEntropy } from './federation-states.ts'

async function openState() {
  const engine = await openMemory()
  const state = await State.open({
    engine,
    clock: systemClock,
    log: silentLogger,
    metrics: new Metrics(),
    datacenter: 'dc2',
  })
  return {
    state,
    close: async () => {
      await state.close()
      await engine.close()
    },
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 2_000, 'the condition did not come true')
    await sleep(systemClock, 5)
  }
}

function registerGateway(state: State, port: number) {
  return state.write((tx) => {
    tx.putNode(Node.of({ Node: 's2', Address: '127.0.0.1', Datacenter: 'dc2' }))
    tx.putService('s2', NodeService.of({ Kind: 'mesh-gateway', ID: 'gw', Service: 'mesh-gateway', Port: port }))
  })
}

test('anti-entropy tells the primary of each change of our gateways, and nothing twice', async () => {
  const { state, close } = await openState()
  const told: FederationState[] = []
  const antiEntropy = new FederationStateAntiEntropy('dc2', {
    state,
    clock: systemClock,
    log: silentLogger,
    apply: async ({ State: told_ }) => {
      if (!told_) return
      told.push(told_)
      // The primary's record comes back by replication.
      await state.write((tx) => tx.putFederationState({ ...told_, PrimaryModifyIndex: 40 + told.length }))
    },
  })
  antiEntropy.start()
  await until(() => told.length === 1)
  assert.equal(told[0]?.MeshGateways, null)
  await registerGateway(state, 8443)
  await until(() => told.length === 2)
  assert.deepEqual(
    told[1]?.MeshGateways?.map((entry) => entry.Service?.Port),
    [8443],
  )
  await registerGateway(state, 9443)
  await until(() => told.length === 3)
  await state.write((tx) => tx.putNode(Node.of({ Node: 'other', Address: '127.0.0.2', Datacenter: 'dc2' })))
  await sleep(systemClock, 100)
  assert.equal(told.length, 3)
  antiEntropy.stop()
  await close()
})

test('anti-entropy tries again after a failure, at once when the primary is back', async () => {
  const { state, close } = await openState()
  let attempts = 0
  const antiEntropy = new FederationStateAntiEntropy('dc2', {
    state,
    clock: systemClock,
    log: silentLogger,
    apply: async () => {
      attempts++
      if (attempts < 3) throw new Error('Remote DC has no server currently reachable')
    },
  })
  antiEntropy.start()
  await until(() => attempts === 1)
  antiEntropy.wake()
  await until(() => attempts === 2)
  antiEntropy.wake()
  await until(() => attempts === 3)
  antiEntropy.stop()
  await close()
})
