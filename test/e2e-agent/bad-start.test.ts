/**
 * Starts that must fail: bad configuration, ports in use, data directories and certificates that cannot be used. The
 * program ends with status 1 and says what is wrong, where, and what to do; what is on disk stays as it was.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '#base'
import { createCertificate, createCertificateAuthority, type PemPair } from '#codec'
import {
  type Finished,
  runProgram,
  ServerProcess,
  type Settings,
  serverSettings,
  temporaryDirectory,
} from './server-process.ts'

const DAY_MS = 86_400_000

let directory = ''

before(() => {
  directory = temporaryDirectory()
})

after(() => rmSync(directory, { recursive: true, force: true }))

function write(name: string, text: string | Buffer): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

/** Starts with these settings, which have to fail: nothing on standard output but the banner, and no stack. */
async function startFails(settings: Settings): Promise<Finished> {
  return fails(write('server.json', JSON.stringify(serverSettings(directory, settings))))
}

async function fails(file: string): Promise<Finished> {
  const finished = await runProgram(['agent', '-config-file', file])
  assert.equal(finished.code, 1, finished.stdout + finished.stderr)
  assert.doesNotMatch(finished.stderr, /^ {4}at /m)
  return finished
}

interface ConfigCase {
  readonly what: string
  readonly name: string
  readonly text: string
  readonly says: readonly RegExp[]
}

const CONFIGURATIONS: readonly ConfigCase[] = [
  { what: 'malformed JSON', name: 'bad.json', text: '{\n  "server": tru\n}', says: [/bad\.json/, /2/] },
  { what: 'JSON that is no object', name: 'list.json', text: '[]', says: [/list\.json/, /object/] },
  {
    what: 'malformed HCL',
    name: 'bad.hcl',
    text: 'server = true\nports {\n  http = \n}',
    says: [/bad\.hcl/, /\b[34]\b/],
  },
  {
    what: 'an unknown key',
    name: 'key.hcl',
    text: 'server = true\ndatacentre = "dc1"\ndata_dir = "data"\n',
    says: [/"datacentre" at .*key\.hcl:2/, /nearest known one is "datacenter"/, /^hint: docs\/configuration\.md/m],
  },
  {
    what: 'a value of a wrong type',
    name: 'type.json',
    text: '{"server": true, "ports": {"http": "eighty"}}',
    says: [/"ports\.http" at .*type\.json/, /expected .*, got /],
  },
  {
    what: 'a duration without a unit',
    name: 'duration.hcl',
    text: 'server = true\ncheck_update_interval = "5"\n',
    says: [/"check_update_interval" at .*duration\.hcl:2/],
  },
  {
    what: 'a gossip key that is no base64',
    name: 'encrypt.hcl',
    text: 'server = true\nencrypt = "not base64!"\n',
    says: [/"encrypt" at .*encrypt\.hcl:2/],
  },
  {
    what: 'a gossip key of a wrong length',
    name: 'short.hcl',
    text: 'server = true\nencrypt = "AAAA"\n',
    says: [/"encrypt" at .*short\.hcl:2/, /16, 24 or 32/],
  },
]

for (const { what, name, text, says } of CONFIGURATIONS) {
  test(`agent refuses ${what} with file and place`, async () => {
    const { stderr } = await fails(write(name, text))
    for (const pattern of says) assert.match(stderr, pattern)
    assert.doesNotMatch(stderr, /not base64!|AAAA/)
  })
}

test('agent refuses a configuration file that does not exist', async () => {
  const { stderr } = await fails(join(directory, 'none.hcl'))
  assert.match(stderr, /none\.hcl": /)
})

for (const name of ['http', 'dns', 'server', 'serf_lan'] as const) {
  test(`agent names the port and the setting when ports.${name} is in use`, async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const ports = { http: 0, dns: 0, server: 0, serf_lan: 0, serf_wan: -1, [name]: port }
      const { stderr } = await startFails({ ports })
      assert.match(stderr, new RegExp(`"127\\.0\\.0\\.1:${port}".* in use`))
      assert.match(stderr, new RegExp(`^hint: .*ports\\.${name}`, 'm'))
    } finally {
      taken.close()
    }
  })
}

test('agent refuses a data directory that is a file', async () => {
  const path = write('occupied', 'a file')
  const { stderr } = await startFails({ data_dir: path })
  assert.match(stderr, /data directory ".*occupied": /)
  assert.match(stderr, /^hint: .*data_dir/m)
  assert.equal(readFileSync(path, 'utf8'), 'a file')
})

test('agent refuses a data directory that it may not write', async () => {
  const path = join(directory, 'locked')
  mkdirSync(path)
  chmodSync(path, 0o500)
  // Root may write everywhere: for it, a place where nobody may.
  const isRoot = process.getuid?.() === 0
  const { stderr } = await startFails({ data_dir: isRoot ? '/proc/hanse-data' : join(path, 'data') })
  assert.match(stderr, /data directory ".*": /)
  assert.match(stderr, /^hint: .*data_dir/m)
})

/** A data directory with a store that a server wrote and closed. */
async function usedDirectory(): Promise<{ path: string; store: string; data: string }> {
  const server = await ServerProcess.start()
  assert.equal((await server.ask('PUT', '/v1/kv/kept', { body: 'x'.repeat(50_000) })).status, 200)
  await server.stop({ keepFiles: true })
  return {
    path: server.directory,
    data: join(server.directory, 'data'),
    store: join(server.directory, 'data', 'store', 'store.db'),
  }
}

const DAMAGES: readonly { what: string; damage(bytes: Buffer): Buffer; says: RegExp }[] = [
  {
    what: 'with flipped bytes in its pages',
    damage: (bytes) => {
      const damaged = Buffer.from(bytes)
      for (let at = 4096; at < damaged.length; at += 1024) damaged[at] = (damaged[at] ?? 0) ^ 0xff
      return damaged
    },
    says: /Cannot read store ".*store\.db": it is damaged, /,
  },
  {
    what: 'that is no database',
    damage: () => Buffer.alloc(8192, 'x'),
    says: /it is damaged, the file is not a database/,
  },
  { what: 'that was cut', damage: (bytes) => bytes.subarray(0, 5000), says: /it is damaged, / },
  {
    what: 'of a newer version',
    damage: (bytes) => {
      const newer = Buffer.from(bytes)
      newer.writeUInt32BE(99, 60)
      return newer
    },
    says: /it has format 99 and this version of Hanse knows format 1; nothing was changed/,
  },
]

for (const { what, damage, says } of DAMAGES) {
  test(`agent refuses a store ${what}, and leaves it as it is`, async () => {
    const { path, store, data } = await usedDirectory()
    try {
      const damaged = damage(readFileSync(store))
      writeFileSync(store, damaged)
      const { stderr } = await startFails({ data_dir: data })
      assert.match(stderr, says)
      assert.match(stderr, /^hint: /m)
      assert.ok(readFileSync(store).equals(damaged), 'the file is unchanged')
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })
}

test('agent refuses a data directory that another server uses', async () => {
  const server = await ServerProcess.start()
  try {
    const { stderr } = await startFails({ data_dir: join(server.directory, 'data') })
    assert.match(stderr, /it is in use by .*\d/)
    assert.equal((await server.ask('PUT', '/v1/kv/still', { body: 'works' })).status, 200)
  } finally {
    await server.stop()
  }
})

/** Our clock, so many days ago. */
const daysAgo = (days: number) => ({
  clock: { ...systemClock, wallMs: () => systemClock.wallMs() - days * DAY_MS },
})
const NOW = daysAgo(0)

function authority(when = NOW): PemPair {
  return createCertificateAuthority({ days: 3650 }, when)
}

function certificate(ca: PemPair, when = NOW): PemPair {
  const dnsNames = ['server.dc1.consul', 's1.server.dc1.consul', 'localhost']
  const commonName = 'server.dc1.consul'
  return createCertificate({ ca, commonName, dnsNames, days: 30, serverAuth: true, clientAuth: true }, when)
}

interface Identity {
  readonly ca: PemPair
  readonly cert: PemPair
  readonly key?: string
}

function tls({ ca, cert, key = cert.keyPem }: Identity): Settings {
  return {
    tls: {
      internal_rpc: {
        ca_file: write('ca.pem', ca.certPem),
        cert_file: write('cert.pem', cert.certPem),
        key_file: write('key.pem', key),
        verify_incoming: true,
        verify_outgoing: true,
        verify_server_hostname: true,
      },
    },
  }
}

test('agent refuses an expired certificate', async () => {
  const longAgo = daysAgo(365)
  const ca = authority(longAgo)
  const { stderr } = await startFails(tls({ ca, cert: certificate(ca, longAgo) }))
  assert.match(stderr, /cannot use certificate ".*cert\.pem" of ".*": expired at \d{4}-/)
  assert.match(stderr, /^hint: make a new one with: hanse tls cert create/m)
})

test('agent refuses a certificate of a foreign CA', async () => {
  const { stderr } = await startFails(tls({ ca: authority(), cert: certificate(authority()) }))
  assert.match(stderr, /cannot use certificate ".*cert\.pem": signed by ".*", not by a CA of ".*ca\.pem"/)
  assert.match(stderr, /^hint: /m)
})

test("agent refuses a key that is not the certificate's, and does not print it", async () => {
  const ca = authority()
  const other = certificate(ca)
  const { stderr } = await startFails(tls({ ca, cert: certificate(ca), key: other.keyPem }))
  assert.match(stderr, /cannot use private key ".*key\.pem" with certificate ".*cert\.pem"/)
  assert.doesNotMatch(stderr, /PRIVATE KEY/)
})

test('agent refuses a certificate file that is none, and one that is not there', async () => {
  const ca = authority()
  const settings = tls({ ca, cert: certificate(ca) })
  write('cert.pem', 'nothing of the kind')
  assert.match((await startFails(settings)).stderr, /cannot read ".*cert\.pem": no PEM block "CERTIFICATE"/)
  rmSync(join(directory, 'cert.pem'))
  const { stderr } = await startFails(settings)
  assert.match(stderr, /cert_file ".*cert\.pem": /)
  assert.match(stderr, /^hint: compare the setting cert_file/m)
})
