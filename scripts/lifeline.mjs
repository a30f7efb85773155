/**
 * Lifeline: ends a process when the script that started it is gone, however that one ended.
 *
 * processes.mjs starts children outside the terminal's process group, so that a signal reaches them once. The price
 * would be an orphan when the script itself is killed with SIGKILL. Preloaded with `--import`, this file holds one end
 * of a pipe; when the other end closes it asks its own process to stop, as a person would. The variable is taken out of
 * the environment at once: it speaks of this process and not of those that it starts.
 */
import { Socket } from 'node:net'

const fd = Number(process.env.HANSE_LIFELINE_FD)
delete process.env.HANSE_LIFELINE_FD

if (Number.isInteger(fd) && fd > 2) {
  const line = new Socket({ fd, readable: true, writable: false })
  const parentGone = () => process.kill(process.pid, 'SIGTERM')
  line.on('error', () => {}) // 'close' follows and says the same
  line.on('close', parentGone)
  line.resume()
  line.unref()
}
