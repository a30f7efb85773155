/**
 * Every operation asked without a token, with a wrong one, a too narrow one and the right one.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { globalManagementPolicy } from '#acl'
import { systemClock, systemRandom } from '#base'
import { ACLPolicy, ACLToken, encode, HealthCheck, Node, NodeService, Session } from '#codec'
import { seedAcls } from './acl-bootstrap.ts'
import { type Federation, federation } from './fixture.ts'
import type { AnyOperation } from './operation.ts'
import { allOperations } from './operations.ts'

const RIGHT = 'aaaaaaaa-0000-4000-8000-00000000000a'
const NARROW = 'bbbbbbbb-0000-4000-8000-00000000000b'
const WRONG = 'cccccccc-0000-4000-8000-00000000000c'
const NARROW_POLICY = 'dddddddd-0000-4000-8000-00000000000d'
/** Stands in everything that only the right token may see. */
const SEEN = 'only-for-some'

/** Arguments that name what is there, where an operation needs some to get as far as its rights. */
const FIELDS = {
  Node: SEEN,
  Name: SEEN,
  ServiceName: SEEN,
  Key: SEEN,
  Prefix: SEEN,

  Address: '10.0.0.1',
  TokenID: RIGHT,
  TokenIDType: 'accessor',
  Operation: 'list',
  PolicyID: NARROW_POLICY,
  RoleID: NARROW_POLICY,
  BindingRuleID: NARROW_POLICY,
  SessionID: RIGHT,
}

let dc: Federation

before(async () => {
  dc = await federation(['dc1'], { acl: { enabled: true, defaultPolicy: 'deny' } })
  const { state } = dc.of('dc1')
  await seedAcls(state, { clock: systemClock, random: systemRandom }, { primary: true, initialManagement: '' })
  await state.write((tx) => {
    tx.putAclPolicy(ACLPolicy.of({ ID: NARROW_POLICY, Name: 'narrow', Rules: 'key "other" { policy = "write" }' }))
    for (const [secret, policy] of [
      [RIGHT, globalManagementPolicy.ID],
      [NARROW, NARROW_POLICY],
    ] as const) {
      tx.putAclToken(ACLToken.of({ AccessorID: secret, SecretID: secret, Policies: [{ ID: policy, Name: '' }] }))
    }
  })
})

after(() => dc.close())

/** Anew for each: the right token may have taken it away. */
beforeEach(async () => {
  await dc.of('dc1').state.write((tx) => {
    tx.putNode(Node.of({ Node: SEEN, Address: '10.0.0.2' }))
    tx.putService(SEEN, NodeService.of({ ID: SEEN, Service: SEEN }))
    tx.putCheck(HealthCheck.of({ Node: SEEN, CheckID: 'c', Status: 'passing' }))
    tx.putSession(Session.of({ ID: RIGHT, Node: SEEN }))
  })
})

function argumentsOf({ args }: AnyOperation, Token: string): Buffer {
  const fields = Object.keys('fields' in args ? Object(args.fields) : {})
  const known = Object.entries({ ...FIELDS, Token }).filter(([name]) => fields.includes(name))
  return encode(args, { ...Object(args).of(), ...Object.fromEntries(known) })
}

async function ask(operation: AnyOperation, token: string): Promise<string> {
  try {
    const reply = await dc.of('dc1').endpoints.handle(operation.name, argumentsOf(operation, token), { remote: 'test' })
    return `answered ${reply.toString('latin1')}`
  } catch (error) {
    return `refused ${String(error)}`
  }
}

const REFUSED = /^refused .*Permission denied/

test('every operation says who may do it, or why everyone may', () => {
  for (const { name, authorize, anyone, ...rest } of allOperations) {
    const filter = 'filter' in rest ? rest.filter : undefined
    assert.ok(authorize !== undefined || filter !== undefined || anyone !== undefined, `${name} is open`)
    if (anyone !== undefined) assert.equal(authorize ?? filter, undefined, `${name} is open and is not`)
  }
})

/** Who may do these depends on what the arguments say; the tests of their own files ask with such arguments. */
const BY_ARGUMENTS = /^(?:ConfigEntry|Intention)\.|^ConnectCA\.Sign$/

const guarded = allOperations.filter(({ anyone, name }) => anyone === undefined && !BY_ARGUMENTS.test(name))

for (const operation of guarded) {
  test(`${operation.name} refuses or shows nothing to nobody, a wrong and a too narrow token, and serves the right one`, async () => {
    assert.match(await ask(operation, WRONG), /^refused .*ACL not found/)
    for (const token of ['', NARROW]) {
      const said = await ask(operation, token)
      if (!('filter' in operation) || !said.startsWith('answered')) assert.match(said, REFUSED)
      else assert.ok(!said.includes(SEEN), said)
    }
    assert.doesNotMatch(await ask(operation, RIGHT), REFUSED)
  })
}

test('the operations that everyone may do are these', () => {
  const open = allOperations.flatMap(({ name, anyone }) => (anyone === undefined ? [] : [name]))
  const known = [
    'ACL.Authorize',
    'ACL.BootstrapTokens',
    'ACL.Login',
    'ACL.Logout',
    'ACL.PolicyResolve',
    'ACL.ReplicationStatus',
    'ACL.RoleResolve',
    'Catalog.ListDatacenters',
    'Coordinate.ListDatacenters',
    'Status.Leader',
    'Status.Peers',
    'Status.Ping',
    'Status.RaftStats',
    'ConnectCA.Roots',
    // Judged by what they find: session.test.ts, txn.test.ts.
    'Session.Renew',
    'Txn.Apply',
    'Txn.Read',
  ]
  assert.deepEqual(
    open.filter((name) => !known.includes(name)),
    [],
  )
})
