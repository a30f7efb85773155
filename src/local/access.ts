/**
 * Access control of a local federation: who may do what, as an operator would set it up with the guide's commands.
 *
 * Everything is denied by default. Every program has a token of its own that can do no more than its work, in a file that
 * only its owner reads. A secondary makes its tokens with the replication token of the federation secret: it is given
 * nothing else. All of it can be done again: what is there already is left alone, so that a start that was cut off goes on.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { codeOf, systemRandom, uuid } from '#base'
import type { HttpClient } from '#client'
import { filesOf } from './datacenter-files.ts'
import { localError } from './errors.ts'
import type { DatacenterPlan } from './plan.ts'

/** Whose token it is; also the name of its file, `<owner>.token`. */
export type TokenOwner = 'bootstrap' | 'replication' | 'mesh-gateway' | 'demo-service' | 'dns'

/** What a secondary needs of the primary, as docs/operating.md says. */
const REPLICATION_RULES = `acl = "write"
operator = "write"
agent_prefix "" { policy = "read" }
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" intentions = "read" }`

const GATEWAY_RULES = `service "mesh-gateway" { policy = "write" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }`

const EXISTS = /already (exists|in use)/
const ALREADY_BOOTSTRAPPED = /bootstrap no longer allowed/

/** The SecretID in the file of `owner`; undefined when there is none yet. */
export function readToken(plan: DatacenterPlan, owner: TokenOwner): string | undefined {
  try {
    return readFileSync(filesOf(plan).token(owner), 'utf8').trim()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Kept before the server hears of it, so that a token that was made is never lost. */
function secretOf(plan: DatacenterPlan, owner: TokenOwner): string {
  const held = readToken(plan, owner)
  if (held !== undefined && held !== '') return held
  const secret = uuid(systemRandom)
  writeFileSync(filesOf(plan).token(owner), `${secret}\n`, { mode: 0o600 })
  return secret
}

/** Makes something, unless it is there already. @throws UP_REFUSED without the body, which may hold a secret */
async function make(client: HttpClient, path: string, body: object, there: RegExp): Promise<void> {
  const answer = await client.request('PUT', path, { body })
  const text = answer.body.toString('utf8')
  if (answer.status !== 200 && !there.test(text)) {
    throw localError('UP_REFUSED', { path, statusCode: answer.status, reason: text.trim() })
  }
}

/**
 * The first token, of all rights; its SecretID is in the file of 'bootstrap'.
 *
 * @param client - of the primary, without a token
 * @returns the SecretID
 */
export async function bootstrap(client: HttpClient, primary: DatacenterPlan): Promise<string> {
  const secret = secretOf(primary, 'bootstrap')
  await make(client, '/v1/acl/bootstrap', { BootstrapSecret: secret }, ALREADY_BOOTSTRAPPED)
  return secret
}

/**
 * What the federation shares: the policies, and the token that secondaries replicate with.
 *
 * @param client - of the primary, with the bootstrap token
 */
export async function makeShared(client: HttpClient, primary: DatacenterPlan): Promise<void> {
  for (const [Name, Rules] of Object.entries({ replication: REPLICATION_RULES, 'mesh-gateway': GATEWAY_RULES })) {
    await make(client, '/v1/acl/policy', { Name, Rules }, EXISTS)
  }
  await makeToken(client, primary, 'replication', 'copies ACLs to secondaries', { Policies: [{ Name: 'replication' }] })
}

/**
 * The tokens of one datacenter's programs, good in all: a sidecar asks other datacenters whom it calls. The server answers
 * DNS with one of them.
 *
 * @param client - of the datacenter, with a token that may write ACLs
 */
export async function makeProgramTokens(client: HttpClient, plan: DatacenterPlan): Promise<void> {
  const { name } = plan
  const dns = { TemplatedPolicies: [{ TemplateName: 'builtin/dns' }] }
  await Promise.all([
    makeToken(client, plan, 'mesh-gateway', `mesh gateway of ${name}`, { Policies: [{ Name: 'mesh-gateway' }] }),
    makeToken(client, plan, 'demo-service', `hello-${name} and its sidecar`, {
      ServiceIdentities: [{ ServiceName: `hello-${name}` }],
    }),
    makeToken(client, plan, 'dns', `DNS of ${name}`, dns),
  ])
}

/** DNS asks carry no token: the server answers them with this one. @param client - with the bootstrap token */
export async function answerDns(client: HttpClient, plan: DatacenterPlan): Promise<void> {
  await client.expect('PUT', '/v1/agent/token/dns', { body: { Token: readToken(plan, 'dns') } })
}

async function makeToken(
  client: HttpClient,
  plan: DatacenterPlan,
  owner: TokenOwner,
  Description: string,
  rights: object,
): Promise<void> {
  const SecretID = secretOf(plan, owner)
  await make(client, '/v1/acl/token', { SecretID, Description, ...rights }, EXISTS)
}
