/**
 * Auth method `kubernetes`: a service account's JWT, checked by the API server that made it.
 *
 * Two questions: a TokenReview (is this token good, and whose is it?), then the service account, whose annotation may name
 * the service it stands for. Both with the method's own service account.
 *
 * Source: federation wire notes §11; Kubernetes API, authentication.k8s.io/v1.
 */
import { HANSE_VERSION, type HanseError, messageOf } from '#base'
import type { ACLAuthMethod, JsonObject } from '#codec'
import type { IdentityShape, LoginIdentity } from './bindings.ts'
import { ConfigReader, configInvalid } from './config-reader.ts'
import { aclError } from './errors.ts'
import type { HttpAnswer, HttpQuestion, HttpTransport } from './http-transport.ts'
import { jsonObject, textAt, valueAt } from './json-path.ts'

export interface KubernetesConfig {
  /** `https://host:port` without a slash at its end. */
  readonly host: string
  readonly caPem: string
  /** May make TokenReviews and read service accounts. A secret. */
  readonly serviceAccountJwt: string
}

const KEYS = [
  'Host',
  'CACert',
  'ServiceAccountJWT',
  'MapNamespaces',
  'ConsulNamespacePrefix',
  'ConsulNamespaceOverrides',
]
/** Longest reason of a refusal that is passed on. */
const MAX_REASON_CHARACTERS = 300
const COMPACT_JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/

/** Selectors and names may use these. */
export const KUBERNETES_SHAPE: IdentityShape = {
  fields: { serviceaccount: { namespace: 'string', name: 'string', uid: 'string' } },
  variables: ['serviceaccount.namespace', 'serviceaccount.name', 'serviceaccount.uid'],
}

/** @throws HanseError AUTH_METHOD_INVALID */
export function kubernetesConfig(config: ACLAuthMethod['Config']): KubernetesConfig {
  const reader = new ConfigReader(config, KEYS)
  const host = reader.text('Host')
  if (host === '') throw configInvalid('Config.Host is required')
  if (!URL.canParse(host) || new URL(host).protocol !== 'https:') {
    throw configInvalid('Config.Host should be a URL that begins with https://')
  }
  const caPem = reader.certificates('CACert')
  if (caPem === undefined) throw configInvalid('Config.CACert is required')
  const serviceAccountJwt = reader.text('ServiceAccountJWT').trim()
  if (serviceAccountJwt === '') throw configInvalid('Config.ServiceAccountJWT is required')
  if (!COMPACT_JWT.test(serviceAccountJwt)) throw configInvalid('Config.ServiceAccountJWT is not a valid JWT')
  return { host: host.replace(/\/+$/, ''), caPem, serviceAccountJwt }
}

const USERNAME = /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]*[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)$/
const SERVICE_NAME_ANNOTATION = 'consul.hashicorp.com/service-name'

/**
 * Who the bearer of a service account's JWT is.
 *
 * @param method - the auth method's name, for refusals
 * @throws HanseError LOGIN_REFUSED when the token is not good, LOGIN_UNAVAILABLE when that cannot be found out
 */
export async function kubernetesLogin(
  method: string,
  config: KubernetesConfig,
  bearerToken: string,
  transport: HttpTransport,
  signal?: AbortSignal,
): Promise<LoginIdentity> {
  if (!COMPACT_JWT.test(bearerToken)) throw refused(method, 'it is not a JWT')
  const ask = (question: Pick<HttpQuestion, 'method' | 'body'> & { path: string }) =>
    askKubernetes(method, config, question, transport, signal)
  const review = await ask({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: JSON.stringify({
      kind: 'TokenReview',
      apiVersion: 'authentication.k8s.io/v1',
      spec: { token: bearerToken },
    }),
  })
  if (review.status !== 200 && review.status !== 201) throw answered(method, 'TokenReview', review)
  const { namespace, name, uid } = reviewed(method, parsed(method, 'TokenReview', review), bearerToken)
  const account = await ask({ method: 'GET', path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}` })
  if (account.status === 404) throw refused(method, `service account "${namespace}/${name}" does not exist`)
  if (account.status !== 200) throw answered(method, 'ServiceAccount', account)
  const annotation = textAt(parsed(method, 'ServiceAccount', account), [
    'metadata',
    'annotations',
    SERVICE_NAME_ANNOTATION,
  ])
  const serviceName = annotation === '' ? name : annotation
  return {
    selectable: { serviceaccount: { namespace, name: serviceName, uid } },
    variables: new Map([
      ['serviceaccount.namespace', namespace],
      ['serviceaccount.name', serviceName],
      ['serviceaccount.uid', uid],
    ]),
  }
}

async function askKubernetes(
  method: string,
  config: KubernetesConfig,
  question: Pick<HttpQuestion, 'method' | 'body'> & { path: string },
  transport: HttpTransport,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer> {
  try {
    return await transport({
      method: question.method,
      url: `${config.host}${question.path}`,
      headers: {
        Accept: 'application/json',
        Authorization: `Bearer ${config.serviceAccountJwt}`,
        'User-Agent': `hanse/${HANSE_VERSION}`,
        ...(question.body === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(question.body)) }),
      },
      ...(question.body === undefined ? {} : { body: question.body }),
      caPem: config.caPem,
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (thrown) {
    throw unavailable(method, `Kubernetes API "${config.host}" is not reachable: ${messageOf(thrown)}`, thrown)
  }
}

function reviewed(
  method: string,
  review: JsonObject,
  bearerToken: string,
): { namespace: string; name: string; uid: string } {
  if (valueAt(review, ['status', 'authenticated']) !== true) {
    const why = plain(textAt(review, ['status', 'error']).replaceAll(bearerToken, '…'))
    throw refused(method, `Kubernetes does not know this service account token${why === '' ? '' : `: ${why}`}`)
  }
  const match = USERNAME.exec(textAt(review, ['status', 'user', 'username']))
  const [, namespace, name] = match ?? []
  if (namespace === undefined || name === undefined) throw refused(method, 'it is not of a service account')
  return { namespace, name, uid: textAt(review, ['status', 'user', 'uid']) }
}

/** What Kubernetes says, as a part of one line. */
function plain(text: string): string {
  return text
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .slice(0, MAX_REASON_CHARACTERS)
    .trim()
}

function parsed(method: string, kind: string, answer: HttpAnswer): JsonObject {
  const body = jsonObject(answer.body)
  if (body === undefined)
    throw unavailable(method, `Kubernetes answered the ${kind} with something that is no JSON object`)
  return body
}

const WHY_NOT: ReadonlyMap<number, string> = new Map([
  [401, 'it does not know Config.ServiceAccountJWT, which may have ended or be of another cluster'],
  [403, 'Config.ServiceAccountJWT has no right to it'],
  [404, 'Config.Host is not the API server of a cluster'],
])

function answered(method: string, kind: string, { status }: HttpAnswer): HanseError {
  const why = WHY_NOT.get(status)
  return unavailable(method, `Kubernetes answered the ${kind} with status ${status}${why ? `: ${why}` : ''}`)
}

function refused(method: string, reason: string): HanseError {
  return aclError('LOGIN_REFUSED', { method, reason })
}

function unavailable(method: string, reason: string, cause?: unknown): HanseError {
  return aclError('LOGIN_UNAVAILABLE', { method, reason }, cause)
}
