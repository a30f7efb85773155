/**
 * Keeps a pool's keyring on disk, readable by its owner only.
 *
 * Once the file exists it is what counts: keys change by gossip, the configured key only begins the ring.
 *
 * Source: gossip wire notes §12.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '#base'
import { formatKeyringFile, Keyring, parseGossipKey, parseKeyringFile } from './keyring.ts'

/**
 * The keyring of the file, else one of the configured keys, which is then written.
 *
 * @param path - undefined: nothing is kept
 * @returns undefined when there is neither: the pool is not encrypted
 * @throws HanseError GOSSIP_KEYRING_FILE, GOSSIP_KEY
 */
export async function loadKeyring(
  path: string | undefined,
  configured: readonly string[] | undefined,
): Promise<Keyring | undefined> {
  const text = path === undefined ? undefined : await readIfThere(path)
  if (path !== undefined && text !== undefined) return new Keyring(parseKeyringFile(text, path))
  if (!configured || configured.length === 0) return undefined
  const keyring = new Keyring(configured.map(parseGossipKey))
  if (path !== undefined)
    await saveKeyring(
      path,
      keyring.keys.map((key) => key.base64),
    )
  return keyring
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}

/** Replaces the file as a whole. */
export async function saveKeyring(path: string, keysBase64: readonly string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, formatKeyringFile(keysBase64), { mode: 0o600 })
  await rename(`${path}.new`, path)
}
