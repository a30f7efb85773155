/**
 * /v1/acl: tokens, policies, roles, the first token, templated policies, how far copies are.
 *
 * Auth methods, binding rules and logins stand in acl-login.ts.
 */
import { aclError, checkTemplateVariables, syntheticPolicy, templatedPolicies, templatedPolicy } from '#acl'
import { codeOf } from '#base'
import {
  ACLAuthorizationRequest,
  ACLAuthorizationResponse,
  ACLBootstrapToken,
  ACLInitialTokenBootstrapRequest,
  ACLPolicy,
  ACLPolicyDeleteRequest,
  ACLPolicyGetRequest,
  ACLPolicyListRequest,
  ACLPolicyListStub,
  ACLPolicySetRequest,
  ACLReplicationStatus,
  ACLRole,
  ACLRoleDeleteRequest,
  ACLRoleGetRequest,
  ACLRoleListRequest,
  ACLRoleSetRequest,
  ACLTemplatedPolicyVariables,
  ACLToken,
  ACLTokenDeleteRequest,
  ACLTokenExpanded,
  ACLTokenGetRequest,
  ACLTokenListRequest,
  ACLTokenListStub,
  ACLTokenSetRequest,
  DCSpecificRequest,
  list,
  RemoteACLAuthorizationRequest,
  string,
  struct,
} from '#codec'
import { acl } from '#endpoints'
import { apiError } from '../errors.ts'
import { type Answer, jsonAnswer } from '../http/answer.ts'
import { asJson } from '../http/read-plan.ts'
import { type ApiRequest, isSet } from '../http/request.ts'
import { call, type Handler, type ReadHandler, type Route } from '../http/route.ts'
import { aclBody, jsonBody, refuseMismatch } from './acl-bodies.ts'
import { type RoutePorts, readRoute } from './read-route.ts'

const META = { metaOnError: true }

export function aclRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/acl/bootstrap', methods: { PUT: bootstrapHandler(ports) } },
    { pattern: '/v1/acl/replication', methods: { GET: replicationHandler(ports) } },
    { pattern: '/v1/acl/policies', methods: { GET: policiesHandler(ports) } },
    { pattern: '/v1/acl/policy', methods: { PUT: setPolicyHandler(ports) } },
    { pattern: '/v1/acl/policy/name/', methods: { GET: policyHandler(ports, (PolicyName) => ({ PolicyName })) } },
    {
      pattern: '/v1/acl/policy/',
      methods: {
        GET: policyHandler(ports, (PolicyID) => ({ PolicyID })),
        PUT: setPolicyHandler(ports),
        DELETE: deletePolicyHandler(ports),
      },
    },
    { pattern: '/v1/acl/roles', methods: { GET: rolesHandler(ports) } },
    { pattern: '/v1/acl/role', methods: { PUT: setRoleHandler(ports) } },
    { pattern: '/v1/acl/role/name/', methods: { GET: roleHandler(ports, (RoleName) => ({ RoleName })) } },
    {
      pattern: '/v1/acl/role/',
      methods: {
        GET: roleHandler(ports, (RoleID) => ({ RoleID })),
        PUT: setRoleHandler(ports),
        DELETE: deleteRoleHandler(ports),
      },
    },
    { pattern: '/v1/acl/tokens', methods: { GET: tokensHandler(ports) } },
    { pattern: '/v1/acl/token', methods: { PUT: createTokenHandler(ports) } },
    { pattern: '/v1/acl/token/self', methods: { GET: selfHandler(ports) } },
    {
      pattern: '/v1/acl/token/',
      methods: { GET: tokenHandler(ports), PUT: changeTokenHandler(ports), DELETE: deleteTokenHandler(ports) },
    },
    { pattern: '/v1/acl/templated-policies', methods: { GET: templatesHandler(ports) } },
    { pattern: '/v1/acl/templated-policy/name/', methods: { GET: templateHandler(ports) } },
    { pattern: '/v1/acl/templated-policy/preview/', methods: { POST: previewHandler(ports) } },
    { pattern: '/v1/internal/acl/authorize', methods: { POST: authorizeHandler(ports) } },
  ]
}

const BootstrapBody = struct('BootstrapBody', { BootstrapSecret: string })

function bootstrapHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const { BootstrapSecret } = await aclBody(request, BootstrapBody, 'Request', { optional: true })
    const args = ACLInitialTokenBootstrapRequest.of({ Datacenter: request.datacenter, BootstrapSecret })
    try {
      const token = await ports.endpoints.call(acl.bootstrapTokens, args, request)
      return jsonAnswer(ACLBootstrapToken.toJson({ ...token, ID: token.SecretID }), request.pretty)
    } catch (thrown) {
      if (codeOf(thrown) !== 'BOOTSTRAP_DONE') throw thrown
      throw aclError('PERMISSION_REFUSED', { reason: thrown instanceof Error ? thrown.message : '' }, thrown)
    }
  })
}

function replicationHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = DCSpecificRequest.of({ Datacenter: request.datacenter })
    const status = await ports.endpoints.call(acl.replicationStatus, args, request)
    return jsonAnswer(ACLReplicationStatus.toJson(status), request.pretty)
  })
}

function policiesHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.policyList,
    format: 'acl policies',
    args: (_, target) => ACLPolicyListRequest.of(target),
    present: ({ Policies }) => asJson(() => (Policies ?? []).map(ACLPolicyListStub.toJson)),
  })
}

type PolicyName = Partial<Pick<ACLPolicyGetRequest, 'PolicyID' | 'PolicyName'>>

function policyHandler(ports: RoutePorts, named: (rest: string) => PolicyName): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.policyRead,
    format: 'acl policy',
    args: (request, target) => ACLPolicyGetRequest.of({ ...target, ...named(nameIn(request, 'policy')) }),
    present: ({ Policy }) => {
      if (Policy === null) throw aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'policy' })
      return asJson(() => ACLPolicy.toJson(Policy))
    },
  })
}

/** The name or ID behind the prefix. @throws HanseError BAD_PARAMETER */
function nameIn({ rest }: { readonly rest: string }, kind: string): string {
  if (rest === '') throw apiError('BAD_PARAMETER', { text: `Missing ${kind} ID` })
  return rest
}

function setPolicyHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const body = await aclBody(request, ACLPolicy, 'Policy')
    const Policy = { ...body, ID: refuseMismatch(request, body.ID, 'Policy ID', 'policy') }
    const args = ACLPolicySetRequest.of({ Datacenter: request.datacenter, Policy })
    return jsonAnswer(ACLPolicy.toJson(await ports.endpoints.call(acl.policySet, args, request)), request.pretty)
  })
}

function deletePolicyHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = ACLPolicyDeleteRequest.of({ Datacenter: request.datacenter, PolicyID: nameIn(request, 'policy') })
    await ports.endpoints.call(acl.policyDelete, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

function rolesHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.roleList,
    format: 'acl roles',
    args: ({ query }, target) => ACLRoleListRequest.of({ ...target, Policy: query.get('policy') ?? '' }),
    present: ({ Roles }) => asJson(() => (Roles ?? []).map(ACLRole.toJson)),
  })
}

type RoleName = Partial<Pick<ACLRoleGetRequest, 'RoleID' | 'RoleName'>>

function roleHandler(ports: RoutePorts, named: (rest: string) => RoleName): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.roleRead,
    format: 'acl role',
    args: (request, target) => ACLRoleGetRequest.of({ ...target, ...named(nameIn(request, 'role')) }),
    present: ({ Role }) => {
      if (Role === null) throw aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'role' })
      return asJson(() => ACLRole.toJson(Role))
    },
  })
}

function setRoleHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const body = await aclBody(request, ACLRole, 'Role')
    const Role = { ...body, ID: refuseMismatch(request, body.ID, 'Role ID', 'role') }
    const args = ACLRoleSetRequest.of({ Datacenter: request.datacenter, Role })
    return jsonAnswer(ACLRole.toJson(await ports.endpoints.call(acl.roleSet, args, request)), request.pretty)
  })
}

function deleteRoleHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = ACLRoleDeleteRequest.of({ Datacenter: request.datacenter, RoleID: nameIn(request, 'role') })
    await ports.endpoints.call(acl.roleDelete, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

function tokensHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.tokenList,
    format: 'acl tokens',
    args: ({ query }, target) =>
      ACLTokenListRequest.of({
        ...target,
        IncludeLocal: true,
        IncludeGlobal: true,
        Policy: query.get('policy') ?? '',
        Role: query.get('role') ?? '',
        AuthMethod: query.get('authmethod') ?? '',
        ServiceName: query.get('servicename') ?? '',
      }),
    present: ({ Tokens }) => asJson(() => (Tokens ?? []).map(ACLTokenListStub.toJson)),
  })
}

function tokenHandler(ports: RoutePorts): ReadHandler {
  return readToken(ports, (request) => ({ TokenID: nameIn(request, 'token'), TokenIDType: 'accessor' }))
}

function selfHandler(ports: RoutePorts): ReadHandler {
  return readToken(ports, ({ token }) => ({ TokenID: token, TokenIDType: 'secret' }))
}

type Which = Pick<ACLTokenGetRequest, 'TokenID' | 'TokenIDType'>

function readToken(ports: RoutePorts, which: (request: { rest: string; token: string }) => Which): ReadHandler {
  const { acl: settings } = ports.endpoints
  return readRoute(ports, {
    ...META,
    operation: acl.tokenRead,
    format: (request) => (isSet(request.query, 'expanded') ? 'acl token expanded' : 'acl token'),
    args: (request, target) =>
      ACLTokenGetRequest.of({ ...target, ...which(request), Expanded: isSet(request.query, 'expanded') }),
    present: (reply, request) => {
      const { Token } = reply
      if (Token === null) throw aclError('ACL_NOT_FOUND', { subject: 'token does not exist' })
      if (!isSet(request.query, 'expanded')) return asJson(() => ACLToken.toJson(Token))
      const decided = {
        AgentACLDefaultPolicy: settings.defaultPolicy,
        AgentACLDownPolicy: settings.downPolicy,
        ResolvedByAgent: ports.agentNode,
      }
      return asJson(() => ACLTokenExpanded.toJson(ACLTokenExpanded.of({ ...reply, ...Token, ...decided })))
    },
  })
}

function createTokenHandler(ports: RoutePorts): Handler {
  return call(async (request) => setToken(ports, request, await aclBody(request, ACLToken, 'Token'), true))
}

const CLONE = '/clone'

function changeTokenHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    if (request.rest.endsWith(CLONE)) return cloneToken(ports, request, request.rest.slice(0, -CLONE.length))
    const body = await aclBody(request, ACLToken, 'Token')
    const AccessorID = refuseMismatch(request, body.AccessorID, 'Token Accessor ID', 'token')
    return setToken(ports, request, { ...body, AccessorID }, false)
  })
}

async function setToken(ports: RoutePorts, request: ApiRequest, token: ACLToken, Create: boolean): Promise<Answer> {
  const args = ACLTokenSetRequest.of({ Datacenter: request.datacenter, ACLToken: token, Create })
  return jsonAnswer(ACLToken.toJson(await ports.endpoints.call(acl.tokenSet, args, request)), request.pretty)
}

async function cloneToken(ports: RoutePorts, request: ApiRequest, AccessorID: string): Promise<Answer> {
  const { Description } = await aclBody(request, ACLToken, 'Token', { optional: true })
  const token = ACLToken.of({ AccessorID, Description })
  const args = ACLTokenSetRequest.of({ Datacenter: request.datacenter, ACLToken: token, Create: true })
  return jsonAnswer(ACLToken.toJson(await ports.endpoints.call(acl.tokenClone, args, request)), request.pretty)
}

function deleteTokenHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const args = ACLTokenDeleteRequest.of({ Datacenter: request.datacenter, TokenID: nameIn(request, 'token') })
    await ports.endpoints.call(acl.tokenDelete, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

/** Templates are the same everywhere; who may read ACLs may see them. */
async function needsRead({ endpoints }: RoutePorts, request: ApiRequest): Promise<void> {
  if (!endpoints.acl.enabled) throw aclError('ACL_DISABLED', {})
  const rights = await endpoints.rightsOf(request.token)
  rights.need(rights.allows.aclRead(), 'acl:read')
}

function templatesHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    await needsRead(ports, request)
    return jsonAnswer(templatedPolicies(), request.pretty)
  })
}

function templateHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    await needsRead(ports, request)
    if (!Object.hasOwn(templatedPolicies(), request.rest)) {
      throw apiError('BAD_PARAMETER', { text: `Invalid templated policy Name: ${request.rest}` })
    }
    return jsonAnswer(templatedPolicy(request.rest), request.pretty)
  })
}

/** The policy that a template makes of the given variables. */
function previewHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    await needsRead(ports, request)
    const { Name } = await jsonBody(request, ACLTemplatedPolicyVariables, 'Failed to decode request body')
    if (!Object.hasOwn(templatedPolicies(), request.rest)) {
      throw apiError('BAD_PARAMETER', { text: `templated policy ${JSON.stringify(request.rest)} does not exist` })
    }
    checkTemplateVariables(request.rest, Name)
    return jsonAnswer(ACLPolicy.toJson(syntheticPolicy(request.rest, Name, null)), request.pretty)
  })
}

const questions = list(ACLAuthorizationRequest)
const verdicts = list(ACLAuthorizationResponse)

function authorizeHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const Requests = await jsonBody(request, questions, 'Failed to decode request body')
    const args = RemoteACLAuthorizationRequest.of({ Datacenter: request.datacenter, Requests })
    return jsonAnswer(verdicts.toJson(await ports.endpoints.call(acl.authorize, args, request)), request.pretty)
  })
}
