/**
 * Which names ACL objects may have.
 *
 * Source: the public ACL API reference; refusals as recorded.
 */

const POLICY_NAME = /^[A-Za-z0-9\-_]+\/?[A-Za-z0-9\-_]*$/
const OBJECT_NAME = /^[A-Za-z0-9\-_]+$/
const IDENTITY_NAME = /^[a-z0-9](?:[a-z0-9\-_]*[a-z0-9])?$/
const MAX_POLICY_NAME = 128
const MAX_ROLE_NAME = 256
const MAX_AUTH_METHOD_NAME = 128
const MAX_IDENTITY_NAME = 256

/** What is wrong with a policy's name; undefined when nothing is. */
export function policyNameProblem(name: string): string | undefined {
  if (name === '') return 'no Name is set'
  if (!POLICY_NAME.test(name)) {
    return "invalid Name. Only alphanumeric characters, a single '/', '-' and '_' are allowed"
  }
  return lengthProblem(name, MAX_POLICY_NAME)
}

export function roleNameProblem(name: string): string | undefined {
  return objectNameProblem(name, MAX_ROLE_NAME)
}

export function authMethodNameProblem(name: string): string | undefined {
  return objectNameProblem(name, MAX_AUTH_METHOD_NAME)
}

/** Names of service and node identities become names in rules and in certificates. */
export function isIdentityName(name: string): boolean {
  return name.length <= MAX_IDENTITY_NAME && IDENTITY_NAME.test(name)
}

function objectNameProblem(name: string, limit: number): string | undefined {
  if (name === '') return 'no Name is set'
  if (!OBJECT_NAME.test(name)) return "invalid Name. Only alphanumeric characters, '-' and '_' are allowed"
  return lengthProblem(name, limit)
}

function lengthProblem(name: string, limit: number): string | undefined {
  return name.length > limit ? `invalid Name. It has ${name.length} characters and the limit is ${limit}` : undefined
}
