/**
 * /v1/snapshot: a datacenter as one archive, and an archive as a datacenter. Both are streams of any length.
 */
import { pipeline } from 'node:stream'
import { bareAnswer, DEFAULT_POLICY_HEADER } from '../http/answer.ts'
import { call, type Route, type StreamHandler } from '../http/route.ts'
import type { RoutePorts } from './read-route.ts'

export function snapshotRoutes({ endpoints: { snapshots, acl } }: RoutePorts): Route[] {
  const save: StreamHandler = {
    kind: 'stream',
    run: async (request, response) => {
      const { index, archive } = await snapshots.save(request)
      response.writeHead(200, [
        'Vary',
        'Accept-Encoding',
        DEFAULT_POLICY_HEADER,
        acl.defaultPolicy,
        'X-Consul-Index',
        String(index),
        'X-Consul-Knownleader',
        'true',
        'X-Consul-Lastcontact',
        '0',
        'X-Consul-Query-Backend',
        'blocking-query',
        'Content-Type',
        'application/x-gzip',
      ])
      // One that breaks off has no end, which its reader notices: the archive is whole or refused.
      pipeline(archive, response, () => {})
    },
  }
  const restore = call(async (request) => {
    await snapshots.restore(request, request.stream())
    return bareAnswer(200)
  })
  return [{ pattern: '/v1/snapshot', methods: { GET: save, PUT: restore } }]
}
