/**
 * Fills a running server over HTTP with the catalog that all benchmarks use: 1,000 nodes, 5,500 instances, 200 services.
 */
import { Agent, request } from 'node:http'

const NODES = 1000
const INSTANCES = 5500
const SERVICES = 200
/** service-000 has this many, the others share the rest. */
const LARGE = 500
const SMALL = 25
const WRITERS = 32

/** The service with 500 instances. */
export const LARGE_SERVICE = 'service-000'

function put(agent: Agent, port: number, path: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const out = request({ host: '127.0.0.1', port, method: 'PUT', path, agent })
    out.on('error', reject)
    out.on('response', (response) => {
      response.resume()
      response.on('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`PUT ${path} was answered ${response.statusCode}`)),
      )
    })
    out.end(body)
  })
}

function registration(instance: number): string {
  const service = instance < LARGE ? 0 : 1 + (Math.floor((instance - LARGE) / SMALL) % (SERVICES - 1))
  const name = `service-${String(service).padStart(3, '0')}`
  const node = instance % NODES
  const id = `${name}-${instance}`
  return JSON.stringify({
    Node: `node-${String(node).padStart(4, '0')}`,
    Address: `10.0.${node >> 8}.${node & 255}`,
    Service: { ID: id, Service: name, Tags: ['v1', 'primary'], Port: 8000, Meta: { version: '1.2.3' } },
    Check: { CheckID: `service:${id}`, Name: 'alive', Status: 'passing', ServiceID: id },
  })
}

export async function fillServer(port: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: WRITERS })
  let next = 0
  const writer = async () => {
    while (next < INSTANCES) await put(agent, port, '/v1/catalog/register', registration(next++))
  }
  await Promise.all(Array.from({ length: WRITERS }, writer))
  agent.destroy()
}
