/** A restore by one of several servers that share a store in memory. */
import { test } from 'node:test'
import { restoreByAnotherServer } from '../support/restore-scenario.ts'
import { testServers } from '../support/servers.ts'

test('a snapshot that one server saved is restored by another, in all of them', async (context) => {
  await restoreByAnotherServer(await testServers(context))
})
