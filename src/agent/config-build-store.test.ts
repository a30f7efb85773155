/** The store's settings: what they mean, and each message of what contradicts itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { messageOf } from '#base'
import { loadConfig } from './config.ts'

const load = (text: string, ...args: string[]) =>
  loadConfig({ args: ['-server', '-bind', '10.0.0.1', '-hcl', text, ...args] }).config.store
const stored = (text: string) => load(`data_dir = "/d"\n${text}`)

const MEANINGS = [
  { text: '', kind: 'sqlite' },
  { text: 'bootstrap_expect = 1', kind: 'sqlite' },
  { text: 'bootstrap_expect = 3', kind: 'own-etcd', founders: 3 },
  { text: 'store { engine = "etcd" }', kind: 'own-etcd', founders: 1 },
  { text: 'store { engine = "etcd" } bootstrap_expect = 1 retry_join = ["10.0.0.2"]', kind: 'own-etcd', founders: 1 },
  { text: 'store { engine = "etcd" } bootstrap = true retry_join = ["10.0.0.2"]', kind: 'own-etcd', founders: 1 },
  { text: 'store { engine = "etcd" } retry_join = ["10.0.0.2"]', kind: 'own-etcd', founders: 0 },
  { text: 'store { engine = "etcd" } start_join = ["10.0.0.2"]', kind: 'own-etcd', founders: 0 },
  { text: 'store { etcd { endpoints = ["https://10.0.0.9:2379"] } }', kind: 'named-etcd' },
]
for (const { text, ...expected } of MEANINGS) {
  test(`the store of "${text}" is ${expected.kind} ${expected.founders ?? ''}`, () => {
    const store = stored(text)
    assert.deepEqual({ ...expected }, Object.fromEntries(Object.entries(store).filter(([key]) => key in expected)))
  })
}

test('an own etcd has its defaults, and the prefix of its datacenter', () => {
  assert.deepEqual(stored('datacenter = "dc7"\nbootstrap_expect = 3'), {
    kind: 'own-etcd',
    prefix: 'hanse/dc7/',
    binary: 'etcd',
    founders: 3,
    advertiseHost: '',
    clientPort: 2379,
    peerPort: 2380,
  })
})

const WRONG = [
  { text: 'engine = "raft"', says: '"raft" is neither "sqlite" nor "etcd"' },
  { text: 'engine = "sqlite" etcd { endpoints = ["http://10.0.0.1:2379"] }', says: 'several share an etcd' },
  { text: 'etcd { endpoints = ["10.0.0.1:2379"] }', says: '"10.0.0.1:2379" is no URL such as' },
  { text: 'etcd { endpoints = ["ftp://10.0.0.1:2379"] }', says: 'is no URL such as' },
  { text: 'etcd { endpoints = ["https://10.0.0.1"] }', says: 'is no URL such as' },
  { text: 'etcd { endpoints = ["https://10.0.0.1:2379/v3"] }', says: 'is no URL such as' },
  { text: 'etcd { endpoints = ["https://u:p@10.0.0.1:2379"] }', says: 'is no URL such as' },
  { text: 'etcd { endpoints = ["https://a:1", "http://b:1"] }', says: 'all with "https:" or all with "http:"' },
  { text: 'etcd { endpoints = ["https://a:1"] cert_file = "/c" }', says: 'certificate and key belong together' },
  { text: 'etcd { endpoints = ["https://a:1"] key_file = "/k" }', says: 'certificate and key belong together' },
  { text: 'etcd { endpoints = ["http://a:1"] cert_file = "/c" key_file = "/k" }', says: 'are used with "https:" only' },
  { text: 'etcd { endpoints = ["http://a:1"] ca_file = "/c" }', says: 'are used with "https:" only' },
  { text: 'engine = "etcd" etcd { ca_file = "/c" }', says: 'it is for a named etcd' },
  { text: 'etcd { endpoints = ["https://a:1"] prefix = "x" }', says: 'must end with a slash and not begin with one' },
  { text: 'etcd { endpoints = ["https://a:1"] prefix = "/x/" }', says: 'must end with a slash and not begin with one' },
  { text: 'engine = "etcd" etcd { client_port = 0 }', says: 'client_port" at flag -hcl:2: 0 is no port' },
  { text: 'engine = "etcd" etcd { peer_port = 65536 }', says: 'peer_port" at flag -hcl:2: 65536 is no port' },
  {
    text: 'engine = "etcd" etcd { client_port = 2380 }',
    says: '2380 is the client_port as well',
  },
  { text: 'engine = "etcd" etcd { advertise_host = "https://a" }', says: 'is neither an address nor a DNS name' },
  { text: 'engine = "etcd" etcd { advertise_host = "a b" }', says: 'is neither an address nor a DNS name' },
]
for (const { text, says } of WRONG) {
  test(`"store { ${text} }" is refused`, () => {
    assert.throws(
      () => stored(`store { ${text} }`),
      (error) => {
        assert.ok(messageOf(error).includes(says), messageOf(error))
        assert.doesNotMatch(messageOf(error), /u:p@/)
        return true
      },
    )
  })
}

test('several servers do not share sqlite, and -dev keeps nothing in etcd', () => {
  assert.throws(() => stored('bootstrap_expect = 3\nstore { engine = "sqlite" }'), /several share an etcd/)
  assert.throws(
    () => loadConfig({ args: ['-dev', '-hcl', 'store { engine = "etcd" }'] }),
    /with -dev the data is in memory/,
  )
})
