/**
 * Processes: how the scripts of this folder start another program, hand signals on, and pass its exit code back.
 *
 * A Ctrl-C in a terminal reaches every process of the foreground group, and npm hands the same signal on once more. A
 * child that cleans up on the first signal and gives up on the second would never finish cleaning. So the child gets a
 * process group of its own, and the script is the only one that signals it: once for one key stroke.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout these scripts belong to. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The same signal within this time is the terminal and npm reporting one key stroke. */
const SAME_KEYSTROKE_MS = 1_000
const PARENT_CHECK_MS = 1_000
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Runs a program in the pinned Node, in a process group of its own, and waits until it has ended.
 *
 * @param {string[]} args - flags, file, arguments of the program
 * @returns {Promise<number>} exit code; 128 + signal number when a signal ended it
 */
export function runPinnedNode(args) {
  return supervise(['--import', join(root, 'scripts', 'lifeline.mjs'), ...args], {
    detached: true,
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, HANSE_LIFELINE_PARENT: String(process.pid) },
  })
}

/**
 * The same for `node --test`, which stops at a signal without cleaning up: it stays in this process group, so that
 * whoever kills the group (`timeout`, a terminal that closes) takes every test process along.
 */
export function runPinnedNodeInGroup(args) {
  return supervise(args, { stdio: 'inherit' })
}

function supervise(args, options) {
  const program = join(root, 'scripts', 'node.sh')
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, ...options })
    const lifeline = child.stdio[3]
    lifeline?.on('error', () => {}) // the child may close its end before it exits
    const stopForwarding = forwardSignals(child)
    child.once('error', (error) => {
      stopForwarding()
      reject(new Error(`cannot start "${program}": ${error.message}`))
    })
    // 'exit' and not 'close': what the child started may still hold the pipe.
    child.once('exit', (code, signal) => {
      stopForwarding()
      lifeline?.destroy()
      resolve(exitCode(code, signal))
    })
  })
}

/** Hands each signal to the child once, however often it arrives within one key stroke; returns how to stop that. */
function forwardSignals(child) {
  const lastMs = new Map()
  const forward = (signal) => {
    const nowMs = performance.now()
    const before = lastMs.get(signal)
    lastMs.set(signal, nowMs)
    if (before !== undefined && nowMs - before < SAME_KEYSTROKE_MS) return
    child.kill(signal)
  }
  for (const signal of FORWARDED) process.on(signal, forward)
  const stopWatching = whenNpmIsGone(() => forward('SIGTERM'))
  return () => {
    stopWatching()
    for (const signal of FORWARDED) process.off(signal, forward)
  }
}

/** An npm that was killed with SIGKILL hands nothing on; that this script has another parent then is the sign of it. */
function whenNpmIsGone(act) {
  if (process.env.npm_lifecycle_event === undefined) return () => {}
  const npm = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === npm) return
    clearInterval(timer)
    act()
  }, PARENT_CHECK_MS)
  return () => clearInterval(timer)
}

/** The exit code a shell would report. */
export function exitCode(code, signal) {
  return code ?? 128 + (constants.signals[signal] ?? 0)
}

/**
 * Runs a program and gathers what it says, for steps whose output matters only when they fail.
 *
 * @returns {Promise<{ code: number, output: string }>} stdout and stderr as they came, at most `MAX_OUTPUT_CHARS`
 */
export function capture(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (chunk) => {
      if (output.length < MAX_OUTPUT_CHARS) output += chunk
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', (error) => resolve({ code: 127, output: `cannot start "${program}": ${error.message}\n` }))
    child.once('close', (code, signal) => resolve({ code: exitCode(code, signal), output }))
  })
}

/** Runs a program whose output is for whoever runs this script. @returns {Promise<number>} its exit code */
export function run(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', (error) => {
      process.stderr.write(`cannot start "${program}": ${error.message}\n`)
      resolve(127)
    })
    child.once('close', (code, signal) => resolve(exitCode(code, signal)))
  })
}

/** More than a person reads of one failed step. */
const MAX_OUTPUT_CHARS = 1_000_000
