/**
 * The tables of the certificate authority, one record each: what everyone may see, and what signs.
 *
 * Apart, because the second changes with every block of serial numbers and wakes nobody who waits for roots, and because
 * it holds a private key: the store's files are for servers only.
 */
import { CAConfiguration, CARoot, list, map, string, struct, uint } from '#codec'
import { joinKey } from './keys.ts'
import type { TableDeclaration } from './table.ts'

/** The federation's roots as this datacenter trusts and shows them, and its own configuration. */
export const StoredRoots = struct('StoredRoots', {
  ClusterID: string,
  Configuration: CAConfiguration,
  Roots: list(CARoot),
  CreateIndex: uint,
  ModifyIndex: uint,
})
export type StoredRoots = ReturnType<typeof StoredRoots.of>

/** What signs leafs here. `KeyPEM` is a secret; empty before there is an authority. */
export const StoredAuthority = struct('StoredAuthority', {
  RootID: string,
  CertPEM: string,
  KeyPEM: string,
  Chain: list(string),
  /** No serial number from here on has been used. */
  NextSerial: uint,
  /** Root → when it stops being trusted, wall time in milliseconds. */
  PruneAtMs: map(uint),
  CreateIndex: uint,
  ModifyIndex: uint,
})
export type StoredAuthority = ReturnType<typeof StoredAuthority.of>

const ONLY = 'only'
export const rootsKey: string = joinKey('connect-ca-roots', ONLY)
export const authorityKey: string = joinKey('connect-ca-authority', ONLY)

export const caRootsTable: TableDeclaration<StoredRoots> = {
  name: 'connect-ca-roots',
  shape: StoredRoots,
  fits: (_, key) => key === ONLY,
  indexes: {},
}

export const caAuthorityTable: TableDeclaration<StoredAuthority> = {
  name: 'connect-ca-authority',
  shape: StoredAuthority,
  fits: (_, key) => key === ONLY,
  indexes: {},
}
