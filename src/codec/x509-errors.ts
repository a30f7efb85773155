/**
 * What can be wrong with a certificate, a key or a CA that somebody gave us. Keys never appear in a message.
 */
import { errorTable } from '#base'

export const x509Error = errorTable({
  X509_BAD_DER: {
    status: 400,
    message: ({ reason }: { reason: string }) => `cannot read certificate: ${reason}`,
  },
  X509_NOT_PEM: {
    status: 400,
    message: ({ source, label }: { source: string; label: string }) =>
      `cannot read "${source}": no PEM block "${label}" in it`,
    hint: ({ label }: { source: string; label: string }) => `the file must begin with -----BEGIN ${label}-----`,
  },
  X509_BAD_CERTIFICATE: {
    status: 400,
    message: ({ source, reason }: { source: string; reason: string }) =>
      `cannot read certificate "${source}": ${reason}`,
  },
  X509_BAD_KEY: {
    status: 400,
    message: ({ source, reason }: { source: string; reason: string }) =>
      `cannot read private key "${source}": ${reason}`,
  },
  X509_EXPIRED: {
    status: 400,
    message: ({ source, subject, notAfter }: { source: string; subject: string; notAfter: string }) =>
      `cannot use certificate "${source}" of "${subject}": expired at ${notAfter}`,
    hint: () => 'make a new one with: hanse tls cert create -server -dc <datacenter>',
  },
  X509_NOT_YET_VALID: {
    status: 400,
    message: ({ source, subject, notBefore }: { source: string; subject: string; notBefore: string }) =>
      `cannot use certificate "${source}" of "${subject}": not valid before ${notBefore}`,
    hint: () => 'compare the clocks of this machine and of the one that made the certificate',
  },
  X509_KEY_MISMATCH: {
    status: 400,
    message: ({ source, key, subject }: { source: string; key: string; subject: string }) =>
      `cannot use private key "${key}" with certificate "${source}": the key is not that of "${subject}"`,
  },
  X509_UNKNOWN_CA: {
    status: 400,
    message: ({ source, issuer, ca }: { source: string; issuer: string; ca: string }) =>
      `cannot use certificate "${source}": signed by "${issuer}", not by a CA of "${ca}"`,
    hint: () => 'all datacenters of a federation need certificates of one CA',
  },
  X509_NOT_A_CA: {
    status: 400,
    message: ({ source, subject }: { source: string; subject: string }) =>
      `cannot sign with "${source}": "${subject}" is not a certificate authority`,
  },
  X509_MISSING_NAME: {
    status: 400,
    message: ({ source, name, names }: { source: string; name: string; names: readonly string[] }) =>
      `cannot use certificate "${source}" for "${name}": it is made for ${names.length === 0 ? 'no name' : names.map((each) => `"${each}"`).join(', ')}`,
    hint: ({ name }: { source: string; name: string; names: readonly string[] }) =>
      `servers need a certificate with the name "${name}": hanse tls cert create -server -dc <datacenter>`,
  },
  X509_NO_PEM_DATA: {
    status: 500,
    message: (_facts: Record<never, never>) => 'no PEM-encoded data found',
    hint: () => 'a certificate request begins with -----BEGIN CERTIFICATE REQUEST-----',
  },
  X509_BAD_REQUEST: {
    status: 400,
    message: ({ reason }: { reason: string }) => `cannot read certificate request: ${reason}`,
  },
  X509_BAD_ARGUMENT: {
    status: 400,
    message: ({ argument, value, reason }: { argument: string; value: string; reason: string }) =>
      `cannot make certificate with ${argument} "${value}": ${reason}`,
  },
})
