/**
 * The hash that tells a chain with overrides from the same chain without.
 *
 * Proxies on both sides of a federation name clusters after it, so it has to be Consul's to the digit: FNV-1, 64 bits,
 * over the structure of the overrides.
 *
 * Source: federation wire notes §8.
 */

/** Overrides that changed something while compiling; zero values for those that did not. */
export interface EffectiveOverrides {
  readonly meshGatewayMode: string
  readonly protocol: string
  readonly connectTimeoutNs: number
}

const BASIS = 14_695_981_039_346_656_037n
const PRIME = 1_099_511_628_211n

/** FNV-1: multiply, then XOR. */
function fnv1(bytes: Uint8Array): bigint {
  let hash = BASIS
  for (const byte of bytes) hash = BigInt.asUintN(64, hash * PRIME) ^ BigInt(byte)
  return hash
}

const ofText = (text: string) => fnv1(Buffer.from(text))

function ofPair(first: bigint, second: bigint): bigint {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(first, 0)
  bytes.writeBigUInt64LE(second, 8)
  return fnv1(bytes)
}

function ofDuration(ns: number): bigint {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(ns))
  return fnv1(bytes)
}

/** Up to eight hex digits; empty when nothing was overridden. */
export function customizationHash({ meshGatewayMode, protocol, connectTimeoutNs }: EffectiveOverrides): string {
  if (meshGatewayMode === '' && protocol === '' && connectTimeoutNs === 0) return ''
  const gateway = ofText('MeshGatewayConfig') ^ ofPair(ofText('Mode'), ofText(meshGatewayMode))
  const hash =
    ofText('') ^
    ofPair(ofText('OverrideMeshGateway'), gateway) ^
    ofPair(ofText('OverrideProtocol'), ofText(protocol)) ^
    ofPair(ofText('OverrideConnectTimeout'), ofDuration(connectTimeoutNs))
  return hash.toString(16).slice(0, 8)
}
