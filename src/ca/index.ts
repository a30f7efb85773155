/**
 * ca/: the certificate authority of the mesh as values: names, certificates, configuration, the primary's and a
 * secondary's authority, an agent's leafs, and when everything ends. Drivers own time, keys, storage and calls.
 */
export {
  type CACore,
  type CAEffect,
  type CsrIdentity,
  csrIdentity,
  keyPem,
  MAX_ROOTS,
  type Moment,
  type Reply,
  rootsAnswer,
  type SigningAuthority,
  type Step,
  type StoredCA,
} from './authority.ts'
export { certificateId, colonHex, timeText } from './certificates.ts'
export {
  type CASettings,
  type CheckedConfiguration,
  checkConfiguration,
  DEFAULT_CONFIGURATION,
  type KeyShape,
  PROVIDER,
} from './configuration.ts'
export { CADriver, type CADriverModules, MAX_WAITING, type PrimaryAuthority } from './driver.ts'
export { caError } from './errors.ts'
export { CertificateExpiries, type CertificateExpiry, type CertificateKind, type ExpirySources } from './expiry.ts'
export {
  type Leaf,
  type LeafEffect,
  type LeafInput,
  type LeafManager,
  type LeafStep,
  leafsWakeAtMs,
  MAX_LEAFS,
  newLeafManager,
  ROOT_CHANGE_SPREAD_MS,
  stepLeafs,
} from './leaf-manager.ts'
export { formatSpiffeId, parseSpiffeId, type SpiffeId, serviceId, trustDomainOf } from './names.ts'
export { newPrimaryCA, type PrimaryCA, type PrimaryInput, primaryWakeAtMs, stepPrimary } from './primary.ts'
export { type RateLimit, rateLimit, takeToken } from './rate-limit.ts'
export { newSecondaryCA, type SecondaryCA, type SecondaryInput, secondaryWakeAtMs, stepSecondary } from './secondary.ts'
export type { RootsAnswer } from './secondary-rows.ts'
