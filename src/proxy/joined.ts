/**
 * Two connections that flow into each other.
 */
import type { Socket } from 'node:net'

/**
 * Lets both sides flow into each other until both have ended, or one breaks. The end of one side is passed on alone.
 *
 * @param first - bytes of the client that were read already
 */
export function joined(client: Socket, upstream: Socket, first?: Buffer): Promise<void> {
  return new Promise((resolve) => {
    let open = 2
    const onClose = (other: Socket) => () => {
      // After an orderly end of both sides the other closes by itself; anything else must not leave it hanging.
      if (!other.readableEnded || !other.writableEnded) other.destroy()
      if (--open === 0) resolve()
    }
    client.on('close', onClose(upstream))
    upstream.on('close', onClose(client))
    if (first) upstream.write(first)
    client.pipe(upstream)
    upstream.pipe(client)
  })
}
