/**
 * Reading questions and writing answers, with another program as the judge, and names as lookups.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { HanseError, seededRandom } from '#base'
import { lookupOf } from './lookup.ts'
import { CLASS_IN, type DnsRecord, RCODE, readQuestion, TYPE, wireName } from './message.ts'
import { txtData, writeReply } from './message-writer.ts'
import { addressRecord } from './resolution.ts'

const oracle: {
  encode(packet: object): Buffer
  decode(message: Buffer): { answers: { name: string; type: string; data: unknown }[]; rcode: string }
} = createRequire(import.meta.url)('dns-packet')

function query(name: string, type: string): Buffer {
  return oracle.encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type, name }] })
}

test('readQuestion() reads what another program wrote', () => {
  const question = readQuestion(query('Web.Service.Consul', 'SRV'))
  assert.deepEqual(question.labels, ['Web', 'Service', 'Consul'])
  assert.equal(question.type, TYPE.SRV)
  assert.equal(question.class, CLASS_IN)
  assert.equal(question.recursionDesired, true)
  assert.equal(question.edns, undefined)
})

test('writeReply() is read back by another program, compressed or not', () => {
  const question = readQuestion(query('web.service.consul', 'SRV'))
  const data = { kind: 'srv', priority: 1, weight: 2, port: 3, target: wireName('n1.node.dc1.consul') } as const
  const answers: DnsRecord[] = [
    { name: undefined, type: TYPE.SRV, ttlSeconds: 5, data },
    addressRecord(wireName('n1.node.dc1.consul'), '10.0.0.1', 5),
    addressRecord(wireName('n1.node.dc1.consul'), '2001:db8::1', 5),
    { name: wireName('n1.node.dc1.consul'), type: TYPE.TXT, ttlSeconds: 5, data: txtData('k='.padEnd(300, 'v')) },
  ]
  const reply = {
    rcode: RCODE.NOERROR,
    authoritative: true,
    recursionAvailable: false,
    truncated: false,
    answers,
    authority: [],
    additional: [],
  }
  const small = writeReply(question, reply)
  const large = writeReply(question, reply, { compress: false })
  assert.ok(small.length < large.length)
  for (const bytes of [small, large]) {
    const decoded = oracle.decode(bytes)
    assert.deepEqual(
      decoded.answers.map(({ type }) => type),
      ['SRV', 'A', 'AAAA', 'TXT'],
    )
    assert.deepEqual(decoded.answers[0]?.data, { priority: 1, weight: 2, port: 3, target: 'n1.node.dc1.consul' })
    assert.equal(decoded.answers[2]?.data, '2001:db8::1')
  }
})

test('a label with a dot inside stays one label', () => {
  const question = readQuestion(query('web.service.consul', 'SRV'))
  const data = {
    kind: 'srv',
    priority: 1,
    weight: 1,
    port: 1,
    target: wireName('host\\.with\\.dots.node.dc1.consul'),
  } as const
  const answers: DnsRecord[] = [{ name: undefined, type: TYPE.SRV, ttlSeconds: 0, data }]
  const bytes = writeReply(question, {
    rcode: 0,
    authoritative: true,
    recursionAvailable: false,
    truncated: false,
    answers,
    authority: [],
    additional: [],
  })
  assert.ok(bytes.includes(Buffer.from('\x0ehost.with.dots\x04node')))
})

test('lookupOf() tells nodes, services, tags, datacenters and addresses apart', () => {
  const zone = { domain: 'consul', altDomain: 'alt.example', datacenter: 'dc1' }
  const of = (name: string) => lookupOf(name.split('.'), zone)
  assert.deepEqual(of('foo.node.dc2.consul'), { kind: 'node', node: 'foo', datacenter: 'dc2', domain: 'consul' })
  const service = { kind: 'service', service: 'db', connect: false, datacenter: 'dc1', domain: 'consul' }
  assert.deepEqual(of('v1.2.db.service.consul'), { ...service, tag: 'v1.2' })
  assert.deepEqual(of('_db._tcp.consul'), { ...service, tag: '' })
  assert.deepEqual(of('_db._x.service.dc2.dc.consul'), { ...service, tag: 'x', datacenter: 'dc2' })
  assert.deepEqual(of('DB.service.ALT.example'), { ...service, tag: '', domain: 'alt.example' })
  assert.deepEqual(of('db.connect.consul'), { ...service, tag: '', connect: true })
  assert.deepEqual(of('0a000001.addr.consul'), { kind: 'address', address: '10.0.0.1', domain: 'consul' })
  assert.deepEqual(of('1.0.0.10.in-addr.arpa'), { kind: 'reverse', address: '10.0.0.1', domain: 'consul' })
  for (const name of ['consul', 'service.consul', 'a.b.node.consul', 'x.zz.consul']) {
    assert.deepEqual(of(name), { kind: 'nothing', exists: false, domain: 'consul' })
  }
  assert.deepEqual(of('www.example.com'), { kind: 'foreign' })
})

const vector: { queries: { query_hex: string; answer_hex: string }[] } = JSON.parse(
  readFileSync(new URL('../../../test/vectors/dns.json', import.meta.url), 'utf8'),
)

test('readQuestion() survives changed and random messages with its own error only', () => {
  const random = seededRandom(11)
  const samples = vector.queries.flatMap(({ query_hex, answer_hex }) => [query_hex, answer_hex.slice(0, 1000)])
  for (let run = 0; run < 20_000; run++) {
    const message =
      run % 4 === 0 ? random.bytes(random.int(80)) : Buffer.from(samples[random.int(samples.length)] ?? '', 'hex')
    for (let change = random.int(4); change > 0 && message.length > 0; change--) {
      message[random.int(message.length)] = random.int(256)
    }
    const cut = message.subarray(0, random.int(3) === 0 ? random.int(message.length + 1) : message.length)
    if (cut.length > 2) cut[2] = (cut[2] ?? 0) & 0x7f
    try {
      const question = readQuestion(cut)
      lookupOf(question.labels, { domain: 'consul', altDomain: '', datacenter: 'dc1' })
      writeReply(question, {
        rcode: 3,
        authoritative: true,
        recursionAvailable: false,
        truncated: false,
        answers: [],
        authority: [],
        additional: [],
      })
    } catch (thrown) {
      assert.ok(thrown instanceof HanseError && thrown.code === 'DNS_MESSAGE', String(thrown))
    }
  }
})
