/**
 * How a config entry is stored: its kind, then the entry as the struct of that kind.
 *
 * One table holds entries of all kinds, because what is asked for is a kind and a name, and what is replicated is all
 * of them; so the record has to say what it is before it can be read.
 */
import {
  type ConfigEntry,
  configEntryToJson,
  decodeConfigEntry,
  encodeConfigEntry,
  isConfigEntryKind,
  ServiceDefaults,
} from '#codec'
import type { RecordShape } from './records.ts'

export const configEntryShape: RecordShape<ConfigEntry> = {
  kindName: 'ConfigEntry',
  // What every entry has, of which the state sets the indexes.
  fields: { Kind: true, Meta: true, Hash: true, CreateIndex: true, ModifyIndex: true },
  zero: ServiceDefaults.zero,
  isEmpty: () => false,
  write(writer, entry) {
    writer.string(entry.Kind)
    writer.raw(encodeConfigEntry(entry))
  },
  /** @throws TypeError for a kind that only a later version knows */
  read(reader) {
    const kind = reader.string()
    if (!isConfigEntryKind(kind)) throw new TypeError(`its kind "${kind}" is not known`)
    return decodeConfigEntry(kind, reader.raw())
  },
  toJson: configEntryToJson,
  fromJson: ServiceDefaults.zero,
}
