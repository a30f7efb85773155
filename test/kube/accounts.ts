/**
 * Kubernetes objects of the login tests: service accounts, and what they may do in the cluster.
 */

/** The annotation that says which service an account stands for. */
export const SERVICE_NAME = 'consul.hashicorp.com/service-name'

/** Rights of which the account of an auth method needs both. */
export const REVIEWS = { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }
export const READS_ACCOUNTS = { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['get'] }

const RBAC = 'rbac.authorization.k8s.io'

export function namespace(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
}

export function account(where: string, name: string, annotations: Readonly<Record<string, string>> = {}): object {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: where, name, annotations } }
}

/** A service account in namespace "hanse" that may do what `rules` say in the whole cluster. */
export function trusted(name: string, ...rules: readonly object[]): readonly object[] {
  return [
    account('hanse', name),
    { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name: `hanse-${name}` }, rules },
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: `hanse-${name}` },
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: `hanse-${name}` },
      subjects: [{ kind: 'ServiceAccount', namespace: 'hanse', name }],
    },
  ]
}

/** A secret that Kubernetes fills with a JWT of the account of the same name, good until that is gone. */
export function tokenSecret(where: string, name: string): object {
  const annotations = { 'kubernetes.io/service-account.name': name }
  const metadata = { namespace: where, name, annotations }
  return { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/service-account-token', metadata }
}
