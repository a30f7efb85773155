/**
 * Stored records as those see them who inspect a snapshot: the JSON that the API has for such a record, with what its key
 * says where the record does not, and without secrets.
 *
 * Hidden are tokens' secrets, private keys and credentials of auth methods, wherever they stand: whoever may read a
 * listing is not to become whoever may do everything. The values of the key/value store are their owners' and are shown.
 */
import type { Content } from '#store'
import { decodeHeader, HEADER_KEY } from './header.ts'
import { firstPart } from './keys.ts'
import { Tables } from './tables.ts'

const HIDDEN = '<hidden>'
/** Names of fields, at any depth; as folded, because those of free forms (`private_key`) are written in many ways. */
const SECRETS: ReadonlySet<string> = new Set([
  'secretid',
  'keypem',
  'privatekey',
  'serviceaccountjwt',
  'oidcclientsecret',
  'clientsecret',
  'token',
])
const isSecret = (name: string): boolean => SECRETS.has(name.toLowerCase().replaceAll('_', ''))

export class RecordJson {
  readonly #tables = new Tables(0)

  /**
   * The JSON text of a record; of one in a table that only another version knows its key and size.
   *
   * @throws STATE_RECORD_CORRUPT, STATE_SCHEMA_NEWER
   */
  textOf({ key, value }: Content): string {
    return JSON.stringify(this.#shown(key, value), (name, part: unknown) =>
      part !== '' && isSecret(name) ? HIDDEN : part,
    )
  }

  #shown(key: string, value: Uint8Array): unknown {
    if (key === HEADER_KEY) return decodeHeader(value)
    const record = this.#tables.json(key, value)
    if (record === undefined) return { Key: key, Bytes: value.byteLength }
    // An instance does not say on which node it is.
    const [table = '', rest = ''] = key.split(/\/(.*)/s, 2)
    return table === 'services' ? { Node: firstPart(rest), Service: record } : record
  }
}
