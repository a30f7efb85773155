/**
 * /v1/acl: auth methods, binding rules, login and logout.
 */
import { aclError } from '#acl'
import {
  ACLAuthMethod,
  ACLAuthMethodDeleteRequest,
  ACLAuthMethodGetRequest,
  ACLAuthMethodListRequest,
  ACLAuthMethodListStub,
  ACLAuthMethodSetRequest,
  ACLBindingRule,
  ACLBindingRuleDeleteRequest,
  ACLBindingRuleGetRequest,
  ACLBindingRuleListRequest,
  ACLBindingRuleSetRequest,
  ACLLoginParams,
  ACLLoginRequest,
  ACLLogoutRequest,
  ACLToken,
} from '#codec'
import { acl } from '#endpoints'
import { EMPTY_ANSWER, jsonAnswer } from '../http/answer.ts'
import { asJson } from '../http/read-plan.ts'
import { call, type Handler, type ReadHandler, type Route } from '../http/route.ts'
import { aclBody, refuseMismatch } from './acl-bodies.ts'
import { nameOf, type RoutePorts, readRoute } from './read-route.ts'

const META = { metaOnError: true }

export function aclLoginRoutes(ports: RoutePorts): Route[] {
  return [
    { pattern: '/v1/acl/auth-methods', methods: { GET: methodsHandler(ports) } },
    { pattern: '/v1/acl/auth-method', methods: { PUT: setMethodHandler(ports) } },
    {
      pattern: '/v1/acl/auth-method/',
      methods: { GET: methodHandler(ports), PUT: setMethodHandler(ports), DELETE: deleteMethodHandler(ports) },
    },
    { pattern: '/v1/acl/binding-rules', methods: { GET: rulesHandler(ports) } },
    { pattern: '/v1/acl/binding-rule', methods: { PUT: setRuleHandler(ports) } },
    {
      pattern: '/v1/acl/binding-rule/',
      methods: { GET: ruleHandler(ports), PUT: setRuleHandler(ports), DELETE: deleteRuleHandler(ports) },
    },
    { pattern: '/v1/acl/login', methods: { POST: loginHandler(ports) } },
    { pattern: '/v1/acl/logout', methods: { POST: logoutHandler(ports) } },
  ]
}

function methodsHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.authMethodList,
    format: 'acl auth-methods',
    args: (_, target) => ACLAuthMethodListRequest.of(target),
    present: ({ AuthMethods }) => asJson(() => (AuthMethods ?? []).map(ACLAuthMethodListStub.toJson)),
  })
}

function methodHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.authMethodRead,
    format: 'acl auth-method',
    args: (request, target) =>
      ACLAuthMethodGetRequest.of({ ...target, AuthMethodName: nameOf(request, 'Missing auth method name') }),
    present: ({ AuthMethod }) => {
      if (AuthMethod === null) throw aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'auth method' })
      return asJson(() => ACLAuthMethod.toJson(AuthMethod))
    },
  })
}

function setMethodHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const body = await aclBody(request, ACLAuthMethod, 'AuthMethod')
    const Name = request.rest === '' ? body.Name : refuseMismatch(request, body.Name, 'AuthMethod Name', 'auth method')
    const args = ACLAuthMethodSetRequest.of({ Datacenter: request.datacenter, AuthMethod: { ...body, Name } })
    const method = await ports.endpoints.call(acl.authMethodSet, args, request)
    return jsonAnswer(ACLAuthMethod.toJson(method), request.pretty)
  })
}

function deleteMethodHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const AuthMethodName = nameOf(request, 'Missing auth method name')
    const args = ACLAuthMethodDeleteRequest.of({ Datacenter: request.datacenter, AuthMethodName })
    await ports.endpoints.call(acl.authMethodDelete, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

function rulesHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.bindingRuleList,
    format: 'acl binding-rules',
    args: ({ query }, target) => ACLBindingRuleListRequest.of({ ...target, AuthMethod: query.get('authmethod') ?? '' }),
    present: ({ BindingRules }) => asJson(() => (BindingRules ?? []).map(ACLBindingRule.toJson)),
  })
}

function ruleHandler(ports: RoutePorts): ReadHandler {
  return readRoute(ports, {
    ...META,
    operation: acl.bindingRuleRead,
    format: 'acl binding-rule',
    args: (request, target) =>
      ACLBindingRuleGetRequest.of({ ...target, BindingRuleID: nameOf(request, 'Missing binding rule ID') }),
    present: ({ BindingRule }) => {
      if (BindingRule === null) throw aclError('ACL_REQUESTED_NOT_FOUND', { kind: 'binding rule' })
      return asJson(() => ACLBindingRule.toJson(BindingRule))
    },
  })
}

function setRuleHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const body = await aclBody(request, ACLBindingRule, 'BindingRule')
    const BindingRule = { ...body, ID: refuseMismatch(request, body.ID, 'BindingRule ID', 'binding rule') }
    const args = ACLBindingRuleSetRequest.of({ Datacenter: request.datacenter, BindingRule })
    const rule = await ports.endpoints.call(acl.bindingRuleSet, args, request)
    return jsonAnswer(ACLBindingRule.toJson(rule), request.pretty)
  })
}

function deleteRuleHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const BindingRuleID = nameOf(request, 'Missing binding rule ID')
    const args = ACLBindingRuleDeleteRequest.of({ Datacenter: request.datacenter, BindingRuleID })
    await ports.endpoints.call(acl.bindingRuleDelete, args, request)
    return jsonAnswer(true, request.pretty)
  })
}

/** Whoever logs in is nobody yet: a token that is sent along is not looked at. */
function loginHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    const Auth = await aclBody(request, ACLLoginParams, 'Login')
    const args = ACLLoginRequest.of({ Datacenter: request.datacenter, Auth })
    const token = await ports.endpoints.call(acl.login, args, { signal: request.signal })
    return jsonAnswer(ACLToken.toJson(token), request.pretty)
  })
}

function logoutHandler(ports: RoutePorts): Handler {
  return call(async (request) => {
    await ports.endpoints.call(acl.logout, ACLLogoutRequest.of({ Datacenter: request.datacenter }), request)
    return EMPTY_ANSWER
  })
}
