/**
 * Writers that put directly into etcd, folded, in a process of their own as the writers of a server are: each message
 * says how many of them and for how long, and is answered with how many puts were done.
 *
 * Arguments: the endpoints, separated by commas, and a name that no other such process has.
 */
import { BareFolder, bareClient } from '../src/store/etcd/bare-fixture.ts'

export interface Order {
  readonly writers: number
  readonly runMs: number
  readonly valueBytes: number
}

/** @returns how many puts were done */
export async function putThrough(folder: BareFolder, { writers, runMs, valueBytes }: Order): Promise<number> {
  const end = performance.now() + runMs
  let count = 0
  const write = async (writer: number) => {
    while (performance.now() < end) {
      await folder.put(`key/${writer}`, Buffer.alloc(valueBytes, count))
      count++
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  return count
}

// Only as a child process: whoever imports this file wants what is above.
if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const [endpoints = '', name = ''] = process.argv.slice(2)
  const folder = new BareFolder(bareClient(endpoints.split(',')), name)
  process.on('message', async (order: Order) => process.send?.(await putThrough(folder, order)))
  process.on('disconnect', () => process.exit())
}
