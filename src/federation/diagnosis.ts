/**
 * From symptom to setting: what a gossip mismatch or a failed dial means, and what to change.
 *
 * Pure tables. The texts name the setting on both sides; values of keys never appear.
 */
import type { MismatchEvent } from '#gossip'
import type { FederationProblem } from './status.ts'

export interface DiagnosisContext {
  readonly datacenter: string
  readonly primaryDatacenter: string
  readonly domain: string
}

/** The datacenter of a WAN member's name, `<node>.<dc>`. */
function datacenterOf(node: string | undefined): string | undefined {
  const dot = node?.indexOf('.') ?? -1
  return node === undefined || dot < 0 ? undefined : node.slice(dot + 1)
}

function whom(event: MismatchEvent, context: DiagnosisContext): string {
  const other =
    datacenterOf(event.node) ??
    (context.datacenter === context.primaryDatacenter ? undefined : context.primaryDatacenter)
  const at = event.address ? ` (${event.address})` : ''
  return other === undefined || other === context.datacenter ? `another datacenter${at}` : `datacenter "${other}"${at}`
}

/** What a mismatch that gossip saw means. */
export function diagnoseMismatch(event: MismatchEvent, context: DiagnosisContext): FederationProblem {
  const own = `datacenter "${context.datacenter}"`
  const other = whom(event, context)
  switch (event.kind) {
    case 'encryption-key':
      return {
        Code: 'GOSSIP_KEY_DIFFERS',
        Message: `Gossip encryption key (setting "encrypt"): ${own} and ${other} have different keys`,
        Hint: 'give every datacenter the key of the primary: gossipEncryptionKey in the federation secret',
      }
    case 'encryption-missing-here':
      return {
        Code: 'GOSSIP_KEY_MISSING_HERE',
        Message: `Gossip encryption key (setting "encrypt"): ${other} has one, ${own} has none`,
        Hint: `set "encrypt" in ${own} to the key of the primary: gossipEncryptionKey in the federation secret`,
      }
    case 'encryption-missing-there':
      return {
        Code: 'GOSSIP_KEY_MISSING_THERE',
        Message: `Gossip encryption key (setting "encrypt"): ${own} has one, ${other} has none`,
        Hint: `set "encrypt" in ${other} to the same key, or remove it in every datacenter`,
      }
    case 'datacenter-name':
      return {
        Code: 'DATACENTER_NAME_TAKEN',
        Message: `Datacenter name (setting "datacenter"): two datacenters call themselves "${datacenterOf(event.node) ?? context.datacenter}": ${event.detail}`,
        Hint: 'give each datacenter of the federation its own name',
      }
    case 'wrong-datacenter':
      return {
        Code: 'LAN_WRONG_DATACENTER',
        Message: `LAN pool: ${event.detail}`,
        Hint: 'a LAN pool is one datacenter: join other datacenters through their mesh gateways (primary_gateways)',
      }
    case 'another-ca':
      return {
        Code: 'LAN_ANOTHER_CA',
        Message: `LAN pool: ${event.detail}`,
        Hint: 'give all servers of a datacenter certificates of one CA (tls.internal_rpc.ca_file)',
      }
    case 'not-a-server':
      return {
        Code: 'WAN_NOT_A_SERVER',
        Message: `WAN pool: ${event.detail}`,
        Hint: 'only servers may join the WAN pool: join client agents to the LAN pool of their datacenter',
      }
    case 'node-id':
      return {
        Code: 'NODE_ID_TAKEN',
        Message: `Node ID or node name (settings "node_id", "node_name"): ${event.detail}`,
        Hint: 'give each node its own; a copied data directory carries the ID of the original',
      }
  }
}

/** What it means that only one of two datacenters has access control. @param here - whether it is ours that has it */
export function diagnoseAccessControl(datacenter: string, here: boolean, context: DiagnosisContext): FederationProblem {
  const own = `datacenter "${context.datacenter}"`
  const other = `datacenter "${datacenter}"`
  const [has, lacks] = here ? [own, other] : [other, own]
  return {
    Code: here ? 'ACL_MISSING_THERE' : 'ACL_MISSING_HERE',
    Message: `Access control (setting "acl.enabled"): ${has} has it, ${lacks} has none: calls from ${lacks} carry no token and are refused in ${has}`,
    Hint: `set "acl.enabled" in ${lacks}, with "acl.tokens.replication" in a secondary (replicationToken in the federation secret), or remove it in every datacenter`,
  }
}

/**
 * What a dial or a call to a datacenter's server that ended with `code` means.
 *
 * @param code - of #net's errors
 */
export function diagnoseDial(
  code: string,
  error: string,
  datacenter: string,
  context: DiagnosisContext,
): FederationProblem {
  const own = `datacenter "${context.datacenter}"`
  const other = `datacenter "${datacenter}"`
  switch (code) {
    case 'DIAL_UNKNOWN_CA':
    case 'DIAL_REJECTED':
      return {
        Code: 'CA_DIFFERS',
        Message: `Certificate authority (setting "ca_file"): ${own} and ${other} do not trust the same CA: ${error}`,
        Hint: 'make the certificates of every datacenter with the CA of the primary: caCert and caKey in the federation secret',
      }
    case 'DIAL_EXPIRED':
      return {
        Code: 'CERTIFICATE_EXPIRED',
        Message: `Server certificate (setting "cert_file") of ${other}: ${error}`,
        Hint: `make ${other} a new one: hanse tls cert create -server -dc ${datacenter}`,
      }
    case 'DIAL_NAME_MISMATCH':
      return {
        Code: 'CERTIFICATE_NAME',
        Message: `Server certificate (setting "cert_file") of ${other}: ${error}`,
        Hint: `it needs the names server.${datacenter}.${context.domain} and *.server.${datacenter}.${context.domain}: hanse tls cert create -server -dc ${datacenter} -node '*'`,
      }
    case 'DIAL_REFUSED':
    case 'DIAL_TIMEOUT':
    case 'DIAL_UNREACHABLE':
      return {
        Code: 'GATEWAY_UNREACHABLE',
        Message: `Mesh gateway on the way to ${other}: ${error}`,
        Hint: gatewayHint(datacenter, context),
      }
    case 'DIAL_CLOSED':
    case 'DIAL_ALPN':
    case 'DIAL_TLS':
      return {
        Code: 'GATEWAY_WRONG',
        Message: `Mesh gateway on the way to ${other}: ${error}`,
        Hint: `${gatewayHint(datacenter, context)}; what answers there may be no mesh gateway, one of another datacenter, or one whose servers are down`,
      }
    case 'REMOTE_DC_UNREACHABLE':
      return {
        Code: 'GATEWAY_MISSING',
        Message: `Mesh gateway on the way to ${other}: ${own} knows none: ${error}`,
        Hint: `start one in ${own}, and see that it is healthy: hanse connect proxy -gateway=mesh -register -expose-servers`,
      }
    default:
      return {
        Code: 'DATACENTER_SILENT',
        Message: `Servers of ${other}: they do not answer through the mesh gateways: ${error}`,
        Hint: `see that they run; ${gatewayHint(datacenter, context)}`,
      }
  }
}

function gatewayHint(datacenter: string, { datacenter: own, primaryDatacenter }: DiagnosisContext): string {
  return datacenter === primaryDatacenter && own !== primaryDatacenter
    ? `compare "primary_gateways" of datacenter "${own}" with where the mesh gateways of "${datacenter}" listen, and see that they run`
    : `see that the mesh gateways of "${own}" and of "${datacenter}" run, and that their WAN address can be reached`
}
