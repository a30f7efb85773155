/**
 * The verification of a local federation, by the commands and calls that a user would make, each shown with what it said:
 * that of the federation guide, then a call from a service of one datacenter to one of another and what intentions do to it.
 */
import { spawn } from 'node:child_process'
import { messageOf, sleep, systemClock } from '#base'
import { HttpClient } from '#client'
import { calledFrom, type DatacenterPlan, type LocalPlan, serversOf } from './plan.ts'
import { HANSE, withToken } from './processes.ts'

/** How long a changed intention may take to be in force in the other datacenter, and a call to be answered. */
const IN_FORCE_MS = 15_000
const CALL_TIMEOUT_MS = 3_000
const POLL_MS = 50

export interface VerifyOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly print: (line: string) => void
  /** Holds the token that the commands use; undefined without access control. */
  readonly tokenFile: string | undefined
}

const wanNames = (plan: DatacenterPlan) => serversOf(plan).map(({ node }) => `${node}.${plan.name}`)

/** Runs one command the way a user would, and shows it. */
function command(
  plan: DatacenterPlan,
  args: readonly string[],
  options: VerifyOptions,
): Promise<{ code: number; output: string }> {
  return new Promise((done, fail) => {
    const child = spawn(HANSE, [...args], {
      env: { ...withToken(options.env, options.tokenFile), CONSUL_HTTP_ADDR: `127.0.0.1:${plan.ports.http}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', fail)
    child.once('close', (code) => done({ code: code ?? 1, output: Buffer.concat(chunks).toString('utf8') }))
  })
}

/** The verification of the federation guide: members -wan, and each datacenter's services asked in another. */
export async function verify(plan: LocalPlan, options: VerifyOptions): Promise<boolean> {
  const [primary, ...others] = plan.datacenters
  if (!primary) return false
  const steps: { readonly at: DatacenterPlan; readonly args: readonly string[]; readonly expect: readonly string[] }[] =
    [{ at: primary, args: ['members', '-wan'], expect: plan.datacenters.flatMap(wanNames) }]
  for (const other of others) {
    const services = (name: string) => ['consul', `hello-${name}`, `hello-${name}-sidecar-proxy`, 'mesh-gateway']
    steps.push({ at: primary, args: ['catalog', 'services', '-datacenter', other.name], expect: services(other.name) })
    steps.push({
      at: other,
      args: ['catalog', 'services', '-datacenter', primary.name],
      expect: services(primary.name),
    })
  }
  const results = await Promise.all(steps.map((step) => command(step.at, step.args, options)))
  let verified = true
  for (const [index, { at, args, expect }] of steps.entries()) {
    const { code, output } = results[index] ?? { code: 1, output: '' }
    options.print(`\n${at.name}$ hanse ${args.join(' ')}\n${output.trimEnd()}`)
    const complete = code === 0 && expect.every((word) => output.split(/\s+/).includes(word))
    if (!complete) options.print(`NOT AS EXPECTED: wanted ${expect.join(', ')} (exit status ${code})`)
    verified &&= complete
  }
  verified = (await verifyCall(plan, primary, options)) && verified
  options.print(
    verified
      ? '\nVerified: every datacenter reads and calls the others through the mesh gateways, as intentions allow.'
      : '\nNOT verified.',
  )
  return verified
}

/** One call of the demo service of `at` to that of the next datacenter. */
async function call(at: DatacenterPlan): Promise<{ answered: boolean; text: string }> {
  const client = new HttpClient({ address: `127.0.0.1:${at.ports.upstream}` })
  try {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS)
    const { status, body } = await client.request('GET', '/', { signal })
    return { answered: status === 200, text: body.toString('utf8').trimEnd() }
  } catch (error) {
    return { answered: false, text: messageOf(error) }
  } finally {
    client.close()
  }
}

/** Calls until it is answered, or refused, as wanted; shows the last call. */
async function callUntil(at: DatacenterPlan, wanted: 'answered' | 'refused', options: VerifyOptions): Promise<boolean> {
  const deadline = systemClock.nowMs() + IN_FORCE_MS
  let last = await call(at)
  while (last.answered !== (wanted === 'answered') && systemClock.nowMs() < deadline) {
    await sleep(systemClock, POLL_MS)
    last = await call(at)
  }
  const met = last.answered === (wanted === 'answered')
  options.print(
    `\n${at.name}: GET http://127.0.0.1:${at.ports.upstream}\n${last.answered ? last.text : `refused (${last.text})`}`,
  )
  if (!met) options.print(`NOT AS EXPECTED: the call should have been ${wanted}`)
  return met
}

async function shown(at: DatacenterPlan, args: readonly string[], options: VerifyOptions): Promise<boolean> {
  const { code, output } = await command(at, args, options)
  options.print(`\n${at.name}$ hanse ${args.join(' ')}\n${output.trimEnd()}`)
  return code === 0
}

/** A call to another datacenter: answered, refused after an intention that denies it, answered when that is removed. */
async function verifyCall(plan: LocalPlan, at: DatacenterPlan, options: VerifyOptions): Promise<boolean> {
  const pair = [`hello-${at.name}`, `hello-${calledFrom(plan, at).name}`]
  const known = await command(at, ['intention', 'get', ...pair], options)
  if (known.code === 0) {
    options.print(`\nThe call from ${pair.join(' to ')} is left alone: you have an intention for it.`)
    return true
  }
  return (
    (await callUntil(at, 'answered', options)) &&
    (await shown(at, ['intention', 'create', '-deny', ...pair], options)) &&
    (await callUntil(at, 'refused', options)) &&
    (await shown(at, ['intention', 'delete', ...pair], options)) &&
    (await callUntil(at, 'answered', options))
  )
}
