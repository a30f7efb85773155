/**
 * Addresses in the configuration: plain IPs and the `{{ GetPrivateIP }}` forms that Consul's users write.
 *
 * Only the forms that name one address in one word are known; a pipeline of filters is refused by name.
 */
import { isIP } from 'node:net'
import type { Machine } from './config-files.ts'

/** An address, or what is wrong with the text. */
export type ResolvedAddress = { readonly address: string } | { readonly problem: string }

/** Resolves one address: an IP, or one of the known forms. */
export function resolveAddress(text: string, machine: Machine): ResolvedAddress {
  const trimmed = text.trim()
  if (isIP(trimmed) !== 0) return { address: trimmed }
  const form = /^\{\{\s*(\w+)(?:\s+"([^"]*)")?\s*\}\}$/.exec(trimmed)
  if (!form) return { problem: `expected an IP address, got "${trimmed}"` }
  const [, name = '', argument] = form
  const found = byForm(name, argument, machine)
  if (found === null)
    return { problem: `"${trimmed}" is not understood; known are GetPrivateIP, GetPublicIP, GetInterfaceIP "name"` }
  if (found === undefined) return { problem: `no address of this machine fits "${trimmed}"` }
  return { address: found }
}

function byForm(name: string, argument: string | undefined, machine: Machine): string | undefined | null {
  if (name === 'GetPrivateIP' && argument === undefined) return privateAddress(machine)
  if (name === 'GetPublicIP' && argument === undefined) {
    return ipv4(machine).find(({ address }) => !isPrivate(address))?.address
  }
  if (name === 'GetInterfaceIP' && argument !== undefined) {
    return machine.addresses().find((entry) => entry.name === argument && entry.family === 'IPv4')?.address
  }
  return null
}

/** The first private IPv4 address that is no loopback. */
export function privateAddress(machine: Machine): string | undefined {
  return ipv4(machine).find(({ address }) => isPrivate(address))?.address
}

function ipv4(machine: Machine) {
  return machine
    .addresses()
    .filter(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'))
}

/** RFC 1918 and RFC 6598. */
function isPrivate(address: string): boolean {
  const [first = 0, second = 0] = address.split('.').map(Number)
  if (first === 10 || (first === 192 && second === 168)) return true
  return (first === 172 && second >= 16 && second <= 31) || (first === 100 && second >= 64 && second <= 127)
}

/** Whether two listen addresses meet: equal, or one of them is the address of all. */
export function overlap(left: string, right: string): boolean {
  const all = (address: string) => address === '0.0.0.0' || address === '::'
  return left === right || all(left) || all(right)
}
