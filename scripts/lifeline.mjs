/**
 * Lifeline: ends a process when the script that started it is gone, however that one ended.
 *
 * processes.mjs starts programs outside the terminal's process group, so that a signal reaches them once. The price
 * would be an orphan when the script itself is killed with SIGKILL. Preloaded with `--import`, this file holds one end
 * of a pipe; when the other end closes it asks its own process to stop, as a person would. Flags and environment are
 * inherited by what the program starts, the pipe is not: only the script's own child takes it up.
 */
import { Socket } from 'node:net'

/** Where processes.mjs puts the pipe. */
const LIFELINE_FD = 3

if (process.env.HANSE_LIFELINE_PARENT === String(process.ppid)) {
  delete process.env.HANSE_LIFELINE_PARENT
  const line = new Socket({ fd: LIFELINE_FD, readable: true, writable: false })
  line.on('error', () => {}) // 'close' follows and says the same
  line.on('close', () => process.kill(process.pid, 'SIGTERM'))
  line.resume()
  line.unref()
}
