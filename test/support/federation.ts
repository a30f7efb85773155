/**
 * Two datacenters of a test on loopback, joined by their mesh gateways; everything is gone after `stop`.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '#local'
import { Datacenter, type DatacenterOptions, newCa, newGossipKey } from './datacenter.ts'
import { Programs } from './programs.ts'

export class TestBed {
  readonly programs = new Programs()
  readonly root = mkdtempSync(join(tmpdir(), 'hanse-e2e-'))
  readonly ca = newCa()
  readonly gossipKey = newGossipKey()
  readonly #datacenters: Datacenter[] = []

  /** A datacenter with the bed's CA and key, unless `options` says otherwise; nothing runs yet. */
  async make(options: Partial<DatacenterOptions> & { readonly name: string }): Promise<Datacenter> {
    const { root, ca, gossipKey } = this
    const made = await Datacenter.make({ primary: 'dc1', root, ca, gossipKey, ...options }, this.programs)
    this.#datacenters.push(made)
    return made
  }

  /** A free "host:port". */
  async address(): Promise<string> {
    const [port = 0] = await freePorts(1)
    return `127.0.0.1:${port}`
  }

  /** Stops all, and says whether anything was left running. */
  async stop(): Promise<void> {
    for (const each of this.#datacenters) each.client.close()
    await this.programs.stop()
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 })
    assert.deepEqual(this.programs.running(), [])
  }
}
