/**
 * Holds all files of the project to being true on any machine, and proves on made-up files that the rule can fail.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { projectFiles, root } from './checkout.ts'
import { hostPathViolations } from './no-host-paths.ts'

/** A checkout right below the root (`/src`) would be found in many an honest path. */
const MIN_OWN_SEGMENTS = 2

test('no file of the project names a path of one machine or the host of a registry', () => {
  const texts = projectFiles().map((path) => [path, readFileSync(join(root, path))] as const)
  const tree = new Map(
    texts.filter(([, bytes]) => !bytes.includes(0)).map(([path, bytes]) => [path, bytes.toString('utf8')]),
  )
  assert.ok(tree.size > 0)
  const own = root.split('/').length > MIN_OWN_SEGMENTS ? [root] : []
  assert.deepEqual(hostPathViolations(tree, own), [])
})

const violations = (text: string) => hostPathViolations(new Map([['docs/a.md', text]]), ['/opt/checkout/x']).length

test('hostPathViolations() finds paths of people, of the checkout, and registries', () => {
  assert.equal(violations('see /home/anna/notes'), 1)
  assert.equal(violations('("/root/.npmrc")'), 1)
  assert.equal(violations('file:///work/main'), 1)
  assert.equal(violations('in /opt/checkout/x/src'), 1)
  assert.equal(violations('"resolved": "https://registry.npmjs.org/a/-/a-1.tgz"'), 1)
})

test('hostPathViolations() accepts paths of any machine, of URLs and of the project', () => {
  assert.equal(violations('/usr/bin/env /tmp/x /etc/hanse docs/work/a ./home/b $HOME/work/c'), 0)
  assert.equal(violations('https://example.com/root/x and /v1/agent/connect/ca/roots'), 0)
})
