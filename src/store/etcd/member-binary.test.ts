/** Programs that are no etcd, or none that will do: each named by what is wrong with it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { HanseError } from '#base'
import { type EtcdMemberOptions, memberArguments } from './member-arguments.ts'
import { inspectEtcd, memberEnvironment } from './member-binary.ts'

const root = mkdtempSync(join(tmpdir(), 'hanse-etcd-binary-'))
after(() => rmSync(root, { recursive: true }))

function program(name: string, text: string, mode = 0o755): string {
  const path = join(root, name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode })
  return path
}

const version = (text: string) => `[ "$1" = --version ] && echo "etcd Version: ${text}" || echo "  --name x"`

const REFUSED = [
  { what: 'that is not there', path: join(root, 'none'), code: 'ETCD_NOT_FOUND', says: /there is no such program/ },
  {
    what: 'that may not be executed',
    path: program('rights', 'true', 0o644),
    code: 'ETCD_NOT_FOUND',
    says: /may not be executed/,
  },
  {
    what: 'that says something else',
    path: program('other', 'echo hello'),
    code: 'ETCD_NOT_FOUND',
    says: /--version is not that of etcd/,
  },
  {
    what: 'that dies at once',
    path: program('dies', 'echo secret >&2; exit 3'),
    code: 'ETCD_NOT_FOUND',
    says: /does not answer --version/,
  },
  {
    what: 'that hangs',
    path: program('hangs', 'trap "" TERM; while :; do sleep 0.1; done'),
    code: 'ETCD_NOT_FOUND',
    says: /did not answer --version within 0.5 s/,
  },
  {
    what: 'that is too old',
    path: program('old', version('3.3.27')),
    code: 'ETCD_TOO_OLD',
    says: /it is version 3\.3\.27, at least 3\.4 is needed/,
  },
  { what: 'that is far too old', path: program('older', version('2.9.1')), code: 'ETCD_TOO_OLD', says: /2\.9\.1/ },
]
for (const { what, path, code, says } of REFUSED) {
  test(`inspectEtcd() refuses a program ${what}`, async () => {
    await assert.rejects(inspectEtcd(path, { answerMs: 500 }), (error) => {
      assert.ok(error instanceof HanseError)
      assert.equal(error.code, code)
      assert.match(error.message, says)
      assert.ok(error.message.includes(path))
      return true
    })
  })
}

test('inspectEtcd() takes 3.4 and all that is newer', async () => {
  for (const found of ['3.4.0', '3.6.1', '4.0.0']) {
    const binary = await inspectEtcd(program(`etcd-${found}`, version(found)))
    assert.equal(binary.version, found)
    assert.match(binary.help, /--name x/)
  }
})

test('inspectEtcd() ends with its signal', async () => {
  const stop = new AbortController()
  const reason = new Error('stopped')
  const asked = inspectEtcd(program('slow', 'sleep 30'), { signal: stop.signal })
  stop.abort(reason)
  await assert.rejects(asked, (error) => error === reason)
})

test('memberEnvironment() passes on neither settings of etcd nor tokens', () => {
  const env = {
    PATH: '/bin',
    ETCD_NAME: 'x',
    ETCD_PORT: 'tcp://1.2.3.4:2379',
    CONSUL_HTTP_TOKEN: 'secret',
    GOMAXPROCS: '2',
  }
  assert.deepEqual(memberEnvironment(env), { PATH: '/bin', GOMAXPROCS: '2' })
})

const OPTIONS: EtcdMemberOptions = {
  binary: 'etcd',
  name: 's1',
  dataDir: '/var/lib/hanse/etcd',
  bindAddress: '::',
  clientPort: 2379,
  peerPort: 2380,
  clientUrl: 'https://s1:2379',
  peerUrl: 'https://s1:2380',
  tls: { ca: '/ca', cert: '/c', key: '/k', allowedName: 'server.dc1.consul' },
  cluster: [
    { name: 's1', peerUrl: 'https://s1:2380' },
    { name: 's2', peerUrl: 'https://s2:2380' },
  ],
  founding: true,
  token: 'hanse-1',
}
const OLD = { version: '3.5.1', help: '  --experimental-peer-skip-client-san-verification ' }

test('memberArguments() asks for mutual TLS on both ports, from servers only', () => {
  const args = memberArguments(OPTIONS, OLD)
  for (const expected of [
    '--data-dir=/var/lib/hanse/etcd',
    '--listen-client-urls=https://[::]:2379',
    '--listen-peer-urls=https://[::]:2380',
    '--initial-cluster=s1=https://s1:2380,s2=https://s2:2380',
    '--initial-cluster-state=new',
    '--client-cert-auth=true',
    '--peer-client-cert-auth=true',
    '--client-cert-allowed-hostname=server.dc1.consul',
    '--peer-cert-allowed-hostname=server.dc1.consul',
    '--experimental-peer-skip-client-san-verification=true',
  ]) {
    assert.ok(args.includes(expected), expected)
  }
})

test('memberArguments() uses only flags that the binary has, and no TLS where there is none', () => {
  const newer = memberArguments(
    { ...OPTIONS, founding: false },
    { version: '3.6.0', help: ' --peer-skip-client-san-verification ' },
  )
  assert.ok(newer.includes('--peer-skip-client-san-verification=true'))
  assert.ok(newer.includes('--initial-cluster-state=existing'))
  assert.ok(!newer.some((each) => each.includes('experimental')))
  const plain = memberArguments({ ...OPTIONS, tls: undefined }, OLD)
  assert.ok(plain.includes('--listen-client-urls=http://[::]:2379'))
  assert.ok(!plain.some((each) => /cert|key-file/.test(each)))
})
