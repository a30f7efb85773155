/**
 * Packages: brings node_modules to what package-lock.json says, and does nothing (no network, no npm) when it is there.
 *
 * npm writes what it has installed to node_modules/.package-lock.json; that list is compared with the lock by version
 * and integrity. No package here needs its install script, so none is run. Optional packages (binaries for other
 * platforms) may be missing: whether a usable Node is among them is the question of node.sh.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './processes.mjs'

const MIN_NODE_MAJOR = 20
/** How often a step that takes long says so where there is no terminal to draw in. */
const PROGRESS_MS = 5_000
/** npm's reason comes first, then a page about its options that helps no one. */
const MAX_ERROR_LINES = 15
const NETWORK_ERROR = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED)\b/

/** Installs what is missing; a failure is told on stderr and ends the process with 1. */
export async function ensurePackages() {
  if (Number(process.versions.node.split('.')[0]) < MIN_NODE_MAJOR) {
    fail(`cannot run on Node ${process.versions.node}: ${MIN_NODE_MAJOR} or newer is needed`, 'install a newer Node')
  }
  const lock = readJson(join(root, 'package-lock.json'))
  if (lock === undefined) fail('cannot read "package-lock.json": the checkout is not complete', 'clone it again')
  const why = stalePackage(lock, readJson(join(root, 'node_modules', '.package-lock.json')), isThere)
  if (why === undefined) return
  say(`Installing packages (${why}; needs the network this once)`)
  const { code, errors, fetched, seconds } = await npmCi()
  if (code === 0) {
    say(`Packages installed in ${seconds} s (${fetched} fetched)`)
    return
  }
  say(errors)
  if (NETWORK_ERROR.test(errors)) {
    fail(
      'cannot install packages: the package registry cannot be reached',
      'check network, proxy and "npm config get registry", then run the same command again',
    )
  }
  fail(`cannot install packages: npm ended with ${code}`, 'run "npm ci --ignore-scripts" to see all that npm says')
}

/**
 * The first reason why an installation does not fit the lock; undefined when it fits.
 *
 * @param lock - package-lock.json
 * @param installed - node_modules/.package-lock.json, undefined when there is none
 * @param {(path: string) => boolean} onDisk - whether a package's folder is really there
 * @returns {string | undefined}
 */
export function stalePackage(lock, installed, onDisk) {
  if (installed?.packages === undefined) return 'none are there yet'
  for (const [path, wanted] of Object.entries(lock.packages)) {
    if (path === '') continue
    const found = installed.packages[path]
    if (found === undefined) {
      if (wanted.optional || wanted.devOptional) continue
      return `${nameOf(path)} is missing`
    }
    if (found.version !== wanted.version || found.integrity !== wanted.integrity) {
      return `${nameOf(path)} ${found.version} is not the ${wanted.version} of the lock`
    }
    if (!onDisk(path)) return `${nameOf(path)} is missing`
  }
  return undefined
}

const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

const isThere = (path) => existsSync(join(root, path, 'package.json'))

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** Runs `npm ci` with progress; npm's own error lines come back for the caller to show. */
async function npmCi() {
  const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=http']
  const npm = process.env.npm_execpath
  // The npm that called us, on the node it runs on. `npm run` puts node_modules/.bin first in PATH, which holds a node
  // that npm is about to delete.
  const [program, first] = npm ? [process.env.npm_node_execpath ?? process.execPath, [npm]] : ['npm', []]
  const started = performance.now()
  const secondsNow = () => Math.round((performance.now() - started) / 1000)
  const child = spawn(program, [...first, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: pathWithoutPackages(process.env.PATH ?? '') },
  })
  let fetched = 0
  const errors = []
  let rest = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (/^npm http .*\.tgz/.test(line)) fetched++
      else if (line.startsWith('npm error') && errors.length < MAX_ERROR_LINES) errors.push(line)
    }
  })
  const stopProgress = showProgress(() => `Installing packages: ${fetched} fetched, ${secondsNow()} s`)
  const code = await new Promise((resolve) => {
    child.once('error', (error) => {
      errors.push(`cannot start npm: ${error.message}`)
      resolve(127)
    })
    child.once('close', (exit) => resolve(exit ?? 1))
  })
  stopProgress()
  return { code, errors: errors.join('\n'), fetched, seconds: secondsNow() }
}

const pathWithoutPackages = (path) =>
  path
    .split(delimiter)
    .filter((folder) => folder !== join(root, 'node_modules', '.bin'))
    .join(delimiter)

/** One line that is rewritten in a terminal, a new line now and then elsewhere. */
function showProgress(text) {
  const terminal = process.stderr.isTTY
  const show = () => process.stderr.write(terminal ? `\r\x1b[K${text()}` : `${text()}\n`)
  const timer = setInterval(show, terminal ? 200 : PROGRESS_MS)
  return () => {
    clearInterval(timer)
    if (terminal) process.stderr.write('\r\x1b[K')
  }
}

const say = (line) => process.stderr.write(`${line}\n`)

function fail(message, hint) {
  say(`hanse: ${message}`)
  say(`hint: ${hint}`)
  process.exit(1)
}
