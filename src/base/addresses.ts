/**
 * Addresses as "host:port" text, with brackets round IPv6, and as the bytes that gossip carries.
 */
import { isIP, isIPv4 } from 'node:net'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/**
 * Splits "host:port", "[v6]:port" or, when `defaultPort` is given, a bare host.
 *
 * @returns undefined when it is neither, or when the port is not 0..65535
 */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text)
  const plain = /^([^:]*):(\d{1,5})$/.exec(text)
  const host = bracketed?.[1] ?? plain?.[1] ?? (isIP(text) !== 0 || !text.includes(':') ? text : undefined)
  if (host === undefined || host === '') return undefined
  const portText = bracketed ? bracketed[2] : plain?.[2]
  const port = portText === undefined ? defaultPort : Number(portText)
  if (port === undefined || port > 65535) return undefined
  return { host, port }
}

/** Joins host and port; IPv6 gets brackets. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An IP address as 4 or 16 bytes; undefined when `text` is no IP address. */
export function ipToBytes(text: string): Buffer | undefined {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number))
  if (isIP(text) !== 6) return undefined
  const withoutZone = text.split('%')[0]!
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(withoutZone)
  const full = mapped
    ? `${mapped[1]}${((Number(mapped[2]) << 8) | Number(mapped[3])).toString(16)}:${((Number(mapped[4]) << 8) | Number(mapped[5])).toString(16)}`
    : withoutZone
  const [head = '', tail] = full.split('::')
  const headGroups = head === '' ? [] : head.split(':')
  const tailGroups = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = 8 - headGroups.length - tailGroups.length
  const groups = tail === undefined ? headGroups : [...headGroups, ...Array<string>(gap).fill('0'), ...tailGroups]
  const bytes = Buffer.alloc(16)
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  return bytes
}

/** 4 or 16 bytes as an IP address (an IPv4-mapped IPv6 address as IPv4); undefined for other lengths. */
export function bytesToIp(bytes: Uint8Array): string | undefined {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (at.length === 4) return at.join('.')
  if (at.length !== 16) return undefined
  if (at.subarray(0, 10).every((byte) => byte === 0) && at.readUInt16BE(10) === 0xffff) return at.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => at.readUInt16BE(index * 2).toString(16))
  const zeros = groups.join(':').match(/\b0(?::0)+\b/g)
  const longest = zeros?.reduce((best, run) => (run.length > best.length ? run : best), '')
  if (!longest) return groups.join(':')
  const text = groups.join(':')
  const at0 = text.indexOf(longest)
  return `${text.slice(0, at0).replace(/:$/, '')}::${text.slice(at0 + longest.length).replace(/^:/, '')}`
}
