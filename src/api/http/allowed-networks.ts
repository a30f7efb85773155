/**
 * `http_config.allow_write_http_from`: the networks whose callers may change things.
 */
import type { IncomingMessage } from 'node:http'
import { BlockList } from 'node:net'

/** @returns undefined when none are named: everyone may */
export function networksOf(networks: readonly string[]): BlockList | undefined {
  if (networks.length === 0) return undefined
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = address.includes(':') ? 'ipv6' : 'ipv4'
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  return list
}

export function isWriter(writers: BlockList, request: IncomingMessage): boolean {
  const address = request.socket.remoteAddress ?? ''
  return writers.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}
