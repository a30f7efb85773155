/**
 * A server that has not yet heard what another one was answered: a write that would throw or do nothing waits until it
 * has, and decides anew.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirEntry, Session } from '#codec'
import { type ChangeBatch, type Engine, openMemory } from '#store'
import type { State } from './state.ts'
import { check, entry, node, stateOver } from './test-state.ts'
import type { WriteTx } from './transactions.ts'

/** An engine whose stream stands still until it is let go. */
function lagging(engine: Engine): { engine: Engine; letGo(): void } {
  const held: ChangeBatch[] = []
  let deliver: ((batch: ChangeBatch) => void) | undefined
  let isHeld = true
  return {
    engine: new Proxy(engine, {
      get(target, name) {
        if (name === 'subscribe') {
          return (...[after, onBatch, onLost]: Parameters<Engine['subscribe']>) => {
            deliver = onBatch
            return target.subscribe(after, (batch) => (isHeld ? void held.push(batch) : onBatch(batch)), onLost)
          }
        }
        const member: unknown = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
    letGo() {
      isHeld = false
      for (const batch of held.splice(0)) deliver?.(batch)
    },
  }
}

const session = Session.of({ ID: 's1', Node: 'n1', NodeChecks: ['c1'] })
const locking = DirEntry.of({ Key: 'k', Session: 's1' })

interface Case {
  readonly what: string
  /** What another server was answered. */
  readonly there: (tx: WriteTx) => unknown
  readonly here: (tx: WriteTx) => unknown
  readonly value: unknown
}
const CASES: readonly Case[] = [
  {
    what: 'a lock by a session that was just made',
    there: (tx) => tx.putSession(session),
    here: (tx) => tx.lockKv(locking),
    value: true,
  },
  {
    what: 'the end of a session that was just made',
    there: (tx) => tx.putSession(session),
    here: (tx) => tx.endSession('s1'),
    value: true,
  },
  {
    what: 'a deletion of a key that was just written',
    there: (tx) => tx.putKv(entry('new')),
    here: (tx) => tx.deleteKv('new'),
    value: true,
  },
  {
    what: 'a check of a node that was just registered',
    there: (tx) => tx.putNode(node('n2')),
    here: (tx) => tx.putCheck(check('n2', 'c')),
    value: true,
  },
]

for (const { what, there, here, value } of CASES) {
  test(`${what} at another server is done, though the news is late`, async () => {
    const inner = await openMemory()
    const other = await stateOver(inner)
    await other.write((tx) => [tx.putNode(node('n1')), tx.putCheck(check('n1', 'c1'))])
    const { engine, letGo } = lagging(inner)
    const late: State = await stateOver(engine)
    await other.write(there)
    let answered = false
    const writing = late.write(here).finally(() => {
      answered = true
    })
    await other.consistent()
    assert.equal(answered, false)
    letGo()
    assert.equal((await writing).value, value)
    await Promise.all([other.close(), late.close()])
    await inner.close()
  })
}

test('what is refused with all the news there is refused once: the work runs no more than it must', async () => {
  const engine = await openMemory()
  const state = await stateOver(engine)
  let runs = 0
  const refuse = (tx: WriteTx) => {
    runs++
    return tx.putCheck(check('ghost', 'c'))
  }
  await assert.rejects(state.write(refuse), { code: 'STATE_MISSING_NODE' })
  assert.equal(runs, 1)
  await state.close()
  await engine.close()
})
